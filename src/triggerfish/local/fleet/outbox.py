"""Messages on their way to SNS: durable, tried until taken, and as unreliable as told to be.

A message leaves only when the change it tells of is on disk, so that no one hears of an instance
that a crash then forgets. It's struck off after SNS took it; a crash in between sends it twice, as
AWS may.
"""

from __future__ import annotations

import http.client
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from triggerfish.errors import Refused, Unavailable
from triggerfish.local.fleet.state import Undelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triggerfish.local.fleet.fleet import Fleet
    from triggerfish.local.fleet.messages import Message

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 2.0
GIVE_UP_AFTER_S = 3600.0
TIMEOUT_S = 10.0


def enqueue(fleet: Fleet, message: Message) -> None:
    faults = fleet.state.faults.notifications
    if faults.drop and fleet.random.random() < faults.drop:
        return
    for _ in range(faults.duplicate):
        delay = faults.delay_s + fleet.random.uniform(0, faults.shuffle_s)
        put(fleet, message, delay)


def put(fleet: Fleet, message: Message, delay_s: float = 0.0) -> None:
    state, now = fleet.state, fleet.seconds()
    state.sequence += 1
    state.outbox[state.sequence] = Undelivered(
        id=state.sequence,
        message=message,
        not_before=now + delay_s,
        version=fleet.version + 1,
        created_at=now,
    )


class SnsDoor:
    """`sns:Publish` over one kept connection: a tenth of what a boto3 client costs a message."""

    def __init__(self, url: str, region: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._region = region
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._connection: http.client.HTTPConnection | None = None
        self._auth = SigV4Auth(Credentials("local", "local"), "sns", region)

    def publish(self, message: Message) -> None:
        """Raises `Unavailable` when SNS can't answer, `Refused` when it doesn't take it."""
        body = urlencode(
            {
                "Action": "Publish",
                "Version": "2010-03-31",
                "TopicArn": message.topic_arn,
                "Subject": message.subject,
                "Message": message.body,
            }
        )
        request = AWSRequest("POST", self._url + "/", data=body)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        self._auth.add_auth(request)
        try:
            status, answer = self._send(body, dict(request.headers.items()))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        if status != 200:
            raise Refused(f"HTTP {status}: {answer[:300].decode(errors='replace')}")

    def _send(self, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        self._connection.request("POST", "/", body=body, headers=headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Publisher:
    """The thread that empties the outbox."""

    def __init__(
        self,
        fleet: Fleet,
        door: SnsDoor,
        *,
        durable_version: Callable[[], int],
        delivered: Callable[[], None],
    ) -> None:
        self._fleet = fleet
        self._door = door
        self._durable_version = durable_version
        self._delivered = delivered
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._failures = 0
        self._has_complained = False
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()
        self._thread.join(1)
        self._door.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            ready, wait_s = self._ready()
            try:
                for undelivered in ready:
                    if not self._stopped.is_set():
                        self._deliver(undelivered)
            except Unavailable as error:
                self._complain(error)
                self._stopped.wait(_backoff_s(self._failures))
                self._failures += 1
            if not ready:
                self._woken.wait(wait_s)

    def _ready(self) -> tuple[Sequence[Undelivered], float | None]:
        """What may leave now, oldest first; else how long until something may (None: never)."""
        with self._fleet.lock:
            now, durable = self._fleet.seconds(), self._durable_version()
            settled = [one for one in self._fleet.state.outbox.values() if one.version <= durable]
        ready = sorted(
            (one for one in settled if one.not_before <= now), key=lambda one: one.not_before
        )
        wait_s = min((one.not_before - now for one in settled), default=None)
        return ready, wait_s

    def _deliver(self, undelivered: Undelivered) -> None:
        fleet = self._fleet
        try:
            self._door.publish(undelivered.message)
        except Refused as error:
            # The topic may not be there yet: the stack that makes it is deployed after the fleet.
            self._complain(error)
            with fleet.lock:
                now = fleet.seconds()
                undelivered.not_before = now + _backoff_s(undelivered.attempts)
                undelivered.attempts += 1
                if now - undelivered.created_at > GIVE_UP_AFTER_S:
                    fleet.state.outbox.pop(undelivered.id, None)
            return
        self._failures = 0
        self._has_complained = False
        with fleet.lock:
            fleet.state.published += 1
            fleet.state.outbox.pop(undelivered.id, None)
        self._delivered()

    def _complain(self, problem: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            sys.stderr.write(f"fleet: SNS did not take a message, trying again: {problem}\n")


def _backoff_s(failures: int) -> float:
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures, 10))
