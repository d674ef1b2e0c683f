"""The provision act: a group scales out, one member rests and returns, another is killed."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from triggerfish.errors import Unavailable
from triggerfish.local.fleet import actions
from triggerfish.provision import report
from triggerfish.provision.store import GroupStore, history
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triggerfish.local.cloud import LocalCloud
    from triggerfish.provision.members import Member
    from triggerfish.provision.store import HistoryEntry

ELASTIC, STATEFUL = "web", "search"
"""The groups of the sample config."""

SCALE_OUT = 3
PATIENCE_S = 90.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    data: dict[str, object]
    lines: tuple[str, ...]
    figures: str


class _Stage:
    """What the act looks at while it plays."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.clients = cloud.clients
        self.table = DynamoTable(self.clients.dynamodb, f"{cloud.stack}-state")
        self.stores = [GroupStore(self.table, g, SystemClock()) for g in (ELASTIC, STATEFUL)]

    def members(self) -> list[Member]:
        found = [member for store in self.stores for member in store.read().members.values()]
        return report.in_order(found)

    def gone(self) -> list[Member]:
        return [member for store in self.stores for member in store.gone()]

    def wait(self, what: str, holds: Callable[[list[Member]], bool]) -> list[Member]:
        """Wait until it holds. Raises Unavailable, with every member, when it never does."""
        end = time.monotonic() + PATIENCE_S
        while True:
            members = self.members()
            if holds(members):
                return members
            if time.monotonic() > end:
                now = "; ".join(f"{m.instance} {m.phase} {m.reason}" for m in members)
                raise Unavailable(f"{what} did not happen within {PATIENCE_S:.0f} s: {now}")
            fallen = self.cloud.fallen()
            if fallen is not None:
                raise Unavailable(f"{fallen} ended by itself while waiting for: {what}")
            time.sleep(LOOK_EVERY_S)

    def builds(self) -> list[dict[str, object]]:
        """Every build that Jenkins ran, from Jenkins itself."""
        parts = urlsplit(self.cloud.addresses["jenkins-main"])
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        try:
            connection.request("GET", "/_stand-in/builds")
            told = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        builds: list[dict[str, object]] = told["builds"]
        return builds


def play(cloud: LocalCloud, say: Callable[[str], None]) -> Act:
    """Play the act and tell what happened to every server."""
    stage = _Stage(cloud)
    say(f"{STATEFUL} launches its 3 servers; {ELASTIC} scales out by {SCALE_OUT}")
    actions.launch(stage.clients.autoscaling, ELASTIC, SCALE_OUT)
    members = stage.wait("every server ready", lambda found: _all_ready(found, 3 + SCALE_OUT))
    _say_members(say, members)
    builds_before = len(stage.builds())

    (rested,) = actions.standby(stage.clients.autoscaling, ELASTIC)
    say(f"{rested} goes into standby and comes back")
    stage.wait("the return from standby", lambda found: _returned(found, rested))

    victim = next(m for m in members if m.group == STATEFUL and m.number == 2)
    say(f"{victim.instance} ({victim.name}) is killed")
    actions.terminate(
        stage.clients.ec2, stage.clients.autoscaling, STATEFUL, instances=[victim.instance]
    )
    members = stage.wait(
        "the replacement ready",
        lambda found: _all_ready(found, 3 + SCALE_OUT) and _is_gone(found, victim.instance),
    )
    replacement = next(m for m in members if m.group == STATEFUL and m.number == 2)
    say(f"{replacement.instance} took its number and its name")
    return _told(stage, members, victim, builds_before)


def _all_ready(members: Sequence[Member], count: int) -> bool:
    return len(members) == count and all(member.phase == "ready" for member in members)


def _returned(members: Sequence[Member], instance: str) -> bool:
    return any(m.instance == instance and m.standby_returns == 1 for m in members)


def _is_gone(members: Sequence[Member], instance: str) -> bool:
    return all(member.instance != instance for member in members)


def _say_members(say: Callable[[str], None], members: Sequence[Member]) -> None:
    for member in members:
        say(f"  {member.name} {member.address} is ready")


def _told(stage: _Stage, members: list[Member], victim: Member, builds_before: int) -> Act:
    everyone = report.in_order([*members, *stage.gone()])
    stories = {member.instance: history(stage.table, member.instance) for member in everyone}
    builds = stage.builds()
    replaced = [m for m in members if m.number == victim.number and m.group == victim.group]
    returns = sum(member.standby_returns for member in members)
    took_s = sorted(_seconds_to_ready(story) for story in stories.values())
    median_s = took_s[len(took_s) // 2]
    return Act(
        data={
            "members": [report.member_data(member) for member in members],
            "gone": [report.member_data(member) for member in stage.gone()],
            "builds": len(builds),
            "builds_after_standby": len(builds) - builds_before - len(_builds_of(builds, replaced)),
            "standby_returns": returns,
            "replacements": len(replaced),
            "median_ready_s": round(median_s, 3),
        },
        lines=tuple(_timeline(everyone, stories)),
        figures=(
            f"{len(members)} members ready, {len(builds)} builds, {returns} standby return,"
            f" {len(replaced)} replacement, launch to ready {median_s:.1f} s median"
        ),
    )


def _builds_of(
    builds: Sequence[dict[str, object]], members: Sequence[Member]
) -> list[dict[str, object]]:
    instances = {member.instance for member in members}
    found = []
    for build in builds:
        parameters = build["parameters"]
        if isinstance(parameters, dict) and parameters.get("INSTANCE_ID") in instances:
            found.append(build)
    return found


def _seconds_to_ready(story: Sequence[HistoryEntry]) -> float:
    ready = next(entry.at_ms for entry in story if entry.to_phase == "ready")
    return (ready - story[0].at_ms) / 1000


def _timeline(members: Sequence[Member], stories: dict[str, list[HistoryEntry]]) -> list[str]:
    """What happened to each server, one block a server."""
    lines: list[str] = []
    for member in members:
        builds = ", ".join(f"{b.job} #{b.number} {b.result}" for b in member.builds)
        who = f"{member.group} {member.number}  {member.instance}  {member.domain}"
        lines += ["", f"{who}  {member.address}  {member.phase}", f"    {builds}"]
        lines += [
            f"    {report.clock_time(entry.at_ms)}  {entry.to_phase:<9}  {entry.cause}"
            for entry in stories[member.instance]
        ]
    return lines
