"""Where log events go: a file for each function, and the emulator's CloudWatch Logs.

An invocation only puts events into a queue; a thread writes them. What a flood of events can't be
written in time is dropped and counted, as memory is finite.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from triggerfish.local.sandbox.http import authorization
from triggerfish.local.sandbox.limits import MIB
from triggerfish.local.sandbox.loglines import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

FILE_BYTES = 10 * MIB
QUEUE_BYTES = 32 * MIB
BATCH_BYTES = MIB
BATCH_EVENTS = 10_000
EVENT_OVERHEAD_BYTES = 26
PUT_EVERY_S = 0.25
TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One environment's log."""

    region: str
    function: str
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    stream: Stream
    time_ms: int
    message: str


class LogWriter:
    """Events to files at once, to CloudWatch Logs four times a second."""

    def __init__(self, files: LogFiles, cloud: CloudWatch) -> None:
        self._files = files
        self._cloud = cloud
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._put_bytes = 0  # written by those who put
        self._taken_bytes = 0  # written by the thread
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, event: Event) -> None:
        if self._put_bytes - self._taken_bytes > QUEUE_BYTES:
            self._dropped += 1
            return
        self._put_bytes += len(event.message)
        self._queue.put(event)

    def stop(self, seconds: float) -> None:
        """Write what is queued, for at most so long."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        waiting: list[Event] = []
        due = time.monotonic() + PUT_EVERY_S
        running = True
        while running:
            events, running = self._take(due - time.monotonic() if waiting else None)
            self._files.append(events)
            waiting += events
            if waiting and (time.monotonic() >= due or not running):
                self._cloud.put(waiting)
                waiting = []
                due = time.monotonic() + PUT_EVERY_S

    def _take(self, timeout_s: float | None) -> tuple[list[Event], bool]:
        """Everything queued; False when it was the last."""
        events: list[Event] = []
        try:
            event = self._queue.get(timeout=None if timeout_s is None else max(timeout_s, 0.001))
            while event is not None:
                events.append(event)
                event = self._queue.get_nowait()
        except queue.Empty:
            self._count_taken(events)
            return events, True
        self._count_taken(events)
        return events, False

    def _count_taken(self, events: list[Event]) -> None:
        self._taken_bytes += sum(len(event.message) for event in events)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            _say(f"{dropped} log events dropped: functions write faster than can be kept")


class LogFiles:
    """`FOLDER/<function>.log`: lines `<time> <environment> <message>`; two files of 10 MiB at most.

    `<environment>` is the first 8 of its stream's 32 hex digits. Further lines of a message are
    indented.
    """

    def __init__(self, folder: Path, *, cap_bytes: int = FILE_BYTES) -> None:
        self._folder = folder
        self._cap_bytes = cap_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, events: Iterable[Event]) -> None:
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for event in events:
            texts[event.stream.function].append(_line(event))
        for function, lines in texts.items():
            path = self._folder / f"{function}.log"
            try:
                self._rotate(path)
                with path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write("".join(lines))
            except OSError as error:
                _say(f"{path}: {error}")

    def _rotate(self, path: Path) -> None:
        if path.exists() and path.stat().st_size > self._cap_bytes:
            path.replace(path.with_suffix(".log.1"))


def _line(event: Event) -> str:
    at = timestamp(datetime.fromtimestamp(event.time_ms / 1000, UTC))
    environment = event.stream.name.rpartition("]")[2][:8]
    message = event.message.replace("\r", "\n").replace("\n", "\n    ")
    return f"{at} {environment} {message}\n"


class CloudWatch:
    """PutLogEvents, making group and stream where there is none. A failure is said, not raised."""

    def __init__(
        self, url: str, *, access_key: str, say: Callable[[str], None] | None = None
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._access_key = access_key
        self._made: set[Stream] = set()
        self._connection: http.client.HTTPConnection | None = None
        self._say = say or _say
        self._failing = False

    def put(self, events: Iterable[Event]) -> None:
        by_stream: defaultdict[Stream, list[Event]] = defaultdict(list)
        for event in events:
            by_stream[event.stream].append(event)
        for stream, found in by_stream.items():
            found.sort(key=lambda event: event.time_ms)
            for batch in batches(found):
                self._put_batch(stream, batch)

    def _put_batch(self, stream: Stream, batch: list[Event]) -> None:
        body = {
            "logGroupName": stream.group,
            "logStreamName": stream.name,
            "logEvents": [{"timestamp": each.time_ms, "message": each.message} for each in batch],
        }
        try:
            self._make(stream)
            status, answer = self._call(stream.region, "PutLogEvents", body)
            if status == 400 and b"ResourceNotFoundException" in answer:
                self._made.discard(stream)
                self._make(stream)
                status, answer = self._call(stream.region, "PutLogEvents", body)
        except (OSError, http.client.HTTPException) as error:
            self._fail(str(error))
            return
        if status != 200:
            self._fail(f"{status} {answer[:200].decode(errors='replace')}")
        else:
            self._failing = False

    def _make(self, stream: Stream) -> None:
        if stream in self._made:
            return
        group = {"logGroupName": stream.group}
        self._call(stream.region, "CreateLogGroup", group)
        self._call(stream.region, "CreateLogStream", {**group, "logStreamName": stream.name})
        self._made.add(stream)

    def _call(self, region: str, action: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Logs_20140328.{action}",
            "Authorization": authorization(self._access_key, region, "logs"),
        }
        payload = json.dumps(body).encode()
        kept, self._connection = self._connection, None
        if kept is not None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self._exchange(kept, payload, headers)
        fresh = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        return self._exchange(fresh, payload, headers)

    def _exchange(
        self, connection: http.client.HTTPConnection, payload: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        try:
            connection.request("POST", "/", payload, dict(headers))
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return response.status, answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _fail(self, why: str) -> None:
        """Once for a row of failures: they come four times a second."""
        if not self._failing:
            self._say(f"CloudWatch Logs of the emulator at {self._host}:{self._port}: {why}")
        self._failing = True


def batches(events: list[Event]) -> list[list[Event]]:
    """Within PutLogEvents' limits: 10,000 events, 1 MiB with 26 bytes an event."""
    found: list[list[Event]] = []
    size = BATCH_BYTES
    for event in events:
        cost = len(event.message.encode()) + EVENT_OVERHEAD_BYTES
        if not found or size + cost > BATCH_BYTES or len(found[-1]) == BATCH_EVENTS:
            found.append([])
            size = 0
        found[-1].append(event)
        size += cost
    return found


def _say(text: str) -> None:
    sys.stderr.write(f"sandbox: {text}\n")
    sys.stderr.flush()
