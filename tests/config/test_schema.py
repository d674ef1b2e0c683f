"""The JSON Schema agrees with `check` on what it can say."""

import tomllib
from collections.abc import Iterator
from importlib.resources import files

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.config.samples import GOOD, JENKINS, TOP, WEB, changed, told
from triggerfish.config.schema import schema

SAMPLE = files("triggerfish.config").joinpath("sample.toml").read_text("utf-8")


def errors_of(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema())
    return [error.json_path for error in validator.iter_errors(tomllib.loads(text))]


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [TOP, GOOD, SAMPLE], ids=["least", "usual", "init"])
def test_what_check_accepts_the_schema_accepts(text: str) -> None:
    assert told(text) == []
    assert errors_of(text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (changed(TOP, name='name = "Shop"'), "$.name"),
        (TOP + "regoin = 1\n", "$"),
        (TOP + "[functions]\nmemory = 1\n", "$.functions.memory"),
        (TOP + "[functions]\nruntime = 'python2'\n", "$.functions.runtime"),
        (TOP + changed(JENKINS, token='token = "hunter2"'), "$.jenkins.main.token"),
        (TOP + changed(JENKINS, user=None), "$.jenkins.main"),
        (TOP + WEB + "timeout = 30\n", "$.provision[0].timeout"),
        (TOP + WEB + "size = 0\n", "$.provision[0].size"),
        (TOP + changed(WEB, jobs="jobs = []"), "$.provision[0].jobs"),
    ],
)
def test_what_the_schema_refuses_check_refuses(text: str, path: str) -> None:
    assert errors_of(text) == [path]
    assert told(text) != []


def test_every_key_has_a_description_and_none_allows_null() -> None:
    made = schema()
    tables = made["$defs"]
    assert isinstance(tables, dict)
    without = [
        f"{table}.{key}"
        for table, definition in tables.items()
        for key, each in definition["properties"].items()
        if not each.get("description")
    ]
    assert without == []
    assert "null" not in list(_texts(made))


def test_defaults_are_as_they_are_written() -> None:
    made = schema()["$defs"]
    assert isinstance(made, dict)
    properties = made["ProvisionGroup"]["properties"]
    assert (properties["timeout"]["default"], properties["ttl"]["default"]) == ("30m", "1m")
    assert made["Config"]["properties"]["functions"]["default"] == {
        "runtime": "python3.13",
        "architecture": "arm64",
    }


def _texts(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        for each in node.values():
            yield from _texts(each)
    elif isinstance(node, list):
        for each in node:
            yield from _texts(each)
    else:
        yield "null" if node is None else node
