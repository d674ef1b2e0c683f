"""A template is a text with fields of a member."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.templates import Field, Template

MEMBER: dict[str, str | int] = {
    "number": 7,
    "group": "web",
    "instance": "i-0a1b2c3d4e5f60718",
    "az": "eu-central-1b",
    "name": "web-07",
    "domain": "web-07.internal.example.com",
    "address": "192.0.2.7",
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain", "plain"),
        ("", ""),
        ("web-{number}", "web-7"),
        ("web-{number:02}", "web-07"),
        ("{number:04}", "0007"),
        ("{group}-{az}-{instance}", "web-eu-central-1b-i-0a1b2c3d4e5f60718"),
        ("{name} {domain} {address}", "web-07 web-07.internal.example.com 192.0.2.7"),
        ("{{number}} {number}", "{number} 7"),
        ("}}{{", "}{"),
        ('{{"n": {number}}}', '{"n": 7}'),
    ],
)
def test_fields_are_replaced_and_double_braces_are_one(text: str, rendered: str) -> None:
    assert Template(text).render(**MEMBER) == rendered


def test_width_is_a_least_width() -> None:
    assert Template("{number:02}").render(number=123) == "123"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{nummber}", "{nummber} is no field; did you mean {number}?"),
        ("{Number}", "{Number} is no field; did you mean {number}?"),
        ("{ number }", "{ number } is no field; did you mean {number}?"),
        ("{zzz}", "{zzz} is no field"),
        ("{}", "{} is no field"),
        ("{number!r}", "{number!r} is no field; did you mean {number}?"),
        ("{number.real}", "{number.real} is no field; did you mean {number}?"),
        ("{group:02}", "{group:02} has a width, which only {number} takes"),
        ("{number:2}", "{number:2} has a width that isn't 01 to 09, as in {number:02}"),
        ("{number:}", "{number:} has a width that isn't 01 to 09, as in {number:02}"),
        ("{number:00}", "{number:00} has a width that isn't 01 to 09, as in {number:02}"),
        ("{number:012}", "{number:012} has a width that isn't 01 to 09, as in {number:02}"),
        ("web-{number", 'the "{" at character 5 is never closed'),
        ("web-}", 'the "}" at character 5 closes nothing; "}}" is one brace'),
    ],
)
def test_what_is_no_template_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole text is compared
        Template.parse(text)
    assert str(caught.value) == message


def test_parts_and_fields_are_told() -> None:
    template = Template("web-{number:02}.{az}")
    assert template.parts == ("web-", Field("number", 2), ".", Field("az"))
    assert template.fields == {"number", "az"}


def test_field_without_a_value_is_a_programming_error() -> None:
    with pytest.raises(KeyError, match="number"):
        Template("{number}").render(group="web")


def test_templates_are_equal_when_their_texts_are() -> None:
    assert Template("{number}") == Template.parse("{number}")
    assert str(Template("{number}")) == "{number}"


@given(st.text())
def test_escaped_text_renders_as_itself(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert Template(escaped).render() == text
