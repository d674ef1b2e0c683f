"""From `triggerfish send launch` to the Jenkins build queued.

    python bench/launch.py

A launch is sent when its group is quiet: every member at rest and no message on its way. It ends
when the stand-in began the build, which is after it was queued. "From the API call" starts when the
fleet began the launch that SetDesiredCapacity asked for.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import machine
from inside.project import CLI, group, project
from triggerfish.config.load import load
from triggerfish.local.cloud import LocalCloud
from triggerfish.local.project import LocalProject
from triggerfish.provision.store import GroupStore
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAUNCHES = 15
QUIET = "quiet"
PATIENCE_S = 20.0


class Launches:
    """Sends one launch after the other into a group at rest."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._clients = cloud.clients
        table = DynamoTable(self._clients.dynamodb, f"{cloud.stack}-state")
        self._store = GroupStore(table, QUIET, SystemClock())
        self._known = 0

    def one(self) -> tuple[float, float, float]:
        """From before the command starts, from the API call, and the command itself; seconds."""
        began = time.time()
        sent = subprocess.run(
            [CLI, "send", "launch", "--group", QUIET, "--json"],
            cwd=self._cloud.project.project,
            stdout=subprocess.PIPE,
            check=True,
        )
        command_s = time.time() - began
        (instance,) = json.loads(sent.stdout)["instances"]
        build = wait(lambda: self._build(instance))
        asked = self._asked_at()
        self._known += 1
        wait(self._at_rest)
        return build["started_at"] - began, build["started_at"] - asked, command_s

    def _build(self, instance: str) -> dict[str, Any] | None:
        url = f"{self._cloud.addresses['jenkins-main']}/_stand-in/builds"
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            builds = json.load(answer)["builds"]
        mine = (one for one in builds if one["parameters"]["INSTANCE_ID"] == instance)
        return next(mine, None)

    def _asked_at(self) -> float:
        answer = self._clients.autoscaling.describe_scaling_activities(
            AutoScalingGroupName=QUIET, MaxRecords=1
        )
        return answer["Activities"][0]["StartTime"].timestamp()

    def _at_rest(self) -> bool | None:
        members = self._store.read().members.values()
        ready = len(members) == self._known and all(m.phase == "ready" for m in members)
        return (ready and self._nothing_on_its_way()) or None

    def _nothing_on_its_way(self) -> bool:
        queue = self._clients.sqs
        url = queue.get_queue_url(QueueName=f"{self._cloud.stack}-provision")["QueueUrl"]
        counts = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return not any(
            int(counts[f"ApproximateNumberOfMessages{which}"])
            for which in ("", "Delayed", "NotVisible")
        )


def wait(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        if time.monotonic() > end:
            raise SystemExit(f"waited {PATIENCE_S:.0f} s in vain")
        time.sleep(0.02)
    return found


def measure_launches(folder: Path) -> None:
    with LocalCloud(
        project=LocalProject(folder),
        config=load(folder / "triggerfish.toml", "local"),
        say=lambda _: None,
        real_jenkins=False,
        build_s=0.05,
    ) as cloud:
        launches = Launches(cloud)
        launches.one()
        found = [launches.one() for _ in range(LAUNCHES)]
    whole, from_call, command = zip(*found, strict=True)
    print(machine.line("send launch to the build queued", whole, "s", 1))
    print(machine.line("  from the API call", from_call, "s", 1))
    print(machine.line("  the command itself", command, "s"))
    slowest = statistics.quantiles(whole, n=10)[-1]
    print(f"  nine in ten within {slowest:.2f} s")


def main() -> None:
    print(machine.describe())
    with machine.bytecode(), project(group(QUIET, "infra/provision")) as folder:
        measure_launches(folder)
    print(f"load average {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
