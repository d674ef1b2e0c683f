"""Plain TOML values to the model's classes, telling every fault on the way.

msgspec stops at the first fault. This walks the same types and converts them one by one; a table
with a fault becomes a `Partial`, so that the rules between keys still run on all that is right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec.inspect as types

from triggerfish.config.words import default_of, wanted, without_none
from triggerfish.durations import Duration
from triggerfish.faults import (
    Fault,
    KeyPath,
    described,
    did_you_mean,
    kind,
    nearest,
    one_of,
    quoted,
    show,
)
from triggerfish.secret_reference import SecretReference
from triggerfish.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from triggerfish.text_value import TextValue

    Report = Callable[[Fault], None]


class Unknown(Exception):
    """What a rule wanted to read has a fault that is told already."""


class _Failed:
    """The value of a key with a fault."""


FAILED: Final = _Failed()


class Partial:
    """A table some of whose keys have a fault: reading one of these raises `Unknown`."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise Unknown(name)


def convert(value: object, model: type, report: Report, *, in_local_stage: bool) -> Any:
    """`value` as `model`, or as a `Partial` after every fault was reported."""
    return _Converter(report, in_local_stage).convert(value, types.type_info(model), ())


class _Converter:
    def __init__(self, report: Report, in_local_stage: bool) -> None:  # noqa: FBT001
        self._report = report
        self._in_local_stage = in_local_stage

    def convert(  # noqa: PLR0911  one case a type
        self, value: object, wanted_type: types.Type, path: KeyPath, extra: Mapping[str, Any] = {}
    ) -> object:
        match wanted_type:
            case types.Metadata():
                inner = {**extra, **(wanted_type.extra or {})}
                return self.convert(value, wanted_type.type, path, inner)
            case types.UnionType():
                return self.convert(value, without_none(wanted_type), path, extra)
            case types.StructType():
                return self._struct(value, wanted_type, path)
            case types.DictType():
                return self._dict(value, wanted_type, path)
            case types.VarTupleType():
                return self._array(value, wanted_type, path)
            case types.CustomType():
                return self._text_value(value, wanted_type, path, extra)
            case types.StrType():
                return self._string(value, wanted_type, path, extra)
            case _:
                return self._plain(value, wanted_type, path)

    def _fail(
        self, path: KeyPath, found: str, wanted_words: str, hint: str | None = None
    ) -> _Failed:
        self._report(Fault(path, found, wanted_words, hint))
        return FAILED

    def _struct(self, value: object, wanted_type: types.StructType, path: KeyPath) -> object:
        fields = {field.encode_name: field for field in wanted_type.fields}
        if not isinstance(value, dict):
            self._fail(path, kind(value), "a table")
            return Partial({})
        meant = self._unknown_keys(value, fields, path)
        converted: dict[str, object] = {}
        whole = True
        for name, field in fields.items():
            if name in value:
                found = self.convert(value[name], field.type, (*path, name))
                if found is FAILED:
                    whole = False
                else:
                    converted[name] = found
            elif field.required:
                whole = False
                if name not in meant:
                    self._fail((*path, name), "no such key", wanted(field.type))
            else:
                converted[name] = default_of(field)
        return wanted_type.cls(**converted) if whole else Partial(converted)

    def _unknown_keys(
        self, table: Mapping[str, object], fields: Mapping[str, types.Field], path: KeyPath
    ) -> set[str]:
        """Report the keys that mean nothing; the names they are probably typos of."""
        meant = set()
        absent = [name for name in fields if name not in table]
        for name in table:
            if name in fields:
                continue
            near = nearest(name, absent) or nearest(name, fields)
            meant.update([near] if near else [])
            self._fail(
                (*path, name),
                "an unknown key",
                f"a key of {_header(path)}" if near else f"one of {one_of(fields)}",
                f"did you mean {near}?" if near else None,
            )
        return meant

    def _dict(self, value: object, wanted_type: types.DictType, path: KeyPath) -> object:
        if not isinstance(value, dict):
            return self._fail(path, kind(value), "a table")
        tables = isinstance(wanted_type.value_type, types.StructType)
        converted = {}
        for name, each in value.items():
            inner = (*path, name)
            if self.convert(name, wanted_type.key_type, inner) is FAILED:
                continue
            if tables and not isinstance(each, dict):
                hint = f"write it below [{show(path)}.NAME], with a name of your own"
                self._fail(inner, kind(each), "a table", hint)
                continue
            found = self.convert(each, wanted_type.value_type, inner)
            if found is not FAILED:
                converted[name] = found
        return converted

    def _array(self, value: object, wanted_type: types.VarTupleType, path: KeyPath) -> object:
        if not isinstance(value, list):
            tables = isinstance(wanted_type.item_type, types.StructType)
            found, hint = (kind(value), None) if tables else (described(value), None)
            if tables and isinstance(value, dict):
                hint = f"write [[{show(path)}]] above each"
            elif not tables and isinstance(value, str):
                hint = f"write [{quoted(value)}]"
            return self._fail(path, found, wanted(wanted_type), hint)
        if len(value) < (wanted_type.min_length or 0):
            return self._fail(path, "an empty array", f"{wanted(wanted_type)}, at least one")
        converted = tuple(
            self.convert(each, wanted_type.item_type, (*path, position))
            for position, each in enumerate(value)
        )
        return FAILED if FAILED in converted else converted

    def _text_value(
        self, value: object, wanted_type: types.CustomType, path: KeyPath, extra: Mapping[str, Any]
    ) -> object:
        words = wanted(wanted_type, extra)
        cls: type[TextValue] = wanted_type.cls
        if cls is SecretReference:
            return self._secret(value, path, words)
        if not isinstance(value, str):
            return self._fail(path, described(value), words)
        try:
            parsed = cls.parse(value)
        except ValueError as error:
            why, _, hint = str(error).partition("; ")
            return self._fail(path, f"{described(value)}, where {why}", words, hint or None)
        return self._checked(parsed, path, extra, words)

    def _secret(self, value: object, path: KeyPath, words: str) -> object:
        """Nothing of `value` is told: where a reference is wanted it may be the secret itself."""
        if not isinstance(value, str):
            return self._fail(path, kind(value), words)
        try:
            reference = SecretReference.parse(value)
        except ValueError as error:
            return self._fail(path, f"a text (not shown): {error}", words)
        if reference.scheme == "env" and not self._in_local_stage:
            return self._fail(path, f'"{reference}", which only the local stage has', words)
        return reference

    def _checked(
        self, parsed: TextValue, path: KeyPath, extra: Mapping[str, Any], words: str
    ) -> object:
        if isinstance(parsed, Duration) and not (
            extra.get("least", parsed).seconds
            <= parsed.seconds
            <= extra.get("most", parsed).seconds
        ):
            return self._fail(path, described(str(parsed)), words)
        if isinstance(parsed, Template) and "fields" in extra:
            for name in sorted(parsed.fields.difference(extra["fields"])):
                found = f"{described(parsed.text)}, where {{{name}}} isn't known yet"
                return self._fail(path, found, words)
            if not parsed.text:
                return self._fail(path, "an empty text", words)
        return parsed

    def _string(
        self, value: object, wanted_type: types.StrType, path: KeyPath, extra: Mapping[str, Any]
    ) -> object:
        words = wanted(wanted_type, extra)
        if not isinstance(value, str):
            hint = "texts need quotes" if isinstance(value, int | float) else None
            return self._fail(path, described(value), words, hint)
        if len(value) < (wanted_type.min_length or 0):
            return self._fail(path, "an empty text", words)
        if wanted_type.max_length is not None and len(value) > wanted_type.max_length:
            most = wanted_type.max_length
            return self._fail(path, f"{len(value)} characters", f"at most {most} characters")
        if not value.isprintable():
            return self._fail(path, described(value), f"{words} without control characters")
        if wanted_type.pattern is not None and not re.search(wanted_type.pattern, value):
            return self._fail(path, described(value), words)
        return value

    def _plain(self, value: object, wanted_type: types.Type, path: KeyPath) -> object:
        words = wanted(wanted_type)
        match wanted_type:
            case types.IntType(ge=least, le=most):
                if not isinstance(value, int) or isinstance(value, bool):
                    digits = isinstance(value, str) and value.isdecimal()
                    hint = "write it without quotes" if digits else None
                    return self._fail(path, described(value), words, hint)
                if (least is not None and value < least) or (most is not None and value > most):
                    return self._fail(path, described(value), words)
            case types.BoolType():
                if not isinstance(value, bool):
                    return self._fail(path, described(value), words)
            case types.LiteralType(values=values):
                if not isinstance(value, str) or value not in values:
                    hint = did_you_mean(value, map(str, values)) if isinstance(value, str) else None
                    return self._fail(path, described(value), words, hint)
            case _:
                raise NotImplementedError(f"the config has no {wanted_type}")
        return value


def _header(path: KeyPath) -> str:
    """How the table at `path` is begun in TOML."""
    if not path:
        return "the top level"
    names = show(tuple(part for part in path if isinstance(part, str)))
    return f"[[{names}]]" if isinstance(path[-1], int) else f"[{names}]"
