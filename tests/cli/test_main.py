"""One grammar for every command: global options anywhere, words on stderr, four exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer

from triggerfish import __version__
from triggerfish.cli.app import add_global_options, new_app
from triggerfish.cli.context import Context
from triggerfish.cli.main import COMMANDS, build_app, run
from triggerfish.errors import (
    ConfigError,
    Conflict,
    Error,
    InputError,
    Problem,
    Refused,
    Unavailable,
)
from triggerfish.triggers import TRIGGERS

PROBLEM = Problem(file="triggerfish.toml", line=3, path="nam", found="x", wanted="y", hint="name?")


def failing_with(error: BaseException) -> typer.Typer:
    app = build_app([])

    @app.command()
    def fail() -> None:
        raise error

    add_global_options(app)
    return app


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """An app with `members`, `dead list` and `plain`, each of which prints its context."""
    module = ModuleType("sample_commands")
    dead = new_app(name="dead", help="Dead letters.")

    def shown(ctx: typer.Context) -> None:
        context = Context.of(ctx)
        typer.echo(json.dumps([context.stage, context.json]))

    def register(app: typer.Typer) -> None:
        @app.command("members")
        def members(
            ctx: typer.Context,
            group: Annotated[str, typer.Argument()] = "all",
            *,
            count: Annotated[int, typer.Option("--count")] = 1,
        ) -> None:
            """Show the members."""
            shown(ctx)
            typer.echo(f"{group} {count}")

        @dead.command("list")
        def dead_list(ctx: typer.Context) -> None:
            shown(ctx)

        @dead.command("drop")
        def dead_drop() -> None:
            typer.echo("dropped")

        app.add_typer(dead)

    module.register = register  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sample_commands", module)
    return build_app(["sample_commands"])


@pytest.mark.parametrize(
    ("argv", "seen"),
    [
        ("members", ["local", False]),
        ("--json members", ["local", True]),
        ("members --json", ["local", True]),
        ("--stage prod members", ["prod", False]),
        ("members --stage prod", ["prod", False]),
        ("members --stage=prod --json", ["prod", True]),
        ("--stage test members --stage prod", ["prod", False]),
        ("--stage prod --json dead list", ["prod", True]),
        ("dead list --stage prod --json", ["prod", True]),
    ],
)
def test_global_options_stand_anywhere(
    members: typer.Typer, argv: str, seen: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(members, argv.split()) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == seen


def test_command_keeps_its_own_parameters(
    members: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(members, ["members", "web", "--count", "3", "--json"]) == 0
    assert capsys.readouterr().out.splitlines() == ['["local", true]', "web 3"]
    assert run(members, ["dead", "drop", "--json"]) == 0
    assert capsys.readouterr().out == "dropped\n"


def test_help_of_a_command_lists_the_global_options(
    members: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(members, ["members", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--stage NAME" in out
    assert "--json" in out
    assert "--count" in out
    assert "Show the members." in out
    assert "global" not in out


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Error("it broke"), 1, "error: it broke\n"),
        (Refused("no", hint="ask again"), 1, "error: no\nhint: ask again\n"),
        (InputError("bad event"), 1, "error: bad event\n"),
        (Unavailable("later"), 3, "error: later\n"),
        (Conflict("lost"), 3, "error: lost\n"),
        (
            ConfigError([PROBLEM]),
            2,
            "error: triggerfish.toml:3: nam\n  found  x\n  wanted y\n  hint   name?\n",
        ),
        (
            ConfigError([PROBLEM, PROBLEM], hint="look"),
            2,
            (
                "error: triggerfish.toml:3: nam\n  found  x\n  wanted y\n  hint   name?\n"
                "error: triggerfish.toml:3: nam\n  found  x\n  wanted y\n  hint   name?\n"
                "error: 2 problems in triggerfish.toml\nhint: look\n"
            ),
        ),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (typer.Exit(1), 1, ""),
    ],
)
def test_error_is_said_on_stderr_and_is_an_exit_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing_with(error), ["fail"]) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", text)


def test_error_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing_with(Refused("tag \x1b[2J\x07")), ["fail"]) == 1
    assert capsys.readouterr().err == "error: tag \\x1b[2J\\x07\n"


def test_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(failing_with(ZeroDivisionError()), ["fail"])


@pytest.mark.parametrize(
    ("argv", "said_first", "command"),
    [
        (["membrs"], "No such command 'membrs'. Did you mean 'members'?", "triggerfish"),
        (["members", "--count", "many"], "Invalid value for '--count': ", "triggerfish members"),
        (["dead", "list", "--stge", "x"], "No such option: --stge", "triggerfish dead list"),
        (["dead"], "Missing command.", "triggerfish dead"),
    ],
)
def test_wrong_command_line_is_a_usage_error(
    members: typer.Typer,
    argv: list[str],
    said_first: str,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(members, argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {said_first}")
    assert said.err.endswith(f"\nhint: {command} --help lists what it takes\n")


def test_no_command_shows_the_help_as_talk(
    members: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(members, []) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Usage: triggerfish [OPTIONS] COMMAND [ARGS]...")


def test_version_is_data(members: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(members, ["--version"]) == 0
    assert capsys.readouterr().out == f"triggerfish {__version__}\n"


WORKS = """
import sys, time
from triggerfish.cli import main
def register(app):
    @app.command()
    def many():
        for number in range(100_000):
            print(number)
    @app.command()
    def wait():
        print("waiting", flush=True)
        time.sleep(60)
sys.modules["sample_commands"] = sys.modules["__main__"]
main.COMMANDS = ("sample_commands",)
sys.exit(main.main())
"""


@pytest.fixture
def works(tmp_path: Path) -> list[str]:
    script = tmp_path / "works.py"
    script.write_text(WORKS)
    return [sys.executable, str(script)]


def test_reader_that_leaves_is_no_traceback(works: list[str]) -> None:
    with subprocess.Popen(
        [*works, "many"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_ctrl_c_ends_quietly(works: list[str]) -> None:
    with subprocess.Popen(
        [*works, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate() == (b"", b"")
        assert process.returncode == 130


def test_commands_come_from_every_trigger() -> None:
    assert set(COMMANDS) >= {f"{package}.commands" for package in TRIGGERS.values()}


def test_help_imports_nothing_slow() -> None:
    """`--help` is quick: what a command needs is imported when it runs."""
    code = (
        "import sys\n"
        "from triggerfish.cli.main import main\n"
        "assert main(['--help']) == 0\n"
        "slow = {'boto3', 'botocore', 'moto', 'rich', 'urllib3', 'asyncio'}\n"
        "print(*sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stderr.split() == []
    assert "Usage: triggerfish" in shown.stdout
