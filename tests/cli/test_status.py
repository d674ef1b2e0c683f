"""`status`: one screen of what is, what is wrong and what people were told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests.provision.conftest import NOW_MS, make_build, make_named
from triggerfish.cli import stage as stage_module
from triggerfish.cli.stage import OpenStage
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.notice import Notice
from triggerfish.provision.instructions import Change
from triggerfish.provision.store import GroupStore, Transition, keep_notice

if TYPE_CHECKING:
    from tests.cli.project import Project
    from triggerfish.provision.members import Member
    from triggerfish.runtime.aws import Clients
    from triggerfish.runtime.table import DynamoTable


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> MemoryTable:
    """The state table of a stage that has 2 dead letters."""
    table = MemoryTable()
    sqs = SimpleNamespace(
        get_queue_url=lambda QueueName: {"QueueUrl": f"http://127.0.0.1/{QueueName}"},  # noqa: N803
        get_queue_attributes=lambda **_: {"Attributes": {"ApproximateNumberOfMessages": "2"}},
    )
    stage = OpenStage(
        stack="shop-local",
        clients=cast("Clients", SimpleNamespace(sqs=sqs)),
        table=cast("DynamoTable", table),
        parameters={},
        addresses={},
    )
    monkeypatch.setattr(stage_module, "open_stage", lambda _: stage)
    return table


def keep(table: MemoryTable, *members: Member) -> None:
    store = GroupStore(table, "web", ManualClock())
    store.save([Transition(change=Change(None, member, "sample")) for member in members])


def make_failed(**changes: object) -> Member:
    settings: dict[str, object] = {
        "phase": "failed",
        "reason": "infra/provision #7 ended FAILURE, attempt 2 of 2",
        "builds": (make_build(number=7, result="FAILURE"),),
        "since_ms": NOW_MS,
        **changes,
    }
    return make_named("i-2", **settings)


def tell(table: MemoryTable, title: str, reason: str) -> None:
    notice = Notice(
        key="provision/web/i-2/failed", severity="warning", title=title, facts=(("Reason", reason),)
    )
    keep_notice(table, notice, ManualClock())


def test_screen(project: Project, table: MemoryTable) -> None:
    keep(table, make_named("i-1", phase="ready"), make_failed(), make_named("i-3"))
    tell(table, "web-01 of web was not provisioned", "it failed")
    assert project.run("status") == (
        0,
        (
            "stack shop-local\n"
            "\n"
            "provision: 2 dead letters\n"
            "  web: 1 of 3 ready, 1 on the way, 1 failed\n"
            "    i-2 (web-01): infra/provision #7 ended FAILURE, attempt 2 of 2\n"
            "  search: 0 of 0 ready, 0 on the way, 0 failed\n"
            "  notice 2026-11-24T12:00:00  web-01 of web was not provisioned: it failed\n"
        ),
        "",
    )


def test_data(project: Project, table: MemoryTable) -> None:
    keep(table, make_failed())
    tell(table, "web-01 of web was not provisioned", "it failed")
    assert project.data("status") == {
        "stack": "shop-local",
        "dead_letters": {"provision": 2},
        "provision": {
            "groups": [
                {
                    "group": "web",
                    "members": 1,
                    "ready": 0,
                    "on_the_way": 0,
                    "failed": [
                        {
                            "group": "web",
                            "number": 1,
                            "instance": "i-2",
                            "generation": 1,
                            "name": "web-01",
                            "domain": "web-01.internal.example.com",
                            "address": "192.0.2.4",
                            "zone": "eu-west-1a",
                            "phase": "failed",
                            "attempts": 1,
                            "builds": [
                                {
                                    "job": "infra/provision",
                                    "number": 7,
                                    "generation": 1,
                                    "attempt": 1,
                                    "result": "FAILURE",
                                }
                            ],
                            "reason": "infra/provision #7 ended FAILURE, attempt 2 of 2",
                            "since": "2026-11-24T12:00:00.000Z",
                        }
                    ],
                },
                {"group": "search", "members": 0, "ready": 0, "on_the_way": 0, "failed": []},
            ],
            "notices": [
                {
                    "at": "2026-11-24T12:00:00.000Z",
                    "severity": "warning",
                    "title": "web-01 of web was not provisioned",
                    "facts": [["Reason", "it failed"]],
                }
            ],
        },
    }


def test_words_of_others_can_neither_steer_the_terminal_nor_add_a_line(
    project: Project, table: MemoryTable
) -> None:
    keep(table, make_failed(reason="\x1b[2J\nall is well"))
    tell(table, "title\x1b[2J", "reason\nall is well")
    code, out, err = project.run("status")
    assert (code, err) == (0, "")
    assert "i-2 (web-01): \\x1b[2J\\nall is well\n" in out
    assert "title\\x1b[2J: reason\\nall is well\n" in out
    assert "\x1b" not in out
