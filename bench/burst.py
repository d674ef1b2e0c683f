"""500 launches at once on the local cloud, every notification twice and shuffled.

    python bench/burst.py [--launches N]

EC2 takes 100 CreateTags at once and then 10 a second, for the whole account: no member is ready
before it is tagged, so 500 can't all be ready before 40 s have passed, here as on AWS.

Calls are counted on their way: the function's EC2 and Route 53 requests pass a counting server,
which costs each of them about 2 ms.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import machine
from inside.counting import Counting
from inside.project import group, project
from triggerfish.config.load import load
from triggerfish.local.cloud import LocalCloud
from triggerfish.local.fleet.actions import control
from triggerfish.local.project import LocalProject
from triggerfish.provision.store import GroupStore
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from triggerfish.provision.members import Member

BURST = "burst"
JOB = "infra/provision"
PATIENCE_S = 150.0
LOOK_EVERY_S = 0.25
MILESTONES: dict[str, Callable[[Member], bool]] = {
    "numbered": lambda member: member.number is not None,
    "named": lambda member: member.recorded is not None,
    "queued": lambda member: any(b.queue_id or b.number for b in member.builds),
    "tagged": lambda member: member.tagged,
    "ready": lambda member: member.phase == "ready",
}


class CountedCloud(LocalCloud):
    """The local cloud, whose functions reach EC2 and Route 53 through counting servers."""

    ec2: Counting
    route53: Counting

    def _sandbox_command(self, port: int) -> list[str]:
        command = super()._sandbox_command(port)
        others = [one for one in command if not one.startswith("--endpoint=EC2=")]
        return [
            *others,
            f"--endpoint=EC2={self.ec2.url}",
            f"--endpoint=ROUTE_53={self.route53.url}",
        ]

    def invocations(self) -> int:
        logs = self.function_logs.glob("*.log")
        return sum(log.read_text(encoding="utf-8").count("START RequestId") for log in logs)


def burst(cloud: CountedCloud, launches: int) -> tuple[dict[str, float], list[Member]]:
    """Seconds until all members have passed each milestone, and the members."""
    store = GroupStore(
        DynamoTable(cloud.clients.dynamodb, f"{cloud.stack}-state"), BURST, SystemClock()
    )
    control(cloud.addresses["fleet"], "notifications", {"duplicate": 2, "shuffle": True})
    began = time.monotonic()
    cloud.clients.autoscaling.set_desired_capacity(
        AutoScalingGroupName=BURST, DesiredCapacity=launches
    )
    passed: dict[str, float] = {}
    while True:
        members = list(store.read().members.values())
        now_s = time.monotonic() - began
        for name, holds in MILESTONES.items():
            if name not in passed and len(members) == launches and all(map(holds, members)):
                passed[name] = now_s
        if "ready" in passed:
            return passed, members
        if now_s > PATIENCE_S:
            raise SystemExit(f"not done in {PATIENCE_S:.0f} s: {Counter(m.phase for m in members)}")
        time.sleep(LOOK_EVERY_S)


def show(
    cloud: CountedCloud, launches: int, passed: dict[str, float], members: list[Member]
) -> None:
    numbers = sorted(member.number or 0 for member in members)
    if numbers != list(range(1, launches + 1)):
        raise SystemExit("the numbers are not 1 to the number of launches, each once")
    builds = Counter(len(member.builds) for member in members)
    for name, took_s in passed.items():
        print(f"all {launches} {name:<40} {took_s:8.1f} s")
    changes = [one for one in cloud.route53.calls if one.name.startswith("POST")]
    tags = [one for one in cloud.ec2.calls if one.name == "CreateTags"]
    print(f"builds a member: {dict(builds)}; numbers 1 to {launches}, each once")
    print(f"Route 53 changes {len(changes)} ({_statuses(changes)}); wanted 2 at most")
    print(f"CreateTags {len(tags)} ({_statuses(tags)}); {_pace([one.at for one in tags])}")
    told = control(cloud.addresses["fleet"], "describe")["notifications"]
    print(f"invocations {cloud.invocations()}, for notifications {told}")


def _statuses(calls: Sequence[object]) -> str:
    counted = Counter(getattr(one, "status", 0) for one in calls)
    return ", ".join(f"{count} answered {status}" for status, count in counted.items())


def _pace(times: list[float]) -> str:
    """Over the whole, and the most that any window took above what the bucket allows."""
    times = sorted(times)
    took_s = times[-1] - times[0]
    after = max(0, len(times) - 100) / took_s if took_s else 0.0
    within = max(
        (end - start + 1) - 10 * (times[end] - times[start])
        for start in range(len(times))
        for end in range(start, len(times))
    )
    return f"{after:.1f} a second after the first 100, never more than {within:.0f} ahead of 10/s"


def run(folder: Path, launches: int) -> None:
    cloud = CountedCloud(
        project=LocalProject(folder),
        config=load(folder / "triggerfish.toml", "local"),
        say=lambda _: None,
        real_jenkins=False,
    )
    with (
        Counting(lambda: cloud.addresses["fleet"]) as cloud.ec2,
        Counting(lambda: cloud.addresses["aws"]) as cloud.route53,
        cloud,
    ):
        show(cloud, launches, *burst(cloud, launches))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--launches", type=int, default=500)
    given = parser.parse_args()
    print(machine.describe())
    with machine.bytecode(), project(group(BURST, JOB, finish="healthy")) as folder:
        run(folder, given.launches)
    print(f"load average {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
