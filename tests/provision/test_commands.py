"""`members`, `explain`, `release` and `next` over a table that holds a small group."""

from __future__ import annotations

import getpass
import json
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.cli.project import Project
from tests.provision.conftest import NOW_MS, make_build, make_member, make_named
from triggerfish.cli import stage as stage_module
from triggerfish.cli.stage import OpenStage
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.provision.instructions import Change
from triggerfish.provision.members import Slot
from triggerfish.provision.store import GroupStore, Transition, history

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.provision.members import Member
    from triggerfish.runtime.aws import Clients
    from triggerfish.runtime.table import DynamoTable

GROUP: dict[str, object] = {
    "AutoScalingGroupName": "web",
    "DesiredCapacity": 2,
    "Instances": [
        {"InstanceId": "i-1", "LifecycleState": "InService", "AvailabilityZone": "eu-west-1a"},
        {"InstanceId": "i-9", "LifecycleState": "InService", "AvailabilityZone": "eu-west-1a"},
    ],
    "TargetGroupARNs": [],
}


class Pages:
    """EC2 shows nothing yet."""

    @staticmethod
    def paginate(**_: object) -> list[dict[str, object]]:
        return [{"Reservations": []}]


def away(**_: object) -> object:
    raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9/")


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> GroupStore:
    """Two members of `web`, one of which is ready, and one that has gone."""
    table = MemoryTable()
    autoscaling = SimpleNamespace(
        describe_auto_scaling_groups=lambda **_: {"AutoScalingGroups": [GROUP]}
    )
    clients = SimpleNamespace(
        autoscaling=autoscaling,
        ec2=SimpleNamespace(get_paginator=lambda _: Pages),
        elbv2=None,
        route53=None,
        ssm=SimpleNamespace(
            get_parameter=away, exceptions=SimpleNamespace(ParameterNotFound=KeyError)
        ),
    )
    stage = OpenStage(
        stack="shop-local",
        clients=cast("Clients", clients),
        table=cast("DynamoTable", table),
        parameters={},
        addresses={},
    )
    monkeypatch.setattr(stage_module, "open_stage", lambda _: stage)
    store = GroupStore(table, "web", ManualClock())
    ready = make_named(
        "i-1", phase="ready", builds=(make_build(number=7, result="SUCCESS"),), since_ms=NOW_MS
    )
    keep(store, ready)
    keep(store, make_named("i-2", number=2, phase="building"))
    gone = make_member("i-0", number=None, phase="gone")
    store.save([Transition(change=Change(None, gone, "terminated"))])
    return store


def keep(store: GroupStore, member: Member) -> None:
    slot = Slot(number=member.number or 0, instance=member.instance, zone=member.zone)
    store.save([Transition(change=Change(None, member, "launched"), slot_after=slot)])


@pytest.mark.usefixtures("store")
def test_members_of_all_groups_as_data(project: Project) -> None:
    told = project.data("members")
    assert isinstance(told, list)
    assert [(one["instance"], one["number"], one["phase"]) for one in told] == [
        ("i-1", 1, "ready"),
        ("i-2", 2, "building"),
    ]
    assert project.data("members web") == told
    assert project.data("members search") == []


@pytest.mark.usefixtures("store")
def test_members_that_have_gone_are_listed_on_request(project: Project) -> None:
    told = project.data("members --gone")
    assert isinstance(told, list)
    assert [one["instance"] for one in told] == ["i-1", "i-2", "i-0"]


@pytest.mark.usefixtures("store")
def test_members_as_a_table(project: Project) -> None:
    code, out, err = project.run("members")
    assert (code, err) == (0, "")
    head, _, first, second, *_ = out.splitlines()
    assert head.split()[:5] == ["GROUP", "NO", "INSTANCE", "NAME", "ADDRESS"]
    assert first.split()[:6] == ["web", "1", "i-1", "web-01", "192.0.2.4", "ready"]
    assert second.split()[1:3] == ["2", "i-2"]


@pytest.mark.usefixtures("store")
def test_story_of_an_instance(project: Project) -> None:
    assert project.data("explain i-1") == {
        "instance": "i-1",
        "transitions": [
            {
                "at": "2026-11-24T12:00:00.000Z",
                "group": "web",
                "generation": 1,
                "number": 1,
                "from": None,
                "to": "ready",
                "cause": "launched",
            }
        ],
    }
    code, out, err = project.run("explain i-1")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].split() == ["12:00:00", "ready", "launched"]


@pytest.mark.usefixtures("store")
def test_instance_that_was_never_a_member(project: Project) -> None:
    assert project.run("explain i-7") == (
        1,
        "",
        (
            "error: i-7 was never a member of a group here\n"
            "hint: `triggerfish members --gone` lists those that were\n"
        ),
    )


def test_release_needs_force(project: Project, store: GroupStore) -> None:
    assert project.run("release web 1") == (
        1,
        "",
        (
            "error: number 1 of web is held by i-1 (ready), which may be alive:"
            " two servers could act as one member\n"
            "hint: stop i-1 first; --force frees the number all the same\n"
        ),
    )
    assert store.read().members["i-1"].number == 1


def test_release_by_force_is_recorded_with_who_did_it(project: Project, store: GroupStore) -> None:
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    assert project.run("release web 1 --force") == (
        0,
        "",
        "number 1 of web is free; i-1 has none any more\n",
    )
    assert store.read().members["i-1"].reason == f"number 1 was released by {who}"
    causes = {entry.cause for entry in history(store._table, "i-1")}
    assert causes == {"launched", f"number 1 released by force, by {who}"}


@pytest.mark.usefixtures("store")
def test_release_gives_the_member_as_data(project: Project) -> None:
    code, out, err = project.run("release web 2 --force --json")
    assert (code, err) == (0, "number 2 of web is free; i-2 has none any more\n")
    assert '"number": null' in out
    assert '"phase": "failed"' in out


@pytest.mark.usefixtures("store")
def test_release_of_a_number_that_nobody_has(project: Project) -> None:
    said = "error: nobody has number 7 of web; held numbers: 1..2\n"
    assert project.run("release web 7 --force") == (1, "", said)


@pytest.mark.parametrize("number", ["0", "-1", "one", "1.5"])
def test_release_of_what_is_no_number(project: Project, number: str) -> None:
    code, out, err = project.run(f"release web -- {number}")
    assert (code, out) == (2, "")
    assert err.startswith("error: Invalid value for 'NUMBER': ")


def test_next_says_what_would_be_done_and_does_nothing(project: Project, store: GroupStore) -> None:
    """Jenkins is away; what the trigger logs of that is talk, and doesn't spoil the data."""
    before = store.read()
    code, out, err = project.run("next web --json")
    assert (code, json.loads(out)) == (
        0,
        {
            "group": "web",
            "steps": [
                "i-2 becomes building: neither EC2 nor the group shows it",
                "give i-9 number 3",
            ],
            "look_again_s": 10,
        },
    )
    assert "jenkins can't be read" in err
    code, out, _ = project.run("next web")
    assert (code, out) == (
        0,
        "i-2 becomes building: neither EC2 nor the group shows it\ngive i-9 number 3\n",
    )
    assert store.read() == before
