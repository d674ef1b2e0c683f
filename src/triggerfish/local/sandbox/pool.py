"""Which environment an invocation gets: a warm one, a new one, or none because of a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.local.sandbox.environment import Environment, new_stream

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.local.sandbox.environment import Host
    from triggerfish.local.sandbox.functions import Found, Function, FunctionName
    from triggerfish.local.sandbox.logs import Stream


class Throttled(Exception):
    """A concurrency limit is reached. `reason` is AWS's word for which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pools:
    """All environments of the sandbox, `most` at a time."""

    def __init__(self, host: Host, *, most: int) -> None:
        self._host = host
        self._most = most
        self._current: dict[FunctionName, Function] = {}
        self._idle: dict[FunctionName, list[Environment]] = {}
        self._busy: dict[FunctionName, set[Environment]] = {}

    def acquire(self, found: Found, code: Path) -> Environment:
        """The environment used last, or a new one not yet initialised. Raises: Throttled."""
        function = found.function
        busy = self._busy.setdefault(function.id, set())
        if found.reserved_concurrency is not None and len(busy) >= found.reserved_concurrency:
            raise Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        self._current[function.id] = function
        environment = self._take_idle(function)
        if environment is None:
            self._make_room()
            environment = Environment(function, code, self._host, new_stream(function))
        busy.add(environment)
        return environment

    def replace(self, environment: Environment) -> Environment:
        """A fresh process where the last one failed, writing to the same log."""
        self.retire(environment)
        stream: Stream = environment.stream
        fresh = Environment(environment.function, environment.code, self._host, stream)
        self._busy[environment.function.id].add(fresh)
        return fresh

    def release(self, environment: Environment, now: float) -> None:
        """Keep it warm for the next invocation, unless it died or the function has changed."""
        name = environment.function.id
        if not environment.reusable or self._current.get(name) != environment.function:
            self.retire(environment)
            return
        self._busy[name].discard(environment)
        environment.idle_since = now
        self._idle.setdefault(name, []).append(environment)

    def retire(self, environment: Environment) -> None:
        self._busy[environment.function.id].discard(environment)
        environment.kill()

    def reap(self, *, idle_before: float) -> None:
        """End the environments idle since before that time, and drop those that died."""
        for environments in self._idle.values():
            for environment in list(environments):
                if environment.idle_since < idle_before or not environment.reusable:
                    environments.remove(environment)
                    environment.kill()

    def all(self) -> list[Environment]:
        idle = [each for environments in self._idle.values() for each in environments]
        return [*idle, *(each for environments in self._busy.values() for each in environments)]

    def describe(self) -> list[dict[str, object]]:
        """For a person or a test: what is running."""
        return [
            {
                "function": environment.function.id.name,
                "region": environment.function.id.region,
                "log_stream": environment.stream.name,
                "pid": environment.root,
                "busy": environment in self._busy[environment.function.id],
            }
            for environment in self.all()
        ]

    def _take_idle(self, function: Function) -> Environment | None:
        idle = self._idle.get(function.id, [])
        while idle:
            environment = idle.pop()
            if environment.reusable and environment.function == function:
                return environment
            environment.kill()
        return None

    def _make_room(self) -> None:
        if len(self.all()) < self._most:
            return
        idle = [each for environments in self._idle.values() for each in environments]
        if not idle:
            raise Throttled("ConcurrentInvocationLimitExceeded")
        oldest = min(idle, key=lambda environment: environment.idle_since)
        self._idle[oldest.function.id].remove(oldest)
        oldest.kill()
