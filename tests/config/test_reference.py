"""docs/reference/config.md documents every key, as the model has it."""

from pathlib import Path

from triggerfish.config.load import parse
from triggerfish.config.model import Config
from triggerfish.config.reference import updated
from triggerfish.config.words import tables
from triggerfish.templates import MEMBER_FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "config.md"


def test_page_is_up_to_date() -> None:
    """If not: python -m triggerfish.config.reference docs/reference/config.md."""
    page = PAGE.read_text("utf-8")
    assert page == updated(page)


def test_every_key_is_in_the_section_of_its_table() -> None:
    sections = PAGE.read_text("utf-8").split("\n## ")
    by_title = {section.partition("\n")[0]: section for section in sections}
    undocumented = [
        f"{header}.{field.encode_name}"
        for header, table in tables(Config)
        for field in table.fields
        if f"\n| `{field.encode_name}` | " not in by_title[f"`{header}`" if header else "Top level"]
    ]
    assert undocumented == []


def test_every_template_field_is_documented() -> None:
    page = PAGE.read_text("utf-8")
    assert [name for name in MEMBER_FIELDS if f"| `{{{name}}}` |" not in page] == []


def test_example_of_the_page_is_right() -> None:
    example = PAGE.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
    assert parse(example).name == "shop"
