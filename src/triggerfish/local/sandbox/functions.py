"""What the emulator says a function is, asked at every invocation.

Why ask each time, and not be told by the supervisor: a function changes in many ways (a
CloudFormation update, UpdateFunctionCode, a change of its environment by hand), all of which end in
the emulator's Lambda API. GetFunction on a kept connection costs 0.4 ms, so nothing has to be
invalidated and no stale code can run. The code itself is downloaded when its hash is new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

import msgspec

from triggerfish.errors import InputError, Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.local.sandbox.code import CodeStore

PROXY_VARIABLE = "MINISTACK_LAMBDA_PROXY_URL"
"""How the emulator learns where functions run; no part of what the user configured."""

_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):function:"
    r"(?P<name>[a-zA-Z0-9-_]{1,140})(?::(?P<qualifier>[a-zA-Z0-9$_-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionName:
    region: str
    account: str
    name: str
    version: str = "$LATEST"


def parse_arn(arn: str, *, version: str = "$LATEST") -> FunctionName:
    """Raises: InputError for anything but a Lambda function's ARN."""
    found = _ARN.fullmatch(arn)
    if found is None:
        raise InputError(f"{arn!r} is no function ARN")
    return FunctionName(
        region=found["region"], account=found["account"], name=found["name"], version=version
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One state of a function. Two that are equal run in the same environments."""

    id: FunctionName
    revision: str
    code_sha256: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_s: int
    tmp_mb: int
    environment: tuple[tuple[str, str], ...]
    log_group: str
    log_json: bool
    log_level: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    function: Function
    location: str
    """Where the code is: path and query on the emulator."""
    reserved_concurrency: int | None


class _Environment(msgspec.Struct, frozen=True, rename="pascal"):
    variables: dict[str, str] = {}


class _Storage(msgspec.Struct, frozen=True, rename="pascal"):
    size: int = 512


class _Logging(msgspec.Struct, frozen=True, rename="pascal"):
    log_format: str = "Text"
    log_group: str = ""
    application_log_level: str | None = None


class _Configuration(msgspec.Struct, frozen=True, rename="pascal"):
    handler: str = ""
    runtime: str = ""
    memory_size: int = 128
    timeout: int = 3
    revision_id: str = ""
    code_sha256: str = ""
    last_modified: str = ""
    package_type: str = "Zip"
    layers: list[object] = []
    environment: _Environment | None = None
    ephemeral_storage: _Storage | None = None
    logging_config: _Logging | None = None


class _Code(msgspec.Struct, frozen=True, rename="pascal"):
    location: str = ""


class _Concurrency(msgspec.Struct, frozen=True, rename="pascal"):
    reserved_concurrent_executions: int | None = None


class _Answer(msgspec.Struct, frozen=True, rename="pascal"):
    configuration: _Configuration
    code: _Code = _Code()
    concurrency: _Concurrency | None = None


_decoder = msgspec.json.Decoder(_Answer)


def parse_function(body: bytes, name: FunctionName) -> Found:
    """Read GetFunction's answer. Raises: Refused for what the sandbox can't run."""
    try:
        answer = _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise Unavailable(f"GetFunction {name.name}: unreadable answer: {error}") from error
    configuration = answer.configuration
    if configuration.package_type != "Zip" or not configuration.runtime.startswith("python"):
        kind = configuration.runtime or f"package type {configuration.package_type}"
        raise Refused(f"{name.name} is {kind}: the sandbox runs zip packages on python runtimes")
    if configuration.layers:
        raise Refused(f"{name.name} uses layers: the sandbox runs none; package what they hold")
    variables = (configuration.environment or _Environment()).variables
    logging = configuration.logging_config or _Logging()
    function = Function(
        id=name,
        revision=f"{configuration.revision_id} {configuration.last_modified}",
        code_sha256=configuration.code_sha256,
        runtime=configuration.runtime,
        handler=configuration.handler,
        memory_mb=configuration.memory_size,
        timeout_s=configuration.timeout,
        tmp_mb=(configuration.ephemeral_storage or _Storage()).size,
        environment=tuple(sorted((k, v) for k, v in variables.items() if k != PROXY_VARIABLE)),
        log_group=logging.log_group or f"/aws/lambda/{name.name}",
        log_json=logging.log_format == "JSON",
        log_level=logging.application_log_level if logging.log_format == "JSON" else None,
    )
    location = urlsplit(answer.code.location)
    reserved = answer.concurrency.reserved_concurrent_executions if answer.concurrency else None
    return Found(
        function=function,
        location=f"{location.path}?{location.query}",
        reserved_concurrency=reserved,
    )


class Emulator(Protocol):
    """The emulator's HTTP endpoint."""

    async def get(self, path: str, *, service: str, region: str) -> tuple[int, bytes]:
        """Status and body. Raises: Unavailable."""


class Catalogue:
    """Functions and their code, from the emulator."""

    def __init__(self, emulator: Emulator, code: CodeStore) -> None:
        self._emulator = emulator
        self._code = code

    async def find(self, name: FunctionName) -> Found:
        """Raises: InputError where there is none, Refused, Unavailable."""
        query = "" if name.version == "$LATEST" else f"?Qualifier={quote(name.version)}"
        path = f"/2015-03-31/functions/{quote(name.name)}{query}"
        status, body = await self._emulator.get(path, service="lambda", region=name.region)
        if status == 404:
            arn = f"arn:aws:lambda:{name.region}:{name.account}:function:{name.name}"
            raise InputError(f"Function not found: {arn}")
        if status != 200:
            raise Unavailable(f"GetFunction {name.name}: the emulator answered {status}")
        return parse_function(body, name)

    async def code_folder(self, found: Found) -> Path:
        """The folder holding the function's code. Raises: Refused, Unavailable."""
        sha256 = found.function.code_sha256
        folder = self._code.find(sha256)
        if folder is None:
            region = found.function.id.region
            status, body = await self._emulator.get(found.location, service="s3", region=region)
            if status != 200 or not body:
                raise Refused(f"{found.function.id.name} has no code: the emulator stored none")
            folder = await self._code.add(body, sha256)
        return folder
