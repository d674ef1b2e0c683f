"""What may stand at a key, in words: for the errors and for the reference page."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec.inspect as types
from msgspec import NODEFAULT

from triggerfish.durations import Duration
from triggerfish.faults import one_of, quoted
from triggerfish.secret_reference import FORMS, SecretReference
from triggerfish.templates import Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def wanted(kind: types.Type, extra: Mapping[str, object] | None = None) -> str:  # noqa: C901, PLR0911  one case a type
    """`an integer from 1 to 10`."""
    extra = extra or {}
    match kind:
        case types.Metadata():
            return wanted(kind.type, {**extra, **(kind.extra or {})})
        case types.UnionType():
            return wanted(without_none(kind), extra)
        case types.StrType():
            return str(
                extra.get("wanted", "a string that isn't empty" if kind.min_length else "a string")
            )
        case types.BoolType():
            return "true or false"
        case types.IntType():
            return "an integer" + _range(kind.ge, kind.le)
        case types.LiteralType():
            return one_of(quoted(str(value)) for value in sorted(kind.values, key=str))
        case types.CustomType():
            return _wanted_text(kind.cls, extra)
        case types.StructType():
            return "a table"
        case types.DictType():
            return f"a table whose values are each {wanted(kind.value_type)}"
        case types.VarTupleType():
            return "an array" + _each(kind.item_type)
        case _:
            raise NotImplementedError(f"the config has no {kind}")


def default_of(field: types.Field) -> object:
    """`NODEFAULT` for a key that must be there."""
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def tables(model: type) -> Iterator[tuple[str, types.StructType]]:
    """Each table of the config with the header that begins it (`[[provision]]`, "" at the top)."""
    waiting: list[tuple[str, types.Type]] = [("", types.type_info(model))]
    while waiting:
        path, kind = waiting.pop(0)
        match kind:
            case types.StructType():
                yield path and (path if path.endswith("]") else f"[{path}]"), kind
                inside = f"{path.strip('[]')}." if path else ""
                waiting[:0] = [(f"{inside}{f.encode_name}", f.type) for f in kind.fields]
            case types.UnionType():
                waiting.insert(0, (path, without_none(kind)))
            case types.Metadata(type=inner):
                waiting.insert(0, (path, inner))
            case types.DictType(value_type=inner):
                waiting.insert(0, (f"{path}.NAME", inner))
            case types.VarTupleType(item_type=inner):
                waiting.insert(0, (f"[[{path}]]", inner))
            case _:
                continue


def without_none(kind: types.UnionType) -> types.Type:
    """The one type of `X | None`: TOML has no null, a key is left out instead."""
    (only,) = (each for each in kind.types if not isinstance(each, types.NoneType))
    return only


def _wanted_text(cls: type, extra: Mapping[str, object]) -> str:
    if cls is SecretReference:
        return f"a reference to a secret: {FORMS}"
    if cls is Duration:
        limits = _range(extra.get("least"), extra.get("most"))
        return f'a duration{limits}, written as "90s", "30m", "2h" or "1d"'
    if cls is Template:
        fields = one_of(f"{{{name}}}" for name in cast("tuple[str, ...]", extra["fields"]))
        return f"a text that may hold {fields}"
    raise NotImplementedError(f"the config has no {cls.__name__}")


def _range(least: object, most: object) -> str:
    return "" if least is None and most is None else f" from {least} to {most}"


def _each(kind: types.Type) -> str:
    inner = kind.type if isinstance(kind, types.Metadata) else kind
    if isinstance(inner, types.StructType):
        return " of tables"
    words = wanted(kind)
    return " of strings" if words.startswith("a string") else f" whose items are each {words}"
