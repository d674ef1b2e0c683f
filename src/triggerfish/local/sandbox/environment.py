"""An execution environment: one process, its Runtime API and its log, one invocation at a time.

Unlike AWS's, it isn't frozen between invocations, and a runtime that died is replaced by a whole
new environment, so what it left in /tmp is gone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from triggerfish.local.sandbox.environ import Injected, Place, function_environment
from triggerfish.local.sandbox.http import Connection
from triggerfish.local.sandbox.limits import MIB, PROCESSES
from triggerfish.local.sandbox.loglines import FrameReader, LineSplitter
from triggerfish.local.sandbox.logs import Event, LogWriter, Stream
from triggerfish.local.sandbox.process import Launch, Pipes, Process, open_pipe
from triggerfish.local.sandbox.runtime_api import Invocation, RuntimeApi, time_out
from triggerfish.local.sandbox.usage import HAS_PROC, measure, measure_exactly, peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from triggerfish.local.sandbox.functions import Function
    from triggerfish.local.sandbox.isolation import Isolation
    from triggerfish.local.sandbox.runtime_api import Answer

WATCH_S = 0.005 if HAS_PROC else 0.05
WATCH_SHARE = 20
"""Measuring may take one part in so many of the time."""
READ_BYTES = 65536

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What every environment on this machine shares."""

    isolation: Isolation
    injected: Injected
    logs: LogWriter
    python: Callable[[str], Path]
    """The interpreter for a runtime."""


def new_stream(function: Function) -> Stream:
    day = datetime.now(UTC).strftime("%Y/%m/%d")
    return Stream(
        region=function.id.region,
        function=function.id.name,
        group=function.log_group,
        name=f"{day}/[{function.id.version}]{secrets.token_hex(16)}",
    )


class Environment:
    def __init__(self, function: Function, code: Path, host: Host, stream: Stream) -> None:
        self.function = function
        self.code = code
        self.stream = stream
        self.initialised = False
        self.idle_since = 0.0
        self.killed_for: Literal["memory", "processes"] | None = None
        self.tail: list[str] = []
        """What was logged since it was last emptied."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._api = RuntimeApi()
        self._lines = LineSplitter()
        self._frames = FrameReader()
        self._highest_bytes = 0
        self._watching: asyncio.TimerHandle | None = None
        self._output, output = open_pipe(self._loop, self._read_output)
        self._telemetry, telemetry = open_pipe(self._loop, self._read_telemetry)
        self._closed = False
        self._killed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server: asyncio.Server | None = None
        try:
            self._process = Process(
                self._launch(telemetry), Pipes(output=output, telemetry=telemetry)
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(output)
            os.close(telemetry)
        self._process.exited.add_done_callback(self._exited)

    @property
    def alive(self) -> bool:
        return not self._killed and not self._process.exited.done()

    @property
    def reusable(self) -> bool:
        """Whether the client will ask for another event."""
        return self.alive and self.initialised and not self._api.client_ends

    @property
    def root(self) -> int | None:
        return self._process.root

    @property
    def failure(self) -> str | None:
        """Why the process could not be made, if that is why it exited."""
        return self._process.failure

    async def initialise(self, seconds: float) -> Answer | None:
        """Wait until the function's code is loaded; None when it is, else what went wrong."""
        self._server = await self._loop.create_server(
            lambda: Connection(self._api.handle), sock=self._listener
        )
        outcome = await self._within(seconds, self._api.initialised)
        self.initialised = outcome is None
        return outcome

    async def run(self, invocation: Invocation, seconds: float) -> Answer:
        return await self._within(seconds, self._api.offer(invocation))

    async def _within(self, seconds: float, answer: asyncio.Future[T]) -> T:
        timer = self._loop.call_later(seconds, time_out, answer)
        self._watching = self._loop.call_later(WATCH_S, self._watch)
        try:
            return await answer
        finally:
            timer.cancel()
            self._watching.cancel()

    def kill(self) -> None:
        self._killed = True
        self._process.kill()

    def wait(self, seconds: float) -> None:
        """Block until it's gone; for the end of the sandbox, when the loop runs no more."""
        self._process.wait(seconds)

    def used_bytes(self) -> int:
        """The most it ever used. Kills it where that was over the limit, however briefly."""
        if self.root is not None and self.alive:
            peak = peak_bytes(self.root, counts_root=self._counts_root)
            self._highest_bytes = max(self._highest_bytes, peak)
            if self._highest_bytes > self.function.memory_mb * MIB:
                self._kill_for("memory")
        return self._highest_bytes

    def log(self, message: str, time_ms: int | None = None) -> None:
        self.tail.append(message)
        at = time.time_ns() // 1_000_000 if time_ms is None else time_ms
        self._host.logs.put(Event(self.stream, at, message))

    def drain(self) -> None:
        """Take all the function has said so far, so that what is logged next comes after it."""
        if not self._closed:
            self._read_telemetry(self._telemetry)
            self._read_output(self._output)
        for line in self._lines.flush():
            self.log(line)

    @property
    def _counts_root(self) -> bool:
        return self._host.isolation.mode == "none"

    def _launch(self, telemetry: int) -> Launch:
        task_root = self._host.isolation.task_root or str(self.code)
        place = Place(
            task_root=task_root,
            runtime_api=f"127.0.0.1:{self._listener.getsockname()[1]}",
            log_stream=self.stream.name,
            log_fd=telemetry,
        )
        return Launch(
            python=self._host.python(self.function.runtime),
            mode=self._host.isolation.mode,
            code=self.code,
            function=self.function,
            environment=function_environment(self.function, place, self._host.injected),
        )

    def _watch(self) -> None:
        pause = WATCH_S
        if self.root is not None:
            began = time.perf_counter()
            self._check_usage(self.root)
            pause = max(WATCH_S, (time.perf_counter() - began) * WATCH_SHARE)
        self._watching = self._loop.call_later(pause, self._watch)

    def _check_usage(self, root: int) -> None:
        limit = self.function.memory_mb * MIB
        usage = measure(root, counts_root=self._counts_root)
        memory = usage.memory_bytes
        if memory > limit:
            memory = measure_exactly(root, counts_root=self._counts_root)
        self._highest_bytes = max(self._highest_bytes, memory)
        if memory > limit:
            self._kill_for("memory")
        elif usage.tasks > PROCESSES:  # only where the kernel doesn't refuse the last one
            self.log(f"[sandbox] {usage.tasks} processes and threads; Lambda allows {PROCESSES}")
            self._kill_for("processes")

    def _kill_for(self, reason: Literal["memory", "processes"]) -> None:
        self.killed_for = reason
        self.kill()

    def _read_output(self, fd: int) -> None:
        while data := self._read(fd):
            for line in self._lines.feed(data):
                self.log(line)

    def _read_telemetry(self, fd: int) -> None:
        while data := self._read(fd):
            for time_ms, message in self._frames.feed(data):
                self.log(message, time_ms)

    def _read(self, fd: int) -> bytes:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._loop.remove_reader(fd)
        return data

    def _exited(self, exited: asyncio.Future[int]) -> None:
        self.drain()
        self._api.exited(exited.result())
        self._close()

    def _close(self) -> None:
        self._closed = True
        for fd in (self._output, self._telemetry):
            self._loop.remove_reader(fd)
            os.close(fd)
        if self._server is not None:
            self._server.close()
        self._listener.close()
