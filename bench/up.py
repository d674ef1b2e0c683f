"""How long `triggerfish up` takes, part by part, and `send launch` to the Jenkins build queued.

    python bench/up.py

`up` is measured from before the process starts to the line that says the stack is up, with the
caches warm (environments made, artifact packaged) and no state; runs of the command and runs with a
clock on each part alternate. Children start at the same moment, so their times overlap.

A launch is sent when the group is quiet: every member at rest and no wake-up on its way. It ends
when the stand-in began the build, which is after it was queued. "From the API call" starts when the
fleet began the launch that SetDesiredCapacity asked for.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
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

UPS = 4
LAUNCHES = 15
QUIET = "quiet"
PATIENCE_S = 20.0


def up(folder: Path, *options: str) -> float:
    """Seconds until `up` said that the stack is up; stops it then."""
    began = time.perf_counter()
    with subprocess.Popen(
        [CLI, "up", *options], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        stderr = process.stderr
        if stderr is None:
            raise AssertionError
        for said in stderr:
            if " is up in " in said:
                break
        took_s = time.perf_counter() - began
        process.send_signal(signal.SIGINT)
        stderr.read()
    if process.returncode != 0:
        raise SystemExit(f"up ended with exit status {process.returncode}")
    return took_s


def measure_up(folder: Path) -> None:
    up(folder, "--fresh")
    whole: list[float] = []
    again: list[float] = []
    parts: dict[str, list[float]] = defaultdict(list)
    inside = Path(__file__).parent / "inside" / "parts.py"
    for _ in range(UPS):
        whole.append(up(folder, "--fresh"))
        again.append(up(folder))
        run = subprocess.run(
            [sys.executable, inside, folder], stdout=subprocess.PIPE, text=True, check=True
        )
        for name, took_s in json.loads(run.stdout).items():
            parts[name].append(took_s)
    print(machine.line("up, from nothing but warm caches", whole, "s", 5))
    print(machine.line("up again, with the state of the last run", again, "s", 5))
    for name, samples in parts.items():
        print(machine.line(f"  {name}", samples, "s"))


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
            raise SystemExit(f"waited {PATIENCE_S:.0f} s in vain at {datetime.now(UTC)}")
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
    with project() as folder:
        measure_up(folder)
    with project(group(QUIET, "infra/provision")) as folder:
        measure_launches(folder)
    print(machine.describe().rpartition("\n")[2])


if __name__ == "__main__":
    main()
