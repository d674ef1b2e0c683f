"""One child process of the local cloud: started, found ready, stopped; its words kept in a file."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING, TextIO

from triggerfish.errors import Refused, Unavailable
from triggerfish.local.child import SECONDS_TO_STOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

READY_WITHIN_S = 20.0
LAST_WORDS = 12
"""How many lines of its log are shown when a child fails to start."""


class Child:
    """A process that follows `triggerfish.local.child`: it can't outlive this one."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        """Start it; `wait_until_ready` says when it serves. It keeps `inherited` open."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log: TextIO = log.open("a", encoding="utf-8")
        self._log_start = log.stat().st_size
        try:
            self._process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=dict(environment) if environment is not None else None,
                pass_fds=inherited,
                # Ctrl-C is for us: we stop the children, in order.
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise Unavailable(f"{name} can't be started: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> Mapping[str, object]:
        """Give what it announced. Raises Unavailable with its last words when it doesn't."""
        line = self._first_line(within_s)
        try:
            announced = json.loads(line)
        except ValueError:
            announced = None
        if not isinstance(announced, dict) or not announced.get("ready"):
            code = self._exit_code_soon()
            how = f"ended with exit status {code}" if code is not None else "didn't get ready"
            raise Unavailable(
                f"{self.name} {how}\n{self._last_words()}", hint=f"its whole log: {self.log}"
            )
        return announced

    def _first_line(self, within_s: float) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise Refused(f"{self.name} has no standard output")
        descriptor, text = stdout.fileno(), b""
        end = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in text and selector.select(max(0.0, end - time.monotonic())):
                part = os.read(descriptor, 4096)
                if not part:
                    break
                text += part
        return text

    def _exit_code_soon(self) -> int | None:
        try:
            return self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return None

    def _last_words(self) -> str:
        said = self.log.read_bytes()[self._log_start :]  # earlier runs are in it too
        lines = said.decode("utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LAST_WORDS:])

    def ask_to_stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it, whatever it does, and reap it."""
        self.ask_to_stop()
        try:
            self._process.wait(SECONDS_TO_STOP + 1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
