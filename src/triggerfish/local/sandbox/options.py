"""The sandbox's command line, for both who writes it and who reads it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from triggerfish.local.sandbox.environ import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Wanted = Literal["best", "namespaces", "user-namespaces", "none"]

LOCAL_CREDENTIALS = Credentials(access_key="test", secret_key="test", session_token="test")  # noqa: S106


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    state: Path
    """Holds `code/` (unpacked functions) and `logs/<function>.log`."""
    aws_url: str
    """The emulator: functions and code come from it, logs go to it."""
    default_python: Path
    """The interpreter with awslambdaric for every runtime that has none of its own."""
    pythons: Mapping[str, Path] = field(default_factory=dict)
    """Runtime (`python3.13`) to its interpreter."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service to URL, put into every function's environment as AWS_ENDPOINT_URL_<SERVICE>."""
    credentials: Credentials = LOCAL_CREDENTIALS
    secrets: Sequence[str] = ()
    """Variables of the sandbox's own environment that functions are given too."""
    port: int = 0
    isolation: Wanted = "best"
    environments: int = 100
    idle_s: float = 300.0


def to_arguments(options: Options) -> list[str]:
    """What follows `python -m triggerfish.local.sandbox`."""
    keys = options.credentials
    credentials = f"{keys.access_key}:{keys.secret_key}:{keys.session_token}"
    return [
        f"--port={options.port}",
        f"--state={options.state}",
        f"--aws-url={options.aws_url}",
        f"--lambda-python={options.default_python}",
        *(f"--lambda-python={runtime}={path}" for runtime, path in options.pythons.items()),
        *(f"--endpoint={service}={url}" for service, url in options.endpoints.items()),
        f"--credentials={credentials}",
        *(f"--secret-variable={name}" for name in options.secrets),
        f"--isolation={options.isolation}",
        f"--environments={options.environments}",
        f"--idle-seconds={options.idle_s}",
    ]


def from_arguments(arguments: Sequence[str]) -> Options:
    """Exits with status 2 for what it can't read."""
    parser = argparse.ArgumentParser(prog="python -m triggerfish.local.sandbox", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--aws-url", required=True)
    parser.add_argument("--lambda-python", action="append", required=True)
    parser.add_argument("--endpoint", action="append", default=[])
    parser.add_argument("--credentials", default="test:test:test")
    parser.add_argument("--secret-variable", action="append", default=[])
    parser.add_argument("--isolation", choices=get_args(Wanted), default="best")
    parser.add_argument("--environments", type=int, default=100)
    parser.add_argument("--idle-seconds", type=float, default=300.0)
    given = parser.parse_args(arguments)
    pythons = dict(_pair(each) for each in given.lambda_python)
    default = pythons.pop("", None)
    if default is None:
        parser.error("one --lambda-python must be a plain path: the interpreter for other runtimes")
    keys = given.credentials.split(":", 2)
    if len(keys) != 3:
        parser.error("--credentials: wanted KEY:SECRET:TOKEN")
    if any("=" not in each for each in given.endpoint):
        parser.error("--endpoint: wanted SERVICE=URL, or =URL for every other service")
    return Options(
        state=given.state.resolve(),
        aws_url=given.aws_url,
        default_python=Path(default),
        pythons={runtime: Path(path) for runtime, path in pythons.items()},
        endpoints=dict(each.split("=", 1) for each in given.endpoint),
        credentials=Credentials(access_key=keys[0], secret_key=keys[1], session_token=keys[2]),
        secrets=tuple(given.secret_variable),
        port=given.port,
        isolation=given.isolation,
        environments=given.environments,
        idle_s=given.idle_seconds,
    )


def _pair(text: str) -> tuple[str, str]:
    """`python3.13=/path` is for that runtime; a plain path is for all others."""
    runtime, separator, path = text.partition("=")
    return (runtime, path) if separator and runtime.startswith("python3.") else ("", text)
