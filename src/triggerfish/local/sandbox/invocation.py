"""One invocation from start to REPORT: init, the time limit, and AWS's words for each failure."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from triggerfish.errors import Unavailable
from triggerfish.local.sandbox import limits
from triggerfish.local.sandbox.loglines import JsonLines, Report, TextLines, timestamp
from triggerfish.local.sandbox.runtime_api import Exited, Invocation, Reply, TimedOut

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.local.sandbox.environment import Environment
    from triggerfish.local.sandbox.functions import Found
    from triggerfish.local.sandbox.loglines import Lines
    from triggerfish.local.sandbox.pool import Pools
    from triggerfish.local.sandbox.runtime_api import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller asks."""

    request_id: str
    arn: str
    payload: bytes
    trace_id: str | None = None
    client_context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the caller gets."""

    body: bytes
    failed: bool
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What one answer of an environment means."""

    body: bytes
    status: Literal["success", "error", "timeout"]
    failed: bool
    error_type: str | None = None
    said: str | None = None
    """A line that Lambda itself writes into the log about it."""


class InvocationRun:
    """Runs one call. Holds what its steps share; used once."""

    def __init__(self, pools: Pools, found: Found, call: Call) -> None:
        self._pools = pools
        self._function = found.function
        self._found = found
        self._call = call
        self._lines: Lines = JsonLines if found.function.log_json else TextLines
        self._init_ms: float | None = None
        self._began = 0.0

    async def run(self, code: Path) -> Outcome:
        """Raises: Throttled; Unavailable where this machine can't make an environment."""
        environment = self._pools.acquire(self._found, code)
        try:
            environment.tail.clear()
            if not environment.initialised:
                environment = await self._initialise(environment)
            verdict = await self._run_on(environment)
        except BaseException:
            self._pools.retire(environment)
            raise
        body = self._report(environment, verdict)
        self._pools.release(environment, time.monotonic())
        log = "\n".join(environment.tail)
        return Outcome(body=body.body, failed=body.failed, log=log)

    async def _initialise(self, environment: Environment) -> Environment:
        """The init phase. Where it fails, init runs once more inside the invocation, as on AWS."""
        if line := self._lines.init_start(self._function.runtime, _now()):
            environment.log(line)
        began = time.perf_counter()
        answer = await environment.initialise(limits.INIT_S)
        init_ms = (time.perf_counter() - began) * 1000
        if answer is None:
            self._init_ms = init_ms
            return environment
        self._log_init(environment, "init", init_ms, answer)
        return self._pools.replace(environment)

    async def _run_on(self, environment: Environment) -> _Verdict:
        function = self._function
        environment.log(self._lines.start(self._call.request_id, function.id.version, _now()))
        self._began = time.perf_counter()
        deadline_ms = math.floor(time.time() * 1000) + function.timeout_s * 1000
        if not environment.initialised:
            answer = await environment.initialise(function.timeout_s)
            if answer is not None:
                self._log_init(environment, "invoke", self._elapsed_ms(), answer)
                return self._judge(environment, answer, in_init=True)
        invocation = Invocation(
            request_id=self._call.request_id,
            arn=self._call.arn,
            deadline_ms=deadline_ms,
            trace_id=self._call.trace_id or new_trace_id(),
            payload=self._call.payload or b"{}",
            client_context=self._call.client_context,
        )
        left = function.timeout_s - self._elapsed_ms() / 1000
        return self._judge(environment, await environment.run(invocation, left))

    def _judge(
        self, environment: Environment, answer: Answer, *, in_init: bool = False
    ) -> _Verdict:
        request_id = self._call.request_id
        if environment.failure is not None:
            raise Unavailable(f"no environment for {self._function.id.name}: {environment.failure}")
        environment.used_bytes()
        if environment.killed_for is not None:
            return self._killed(environment.killed_for)
        match answer:
            case Reply(error_type=None):
                return _Verdict(body=answer.body, status="success", failed=False)
            case Reply():
                status: Literal["success", "error"] = "error" if in_init else "success"
                return _Verdict(
                    body=answer.body, status=status, failed=True, error_type=answer.error_type
                )
            case TimedOut():
                environment.kill()
                text = limits.timed_out(request_id, self._function.timeout_s)
                said = f"{timestamp(_now())} {request_id} {text.partition('Error: ')[2]}\n"
                body = limits.error_body("Sandbox.Timedout", text)
                return _Verdict(body=body, status="timeout", failed=True, said=said)
            case Exited():
                text = limits.runtime_exited(request_id, answer.wait_status)
                return _exit(text, "Runtime.ExitError")

    def _killed(self, reason: Literal["memory", "processes"]) -> _Verdict:
        text = limits.runtime_exited(self._call.request_id, limits.SIGNAL_KILLED)
        return _exit(text, "Runtime.OutOfMemory" if reason == "memory" else "Runtime.ExitError")

    def _report(self, environment: Environment, verdict: _Verdict) -> _Verdict:
        """Log how it went. Everything here is in memory: writing is the log thread's."""
        elapsed_ms = self._elapsed_ms()
        if verdict.status == "timeout":
            elapsed_ms = self._function.timeout_s * 1000.0
        environment.drain()
        if verdict.said:
            environment.log(verdict.said)
        memory_mb = self._function.memory_mb
        report = Report(
            request_id=self._call.request_id,
            duration_ms=elapsed_ms,
            memory_mb=memory_mb,
            used_mb=min(math.ceil(environment.used_bytes() / limits.MIB), memory_mb),
            init_ms=self._init_ms,
            status=verdict.status,
            error_type=verdict.error_type,
        )
        for line in self._lines.end(report, _now()):
            environment.log(line)
        return verdict

    def _log_init(
        self, environment: Environment, phase: str, init_ms: float, answer: Answer
    ) -> None:
        environment.drain()
        verdict = self._judge(environment, answer, in_init=True)
        line = self._lines.init_report(init_ms, phase, verdict.status, verdict.error_type, _now())
        environment.log(line)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _exit(text: str, error_type: str) -> _Verdict:
    return _Verdict(
        body=limits.error_body("Runtime.ExitError", text),
        status="error",
        failed=True,
        error_type=error_type,
        said=f"{text}\nRuntime.ExitError",
    )


def _now() -> datetime:
    return datetime.now(UTC)


def new_trace_id() -> str:
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
