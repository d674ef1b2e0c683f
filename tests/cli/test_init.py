"""`triggerfish init` writes a file that passes `check`, and never over another."""

import json
from pathlib import Path

import pytest
import typer

from triggerfish.cli.init import stack_name
from triggerfish.cli.main import build_app, run
from triggerfish.config.load import load


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "My Shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def app() -> typer.Typer:
    return build_app(["triggerfish.cli.init", "triggerfish.cli.check"])


@pytest.mark.parametrize("stage", ["local", "prod"])
def test_written_file_passes_check(app: typer.Typer, project: Path, stage: str) -> None:
    assert run(app, ["init"]) == 0
    assert run(app, ["check", "--stage", stage]) == 0
    assert load(project / "triggerfish.toml", stage).name == "my-shop"


@pytest.mark.parametrize("comment", ["finish", "hook", "timeout", "attempts", "on_failure", "ttl"])
def test_every_commented_setting_is_right(app: typer.Typer, project: Path, comment: str) -> None:
    assert run(app, ["init"]) == 0
    path = project / "triggerfish.toml"
    text = path.read_text("utf-8")
    assert f"\n# {comment} = " in text
    path.write_text(text.replace(f"\n# {comment} = ", f"\n{comment} = "), "utf-8")
    load(path)


def test_vpc_of_the_comments_is_right(app: typer.Typer, project: Path) -> None:
    assert run(app, ["init"]) == 0
    path = project / "triggerfish.toml"
    text = path.read_text("utf-8").replace("# subnets", "subnets")
    path.write_text(text.replace("# security_groups", "security_groups"), "utf-8")
    assert load(path).jenkins["main"].subnets == ("subnet-0a1b2c3d4e5f60718",)


def test_existing_file_is_kept(
    app: typer.Typer, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "triggerfish.toml"
    path.write_text("mine")
    assert run(app, ["init"]) == 1
    said = capsys.readouterr()
    assert path.read_text() == "mine"
    assert said.err == (f"error: {path} exists\nhint: triggerfish init --force overwrites it\n")


def test_link_to_nowhere_is_kept(app: typer.Typer, project: Path) -> None:
    (project / "triggerfish.toml").symlink_to(project / "elsewhere")
    assert run(app, ["init"]) == 1
    assert not (project / "elsewhere").exists()


def test_force_overwrites(
    app: typer.Typer, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "triggerfish.toml"
    path.write_text("mine")
    assert run(app, ["init", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(path)}
    assert load(path).name == "my-shop"


def test_file_that_cannot_be_written_is_told(
    app: typer.Typer, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "triggerfish.toml"
    path.mkdir()
    assert run(app, ["init", "--force"]) == 1
    assert capsys.readouterr().err == f"error: {path} can't be written: Is a directory\n"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My Shop", "my-shop"),
        ("2026_web.infra", "web-infra"),
        ("a" * 19 + "-b", "a" * 19),
        ("---", "shop"),
        ("", "shop"),
        ("\u00fcber", "ber"),
    ],
)
def test_name_resembles_the_folder(folder: str, name: str) -> None:
    assert stack_name(folder) == name
