"""What deploy baked into the function, and what its environment says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from triggerfish.codec import decode
from triggerfish.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

FILE_NAME = "triggerfish_settings.json"
PARAMETERS = "TRIGGERFISH_PARAMETERS"


def load(type_: type[T], path: Path | None = None) -> T:
    """Read the settings of this function. Raises ConfigError."""
    path = path or _default_path(os.environ)
    try:
        return decode(path.read_bytes(), type_)
    except FileNotFoundError:
        found, hint = "no such file", "`triggerfish deploy` makes it"
    except msgspec.MsgspecError as error:
        found, hint = f"settings of another version ({error})", "deploy again"
    wanted = f"the settings of {type_.__name__}"
    raise ConfigError(
        [Problem(file=str(path), line=0, path="$", found=found, wanted=wanted, hint=hint)]
    )


def _default_path(environment: Mapping[str, str]) -> Path:
    """In Lambda `LAMBDA_TASK_ROOT` is the folder the artifact is unpacked in; else our own."""
    root = environment.get("LAMBDA_TASK_ROOT")
    return (Path(root) if root else Path(__file__).parents[2]) / FILE_NAME


def parameters(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The template parameters of this stage, by what they stand for; empty where there are none."""
    text = environment.get(PARAMETERS, "{}")
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise _bad_variable(PARAMETERS, f"{error}", "a JSON object of texts") from error


def variable(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a variable that the template always sets. Raises ConfigError where it is missing."""
    value = environment.get(name)
    if not value:
        raise _bad_variable(name, "nothing", "a value")
    return value


def _bad_variable(name: str, found: str, wanted: str) -> ConfigError:
    problem = Problem(file="environment", line=0, path=name, found=found, wanted=wanted)
    return ConfigError([problem], hint="the template sets it: deploy again")
