"""The tables of docs/reference/config.md, made from the model so that they can't lie about it.

`python -m triggerfish.config.reference PAGE` writes them below the marker of PAGE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from triggerfish.config.model import Config
from triggerfish.config.words import default_of, tables, wanted
from triggerfish.faults import quoted
from triggerfish.text_value import TextValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec.inspect as types

MARKER = "<!-- made by triggerfish.config.reference from here on -->\n"


def reference() -> str:
    """Markdown: one table of keys for each table of the config."""
    return "".join(_section(header, struct) for header, struct in tables(Config))


def updated(page: str) -> str:
    """`page` with the present tables below its marker."""
    return page.partition(MARKER)[0] + MARKER + reference()


def _section(header: str, struct: types.StructType) -> str:
    title = f"`{header}`" if header else "Top level"
    rows = "\n".join(_rows(struct))
    return (
        f"\n## {title}\n\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n{rows}\n"
    )


def _rows(struct: types.StructType) -> Iterator[str]:
    for field in struct.fields:
        metadata = cast("types.Metadata", field.type)
        meaning = (metadata.extra_json_schema or {})["description"]
        cells = [f"`{field.encode_name}`", wanted(metadata), _default(field), meaning]
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: types.Field) -> str:
    if field.required:
        return "required"
    match default_of(field):
        case str() | TextValue() as text:
            return f"`{quoted(str(text))}`"
        case bool() as answer:
            return f"`{str(answer).lower()}`"
        case int() as number:
            return f"`{number}`"
        case _:
            return "none"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text("utf-8")), "utf-8")
