from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.config.samples import TOP
from tests.notices.test_config import MAIL
from tests.notices.world import World, make_notice
from triggerfish.cli import stage as stages
from triggerfish.cli.app import new_app
from triggerfish.cli.context import Context
from triggerfish.cli.main import build_app, run
from triggerfish.cli.stage import OpenStage
from triggerfish.errors import Unavailable
from triggerfish.notice import Notice
from triggerfish.notices.commands import register, status
from triggerfish.runtime.notices import from_message

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Sqs:
    sent: list[tuple[str, str]] = field(default_factory=list)

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        return {"QueueUrl": f"https://sqs.example.com/{QueueName}"}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803 - AWS's names
        self.sent.append((QueueUrl, MessageBody))


@dataclass
class Clients:
    sqs: Sqs


def stage_of(table: Any = None, sqs: Sqs | None = None) -> OpenStage:
    clients: Any = Clients(sqs or Sqs())
    return OpenStage(stack="shop-local", clients=clients, table=table, parameters={}, addresses={})


@pytest.fixture
def sqs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sqs:
    made = Sqs()
    (tmp_path / "triggerfish.toml").write_text(TOP + MAIL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "open_stage", lambda _: stage_of(sqs=made))
    return made


def send(*words: str) -> int:
    return run(build_app(["triggerfish.cli.send", "triggerfish.cli.init"]), ["send", *words])


def test_a_test_goes_onto_the_queue_and_to_every_channel(
    sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send("notice", "--severity", "high", "--title", "Fire drill") == 0
    ((url, body),) = sqs.sent
    assert url == "https://sqs.example.com/shop-local-notices"
    assert from_message(body) == Notice(
        key="notices/test",
        trigger="notices",
        severity="high",
        title="Fire drill",
        facts=(("Stack", "shop-local"), ("What this is", "a test, sent by a person")),
    )
    assert capsys.readouterr().err == "handed over: Fire drill (high, notices/test)\n"


def test_a_severity_that_is_none_is_refused(sqs: Sqs, capsys: pytest.CaptureFixture[str]) -> None:
    assert send("notice", "--severity", "loud") == 1
    assert capsys.readouterr().err == (
        "error: --severity loud: wanted info, low, medium, warning, high or critical\n"
    )
    assert sqs.sent == []


def test_where_nobody_is_to_be_told_that_is_said(
    sqs: Sqs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP)
    assert send("notice") == 1
    assert "triggerfish.toml has no [notices]: nobody is to be told" in capsys.readouterr().err


def test_notices_have_no_command_of_their_own() -> None:
    app = new_app()
    register(app)
    assert app.registered_commands == []


def test_status_says_what_waits_and_what_a_channel_did_not_take(tmp_path: Path) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP + MAIL)
    world = World()
    world.tell(make_notice(key="a"))
    world.tell(make_notice(key="a"), make_notice(key="a"))
    world.channels["mail"].always = Unavailable("down")
    world.tell(make_notice(key="b"))
    assert status(Context(start=tmp_path), stage_of(world.table)) == {
        "waiting": 3,
        "matters": 2,
        "held": 0,
        "on_the_way": [
            {
                "channels": ["mail"],
                "failed": {},
                "attempts": {"mail": {"count": 1, "reason": "down"}},
            }
        ],
    }


def test_status_without_notices_is_empty(tmp_path: Path) -> None:
    (tmp_path / "triggerfish.toml").write_text(TOP)
    assert status(Context(start=tmp_path), stage_of()) == {}
