"""Builders of what the provision trigger keeps and sees."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.emulator import kit
from triggerfish.provision.members import Build, GroupState, Member, Memory, Slot
from triggerfish.provision.observation import (
    GroupView,
    JenkinsView,
    Listed,
    Machine,
    Observation,
)
from triggerfish.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NOW_MS = 1_795_521_600_000
""""Now" of every look at the world that is built here: noon, on a day in November 2026."""
S = 1_000
MINUTE = 60_000


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(log, "_process", {})
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[kit.Sandbox]:
    made = kit.Sandbox()
    yield made
    made.close()


@pytest.fixture(scope="session")
def emulator(
    sandbox: kit.Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[kit.Emulator]:
    """One for the whole run: a test names what it makes by itself."""
    made = kit.Emulator(tmp_path_factory.mktemp("emulator"), sandbox.url).start()
    yield made
    made.stop()


def make_member(instance: str = "i-1", **changes: Any) -> Member:
    """A member with number 1, known for ten seconds."""
    settings: dict[str, Any] = {
        "group": "web",
        "instance": instance,
        "phase": "numbered",
        "number": 1,
        "name": "web-01",
        "domain": "web-01.internal.example.com",
        "zone": "eu-west-1a",
        "seen_ms": NOW_MS - 10 * S,
        "since_ms": NOW_MS - 10 * S,
        "started_ms": NOW_MS - 10 * S,
        "version": 1,
        **changes,
    }
    return Member(**settings)


def make_named(instance: str = "i-1", **changes: Any) -> Member:
    """A member whose name points at it, and that has its tags."""
    address: dict[str, Any] = {"address": "192.0.2.4", "recorded": "192.0.2.4", "tagged": True}
    return make_member(instance, **{"phase": "named", **address, **changes})


def make_build(**changes: Any) -> Build:
    """The first request for the first job, a minute ago, by an earlier run."""
    settings: dict[str, Any] = {
        "job": "infra/provision",
        "generation": 1,
        "attempt": 1,
        "request_id": "i-1.g1.infra/provision.a1",
        "run": "run-0",
        "intended_ms": NOW_MS - MINUTE,
        **changes,
    }
    return Build(**settings)


PROVISIONED = make_build(number=7, result="SUCCESS")
DEPLOYED = make_build(
    job="app/deploy", request_id="i-1.g1.app/deploy.a1", number=8, result="SUCCESS"
)


def make_state(
    *members: Member, slots: Iterable[Slot] = (), memory: Memory | None = None
) -> GroupState:
    """The members, with the slots of their numbers and these besides."""
    held = {
        member.number: Slot(
            number=member.number,
            instance=member.instance,
            generation=member.generation,
            zone=member.zone,
            version=1,
        )
        for member in members
        if member.number is not None
    }
    return GroupState(
        members={member.instance: member for member in members},
        slots=held | {slot.number: slot for slot in slots},
        memory=memory or Memory(),
    )


def make_machine(**changes: Any) -> Machine:
    settings: dict[str, Any] = {
        "state": "running",
        "address": "192.0.2.4",
        "zone": "eu-west-1a",
        "launched_ms": NOW_MS - MINUTE,
        **changes,
    }
    return Machine(**settings)


def make_jenkins(**changes: Any) -> JenkinsView:
    """A Jenkins that shows all builds there ever were: none of ours."""
    settings: dict[str, Any] = {
        "queue": {},
        "builds": {},
        "complete_since_ms": {"infra/provision": 0, "app/deploy": 0},
        **changes,
    }
    return JenkinsView(**settings)


def make_seen(
    listed: Mapping[str, str] | None = None,
    *,
    machines: Mapping[str, Machine] | None = None,
    desired: int | None = None,
    target_groups: tuple[str, ...] = ("web",),
    **changes: Any,
) -> Observation:
    """A look at a group that lists `i-1` in service; EC2 shows what is listed as running."""
    listed = {"i-1": "InService"} if listed is None else listed
    machines = {instance: make_machine() for instance in listed} if machines is None else machines
    settings: dict[str, Any] = {
        "now_ms": NOW_MS,
        "run": "run-1",
        "group": GroupView(
            desired=len(listed) if desired is None else desired,
            instances={name: Listed(state, "eu-west-1a") for name, state in listed.items()},
            target_groups=target_groups,
        ),
        "machines": machines,
        "asked": frozenset(listed) | frozenset(machines),
        "jenkins": make_jenkins(),
        **changes,
    }
    return Observation(**settings)
