"""A running sandbox, the fake emulator behind it, and the questions tests ask of both."""

from __future__ import annotations

import http.client
import json
import subprocess
import textwrap
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from triggerfish.local.environments import lambda_python
from triggerfish.local.fakes.lambda_api import FakeLambdaApi
from triggerfish.local.sandbox import Options, command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from triggerfish.local.sandbox.options import Wanted

RUNTIME = lambda_python("python3.13")
SECONDS_TO_HAPPEN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes
    error: str | None
    error_type: str | None

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def fields(self) -> dict[str, object]:
        return cast("dict[str, object]", self.json)


def eventually(true: Callable[[], object], what: str) -> None:
    """Wait for a condition; the time is only how long a failing test takes."""
    until = time.monotonic() + SECONDS_TO_HAPPEN
    while not true():
        assert time.monotonic() < until, f"{what}: not within {SECONDS_TO_HAPPEN} s"
        time.sleep(0.01)


class Api(Protocol):
    """What stands in for the emulator, or is it."""

    @property
    def url(self) -> str: ...


class Lab:
    def __init__(
        self, api: Api, state: Path, *, isolation: Wanted = "best", idle_s: float = 300.0
    ) -> None:
        self._api = api
        self.state = state
        self._stderr = (state / "stderr").open("wb")
        options = Options(
            state=state,
            aws_url=api.url,
            default_python=RUNTIME.path,
            endpoints={"": "http://127.0.0.1:9", "auto_scaling": "http://127.0.0.1:10"},
            isolation=isolation,
            idle_s=idle_s,
        )
        self.child = subprocess.Popen(
            command(options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={"HOST_SECRET": "leaked", "HOME": str(state)},
        )
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, (state / "stderr").read_text()
        self.ready: dict[str, object] = json.loads(line)
        self.port = urlsplit(str(self.ready["url"])).port

    @property
    def api(self) -> FakeLambdaApi:
        assert isinstance(self._api, FakeLambdaApi)
        return self._api

    def stop(self) -> int:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.close()
        code = self.child.wait(SECONDS_TO_HAPPEN)
        self.child.stdout.close()
        self._stderr.close()
        return code

    @property
    def said(self) -> str:
        return (self.state / "stderr").read_text()

    def put(self, source: str, *, name: str | None = None, **configuration: object) -> str:
        """Make a function with this source, or replace the one of that name. Returns its ARN."""
        named = name or f"f-{uuid.uuid4().hex[:12]}"
        put = cast("Callable[..., str]", self.api.put)
        return put(named, textwrap.dedent(source), **configuration)

    def invoke(
        self, arn: str, event: object = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            all_headers = {"X-Amzn-Lambda-Function-Arn": arn, **(headers or {})}
            connection.request("POST", "/", payload, all_headers)
            response = connection.getresponse()
            return Answer(
                status=response.status,
                body=response.read(),
                error=response.headers["X-Amz-Function-Error"],
                error_type=response.headers["X-Amzn-ErrorType"],
            )
        finally:
            connection.close()

    def run(
        self,
        source: str,
        event: object = None,
        *,
        name: str | None = None,
        **configuration: object,
    ) -> Answer:
        return self.invoke(self.put(source, name=name, **configuration), event)

    def environments(self) -> list[dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/")
            state = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return cast("list[dict[str, object]]", state["environments"])

    def environments_of(self, arn: str) -> list[dict[str, object]]:
        name = arn.rpartition(":")[2]
        return [each for each in self.environments() if each["function"] == name]

    def log(self, arn: str, *, until: str = " REPORT RequestId") -> str:
        """The function's log file, once it holds `until`."""
        path = self.state / "logs" / f"{arn.rpartition(':')[2]}.log"
        eventually(lambda: path.exists() and until in path.read_text(), f"{until} in {path}")
        return path.read_text()


def processes_marked(mark: str) -> list[int]:
    """Processes of this machine that have the mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
