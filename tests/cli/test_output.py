"""Data goes to stdout, talk to stderr, and neither can steer the terminal."""

import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.config.samples import GOOD, TOP
from triggerfish.cli import output
from triggerfish.cli.context import Context
from triggerfish.durations import Duration
from triggerfish.errors import ConfigError


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Member:
    number: int
    name: str
    since: datetime
    ttl: Duration
    reason: str | None = None


MEMBER = Member(7, "wéb-07", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), Duration(60))


def test_data_is_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Context.print_data([MEMBER])
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == [
        {
            "number": 7,
            "name": "wéb-07",
            "since": "2026-01-02T03:04:05Z",
            "ttl": "1m",
            "reason": None,
        }
    ]
    assert "wéb-07" in said.out


def test_json_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Context.print_data({"name": "a\x1b[2Jb\x9b"})
    assert capsys.readouterr().out == '{\n  "name": "a\\u001b[2Jb\\u009b"\n}\n'


def test_talk_goes_to_stderr_unsteered(capsys: pytest.CaptureFixture[str]) -> None:
    Context.say("one\ntwo \x1b[2J\r\u202e")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "one\ntwo \\x1b[2J\\r\\u202e\n")


def test_show_is_json_or_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = ["number", "name", "reason"], [[7, "web-07", None], [12, "[red]x\x1b[0m", "y"]]
    Context(json=True).show([1], columns=columns, rows=rows)
    assert json.loads(capsys.readouterr().out) == [1]
    Context().show([1], columns=columns, rows=rows)
    said = capsys.readouterr()
    assert said.err == ""
    assert [line.rstrip() for line in said.out.splitlines()] == [
        "number  name           reason",
        "─────────────────────────────",
        "7       web-07",
        "12      [red]x\\x1b[0m  y",
    ]


def test_table_in_a_pipe_is_never_folded(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["name"], [["x" * 300]])
    assert "x" * 300 in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
def test_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    output.print_table(["name", "domain"], [["web-07", "x" * 200]])
    lines = re.sub(r"\x1b\[\d*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(line.count("x") for line in lines) == 200


@pytest.mark.parametrize(
    ("environment", "painted"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    environment: dict[str, str], *, painted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    output.complain("no", "ask")
    expected = (
        "\x1b[1;31merror:\x1b[0m no\n\x1b[1;36mhint:\x1b[0m ask\n"
        if painted
        else "error: no\nhint: ask\n"
    )
    assert terminal.getvalue() == expected
    assert not output.shows_colour(io.StringIO())


def test_problem_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with pytest.raises(ConfigError) as caught:
        Context(start=Path("/nonexistent")).config_file  # noqa: B018  reading it is the call
    output.complain_of(caught.value.problems, caught.value.hint)
    assert terminal.getvalue() == (
        "error: triggerfish.toml: the file\n"
        "  found  none in /nonexistent, /\n"
        "  wanted one\n"
        "hint: triggerfish init writes one here\n"
    )


def test_context_knows_its_project(tmp_path: Path) -> None:
    (tmp_path / "triggerfish.toml").write_text(GOOD)
    (tmp_path / "inner").mkdir()
    context = Context(start=tmp_path / "inner")
    assert context.is_local
    assert context.project == tmp_path
    assert context.config.name == "shop"


def test_config_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "triggerfish.toml"
    path.write_text(TOP)
    context = Context(start=tmp_path)
    first = context.config
    path.write_text("broken")
    assert context.config is first


def test_config_is_that_of_the_stage(tmp_path: Path) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP)
    with pytest.raises(ConfigError, match="no such stage"):
        Context(stage="prod", start=tmp_path).config  # noqa: B018  reading it is the call
