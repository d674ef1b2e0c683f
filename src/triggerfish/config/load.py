"""Finds and reads triggerfish.toml: a `Config`, or a `ConfigError` with every problem at once."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from triggerfish.config.convert import Unknown, convert
from triggerfish.config.lines import lines_of
from triggerfish.config.model import Config
from triggerfish.errors import ConfigError, Problem
from triggerfish.faults import Fault, did_you_mean, key, one_of, show
from triggerfish.triggers import TRIGGERS, has_room, room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from triggerfish.faults import KeyPath

FILE_NAME = "triggerfish.toml"

_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


def find(start: Path) -> Path:
    """The triggerfish.toml in `start` or the nearest folder above it."""
    folder = start.absolute()
    places = [folder, *folder.parents]
    for place in places:
        if (place / FILE_NAME).is_file():
            return place / FILE_NAME
    looked_in = ", ".join(str(place) for place in places)
    raise ConfigError(
        [
            Problem(
                file=FILE_NAME, line=0, path="the file", found=f"none in {looked_in}", wanted="one"
            )
        ],
        hint="triggerfish init writes one here",
    )


def load(path: Path, stage: str = "local") -> Config:
    """The config in the file `path`, as `stage` uses it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        found = error.strerror or type(error).__name__
        raise _cannot_read(path.name, found, "a file that can be read") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _cannot_read(path.name, "bytes that are not UTF-8", "UTF-8 text", line) from error
    return parse(text, stage, file=path.name, folder=path.parent)


def parse(
    text: str, stage: str = "local", *, file: str = FILE_NAME, folder: Path | None = None
) -> Config:
    """The config written in `text`; `file` is the name the problems carry.

    With `folder`, the files beside it that belong to the config are read too.
    """
    document = _toml(text, file)
    faults: list[Fault] = []
    config = convert(document, Config, faults.append, in_local_stage=stage == "local")
    faults += _broken_rules(config, stage)
    if not faults and folder is not None:
        config = _with_files(config, folder, faults)
    if faults:
        try:
            lines = lines_of(text)
        except RecursionError:  # as deep as the TOML parser just bears
            lines = {}
        problems = [_problem(fault, lines, file) for fault in dict.fromkeys(faults)]
        raise ConfigError(sorted(problems, key=lambda problem: problem.line))
    assert isinstance(config, Config)  # noqa: S101  `convert` gives a Partial only after a fault
    return config


def _toml(text: str, file: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(str(error), text, file)]) from error
    except RecursionError as error:
        raise _cannot_read(file, "arrays or tables too deep in each other", "TOML") from error
    except ValueError as error:  # Python's limit of 4300 digits for an integer
        raise _cannot_read(file, "a number of thousands of digits", "TOML") from error


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    """What `tomllib` says in one sentence, taken apart. It never quotes a value."""
    position = _POSITION.search(message)
    what = _POSITION.sub("", message)
    if position is None or position["line"] is None:
        line, where = text.rstrip().count("\n") + 1, "the end"
        hint: str | None = "a bracket or quote is never closed"
    else:
        line, where = int(position["line"]), f"column {position['column']}"
        hint = _syntax_hint(what)
    return Problem(
        file=file,
        line=line,
        path=where,
        found=f"a syntax error, {what[:1].lower()}{what[1:]}",
        wanted="TOML",
        hint=hint,
    )


def _syntax_hint(what: str) -> str | None:
    if what.startswith("Invalid value"):
        return 'texts need quotes, as in key = "text"'
    if what.startswith(("Cannot overwrite", "Cannot declare", "Duplicate")):
        return "it is written twice"
    return None


def _broken_rules(config: Any, stage: str) -> Iterator[Fault]:
    """What the rules between keys find; a rule that reads a key with a fault finds nothing."""
    for rules in (stage_rules, *_rules_of_triggers()):
        try:
            for rule in rules(config, stage):
                try:
                    yield from rule
                except Unknown:
                    continue
        except Unknown:
            continue


def _rules_of_triggers() -> Iterator[Callable[[Any, str], Iterator[Iterable[Fault]]]]:
    """A trigger may have a module `config_rules` with a tuple `RULES`."""
    for trigger in TRIGGERS:
        if has_room(trigger, "config_rules"):
            yield from room(trigger, "config_rules").RULES


def _with_files(config: Any, folder: Path, faults: list[Fault]) -> Any:
    """A trigger's `config_rules` may have `with_files(config, folder, lines_of)`.

    It gives what becomes of the trigger's part of the config, and what is wrong in the files.
    """
    for trigger in TRIGGERS:
        with_files = (
            getattr(room(trigger, "config_rules"), "with_files", None)
            if has_room(trigger, "config_rules")
            else None
        )
        if with_files is not None:
            part, found = with_files(config, folder, lines_of)
            faults += found
            config = replace(config, **{trigger: part})
    return config


def stage_rules(config: Config, stage: str) -> Iterator[Iterable[Fault]]:
    yield _stage_is_known(config, stage)


def _stage_is_known(config: Config, stage: str) -> Iterator[Fault]:
    known = ["local", *config.stage]
    if stage not in known:
        hint = did_you_mean(stage, known) or f"write [stage.{key(stage)}] to have it"
        yield Fault(("stage", stage), "no such stage", one_of(known), hint)


def _problem(fault: Fault, lines: Mapping[KeyPath, int], file: str) -> Problem:
    return Problem(
        file=file,
        line=_line(fault.path, lines),
        path=show(fault.path),
        found=fault.found,
        wanted=fault.wanted,
        hint=fault.hint,
    )


def _line(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of the key, or of the nearest table around it that is written; 0 when none is."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _cannot_read(file: str, found: str, wanted: str, line: int = 0) -> ConfigError:
    return ConfigError([Problem(file=file, line=line, path="the file", found=found, wanted=wanted)])
