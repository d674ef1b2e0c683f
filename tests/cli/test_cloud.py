"""`up`, `demo`, `mail` and whatever needs a local cloud, where there is none or another one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from triggerfish.cli import cloud
from triggerfish.local.project import LocalProject, Running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.project import Project


@pytest.mark.parametrize(
    "command",
    [
        "members",
        "members web",
        "members --json",
        "explain i-0123456789abcdef0",
        "release web 1",
        "release web 1 --force",
        "next web",
        "status",
        "status --json",
        "send launch --group web",
        "send terminate --group web --instance i-0123456789abcdef0",
        "send standby --group web",
        "send attach --group web",
        "send duplicate --group web",
        "mail",
        "check --aws",
    ],
)
def test_command_without_a_local_cloud_says_how_to_start_one(
    project: Project, command: str
) -> None:
    assert project.run(command) == (
        3,
        "",
        (f"error: no local cloud runs in {project.folder}\nhint: start it with `triggerfish up`\n"),
    )


@pytest.mark.parametrize(
    "command",
    ["members wbe", "release wbe 1", "next wbe", "send launch --group wbe", "members wbe --json"],
)
def test_typing_error_in_a_group_is_found_before_anything_else(
    project: Project, command: str
) -> None:
    assert project.run(command) == (
        1,
        "",
        "error: triggerfish.toml has no group wbe; it has web, search\nhint: did you mean web?\n",
    )


def test_group_that_resembles_none_gets_no_hint(project: Project) -> None:
    assert project.run("members 12345") == (
        1,
        "",
        "error: triggerfish.toml has no group 12345; it has web, search\n",
    )


def test_stage_that_nobody_configured(project: Project) -> None:
    code, out, err = project.run("members --stage prdo")
    assert (code, out) == (2, "")
    assert "stage.prdo\n  found  no such stage\n  wanted local or prod\n" in err
    assert err.endswith("did you mean prod?\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "up --stage prod",
            "error: `up` runs the local stage, not prod\nhint: leave out --stage\n",
        ),
        (
            "mail --stage prod",
            (
                "error: mail of prod goes to people; only the local stage keeps it\n"
                "hint: leave out --stage\n"
            ),
        ),
    ],
)
def test_what_is_local_is_refused_elsewhere(project: Project, command: str, said: str) -> None:
    assert project.run(command) == (1, "", said)


def test_up_beside_another_says_where_that_one_is(project: Project) -> None:
    local = LocalProject(project.folder)
    with local.locked():
        local.announce(
            Running(
                pid=4711,
                started_at="2026-11-24T12:00:00+00:00",
                stack="shop-local",
                region="eu-west-1",
                addresses={"aws": "http://127.0.0.1:4566", "fleet": "http://127.0.0.1:5000"},
                parameters={},
            )
        )
        assert project.run("up") == (
            1,
            "",
            (
                "error: a local cloud runs here already (process 4711):"
                " aws at http://127.0.0.1:4566, fleet at http://127.0.0.1:5000\n"
                "hint: use it from any terminal in this project, or stop it with Ctrl-C where it"
                " runs\n"
            ),
        )
        assert local.expect_running().pid == 4711


def test_up_without_a_config_says_where_it_looked(project: Project) -> None:
    (project.folder / "triggerfish.toml").unlink()
    code, out, err = project.run("up")
    assert (code, out) == (2, "")
    assert err.startswith("error: triggerfish.toml: the file\n  found  none in ")
    assert err.endswith("hint: triggerfish init writes one here\n")


def test_up_with_a_wrong_config_starts_nothing(project: Project) -> None:
    (project.folder / "triggerfish.toml").write_text('name = "shop"\n')
    code, out, err = project.run("up")
    assert (code, out) == (2, "")
    assert "triggerfish.toml: region" in err
    assert not (project.folder / ".triggerfish").exists()


@pytest.fixture
def _signals_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    kept = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, action in kept.items():
        signal.signal(number, action)


@pytest.mark.usefixtures("_signals_as_they_were")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_as_ctrl_c_does(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    stop = cloud._stop_signals()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    assert stop.is_set()


@pytest.mark.usefixtures("_signals_as_they_were")
def test_hang_up_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    cloud._stop_signals()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
