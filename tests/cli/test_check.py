"""`triggerfish check` tells every problem, in words or as JSON."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import typer

from tests.config.samples import GOOD, TOP
from triggerfish.cli.context import Context
from triggerfish.cli.main import build_app, run
from triggerfish.config.schema import schema
from triggerfish.triggers import TRIGGERS, room


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.chdir(tmp_path)
    return build_app(["triggerfish.cli.check"])


def test_right_config_is_said_to_be_right(
    app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "triggerfish.toml").write_text(GOOD)
    assert run(app, ["check"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        "triggerfish.toml: no problem for stage local (2 provision)\n",
    )


def test_config_without_triggers_is_right(
    app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP + "[stage.prod]\n")
    assert run(app, ["--stage", "prod", "check"]) == 0
    assert capsys.readouterr().err == "triggerfish.toml: no problem for stage prod\n"


def test_problems_are_said_and_are_exit_code_2(
    app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "triggerfish.toml").write_text('name = "Shop"\nregoin = "eu-central-1"\n')
    assert run(app, ["check"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "error: triggerfish.toml:1: name\n"
        '  found  "Shop"\n'
        "  wanted a lower-case letter, then up to 19 of a-z, 0-9 and -\n"
        "error: triggerfish.toml:2: regoin\n"
        "  found  an unknown key\n"
        "  wanted a key of the top level\n"
        "  hint   did you mean region?\n"
        "error: 2 problems in triggerfish.toml\n"
    )


def test_problems_are_data_with_json(
    app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP + "x = 1\n")
    assert run(app, ["check", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "file": "triggerfish.toml",
        "problems": [
            {
                "file": "triggerfish.toml",
                "line": 3,
                "path": "x",
                "found": "an unknown key",
                "wanted": (
                    "one of name, region, functions, stage, jenkins, provision, audit or notices"
                ),
                "hint": None,
            }
        ],
        "advice": [],
    }


def test_no_config_is_told_with_what_to_do(
    app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(app, ["check"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: triggerfish.toml: the file\n  found  none in {tmp_path}, ")
    assert said.endswith("  wanted one\nhint: triggerfish init writes one here\n")


def test_schema_needs_no_config(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


@dataclass(frozen=True)
class SampleAdvice:
    severity: str
    where: str = "group web"
    found: str = "grace period 0 s"
    why: str = "members are killed while they are provisioned"
    do: str = "set it to 1800 s"


@pytest.fixture
def advised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SampleAdvice]:
    """What the provision trigger will say."""
    (tmp_path / "triggerfish.toml").write_text(GOOD)
    commands = ModuleType("triggerfish.provision.commands")
    advice: list[SampleAdvice] = []

    def advise(context: Context) -> list[SampleAdvice]:
        assert context.config.name == "shop"
        return advice

    commands.advice = advise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triggerfish.provision.commands", commands)
    return advice


def test_advice_is_said_with_what_to_do(
    app: typer.Typer, advised: list[SampleAdvice], capsys: pytest.CaptureFixture[str]
) -> None:
    advised.append(SampleAdvice("warning"))
    assert run(app, ["check", "--aws"]) == 0
    assert capsys.readouterr().err == (
        "triggerfish.toml: no problem for stage local (2 provision)\n"
        "\n"
        "warning: group web: grace period 0 s\n"
        "  why    members are killed while they are provisioned\n"
        "  do     set it to 1800 s\n"
    )


def test_advice_that_is_an_error_is_exit_code_1(
    app: typer.Typer, advised: list[SampleAdvice], capsys: pytest.CaptureFixture[str]
) -> None:
    advised += [SampleAdvice("warning"), SampleAdvice("error")]
    assert run(app, ["check", "--aws", "--json"]) == 1
    advice = json.loads(capsys.readouterr().out)["advice"]
    assert [each["severity"] for each in advice] == ["warning", "error"]


def test_aws_is_asked_only_when_wanted(app: typer.Typer, advised: list[SampleAdvice]) -> None:
    advised.append(SampleAdvice("error"))
    assert run(app, ["check"]) == 0


def test_trigger_without_advice_has_none(
    app: typer.Typer, advised: list[SampleAdvice], monkeypatch: pytest.MonkeyPatch
) -> None:
    for trigger in TRIGGERS:
        monkeypatch.delattr(room(trigger, "commands"), "advice", raising=False)
    assert run(app, ["check", "--aws"]) == 0
    assert advised == []
