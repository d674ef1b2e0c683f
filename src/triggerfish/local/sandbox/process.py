"""One process of the Lambda interpreter, with all it starts: begun, watched and killed as one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.local.sandbox.isolation import BOOTSTRAP
from triggerfish.local.sandbox.limits import FILES, MIB, PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from triggerfish.local.sandbox.functions import Function

PORTABLE_CLIENT = Path(__file__).with_name("portable_client.py")
REAP_S = 0.002
DIES_WITH_PARENT = bool(sys.platform == "linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """The ends a new process writes to; closed here once it runs."""

    output: int
    telemetry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start it."""

    python: Path
    mode: str
    code: Path
    function: Function
    environment: Mapping[str, str]


class Process:
    """Must be started from a thread that lives as long as the sandbox: the kernel kills the process
    when the thread that started it ends.
    """

    def __init__(self, launch: Launch, pipes: Pipes) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()
        """The wait status of the runtime; SIGKILL's where we killed it."""
        self.failure: str | None = None
        """Why the environment could not be made, where that is why it exited."""
        self.root: int | None = None
        """The process all others descend from, as this machine numbers it."""
        self._loop = loop
        self._told, teller = os.pipe()
        self._lifeline: int | None = None
        try:
            self._popen = self._start(launch, pipes, teller)
        except BaseException:
            os.close(self._told)
            raise
        finally:
            os.close(teller)
        self._heard = b""
        self._wait_status: int | None = None
        os.set_blocking(self._told, False)
        loop.add_reader(self._told, self._hear)

    def kill(self) -> None:
        if self._popen.returncode is None:
            os.killpg(self._popen.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Block until it's gone; for the end of the sandbox, when the loop runs no more."""
        self._popen.wait(seconds)

    def _start(self, launch: Launch, pipes: Pipes, teller: int) -> subprocess.Popen[bytes]:
        passed = [teller, pipes.telemetry]
        options = bootstrap_options(launch)
        held = None
        if not DIES_WITH_PARENT:
            held, self._lifeline = os.pipe()
            options["lifeline"] = held
            passed.append(held)
        command = [str(launch.python), "-s", str(BOOTSTRAP), str(teller), json.dumps(options)]
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=pipes.output,
                stderr=pipes.output,
                env=dict(launch.environment),
                pass_fds=passed,
                start_new_session=True,
            )
        finally:
            if held is not None:
                os.close(held)

    def _hear(self) -> None:
        data = os.read(self._told, 4096)
        if not data:
            self._loop.remove_reader(self._told)
            os.close(self._told)
            self._reap()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.root = said.get("root", self.root)
            self.failure = said.get("failed", self.failure)
            self._wait_status = said.get("exit", self._wait_status)

    def _reap(self) -> None:
        code = self._popen.poll()
        if code is None:
            self._loop.call_later(REAP_S, self._reap)
            return
        if self._lifeline is not None:
            os.close(self._lifeline)
        status = self._wait_status
        if status is None:
            status = -code if code < 0 else code << 8
        if not self.exited.done():
            self.exited.set_result(status)


def bootstrap_options(launch: Launch) -> dict[str, object]:
    """What `bootstrap.py` reads from its second argument."""
    return {
        "mode": launch.mode,
        "sandbox": os.getpid(),
        "code": str(launch.code),
        "tmp_bytes": launch.function.tmp_mb * MIB,
        "files": FILES,
        "processes": PROCESSES,
        "handler": launch.function.handler,
        "portable_client": str(PORTABLE_CLIENT),
        "locale_is_ours": "LC_CTYPE" not in launch.environment,
    }


def open_pipe(loop: asyncio.AbstractEventLoop, read: Callable[[int], None]) -> tuple[int, int]:
    """A pipe whose read end wakes the loop. Returns (read end, write end)."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    loop.add_reader(reader, read, reader)
    return reader, writer
