"""Tells whoever a job names with `on_success` of its builds, until they answer 2xx."""

from __future__ import annotations

import http.client
import json
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    Pending = Callable[[], list[tuple[str, dict[str, object]]]]

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_TIMEOUT_S = 5.0


class Notifier:
    """Sleeps until woken; pauses longer after each round in which something failed."""

    def __init__(self, pending: Pending, delivered: Callable[[str, int], None]) -> None:
        self._pending = pending
        self._delivered = delivered
        self._woken = threading.Event()
        self._stopped = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()

    def run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            self._woken.clear()
            if self._deliver_all():
                pause_s = _FIRST_PAUSE_S
                self._woken.wait()
            else:
                self._stopped.wait(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _deliver_all(self) -> bool:
        """Whether nothing is left to deliver."""
        complete = True
        for url, body in self._pending():
            if self._stopped.is_set():
                return True
            if post(url, body):
                self._delivered(str(body["job"]), int(str(body["build"])))
            else:
                complete = False
        return complete


def post(url: str, body: dict[str, object]) -> bool:
    """POST the body as JSON; whether the answer is 2xx."""
    parts = urlsplit(url)
    try:
        connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
        try:
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            content = json.dumps(body).encode()
            connection.request("POST", path, content, {"Content-Type": "application/json"})
            return 200 <= connection.getresponse().status < 300
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return False
