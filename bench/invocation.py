"""What one invocation of the provision function costs, cold and warm, and the size of its artifact.

    python bench/invocation.py

Warm: a batch of ten launches of a group nobody has seen, so that the run does all its work: ten
numbers, names, tags and builds. It is the real artifact on Lambda's Python, against the local
cloud's table, fleet, zone and Jenkins stand-in. "Our own CPU" is the CPU time of the whole process
without that of the AWS calls; the client of Jenkins is ours and counts.

Cold: a fresh process that imports the function and makes the clients it uses, less one that only
makes the clients. Both alternate, so that a busy machine weighs on both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import machine
from inside.project import group, project
from triggerfish.config.load import load
from triggerfish.deploy import blueprints
from triggerfish.deploy.package import Artifact, Target, package
from triggerfish.local.cloud import ACCOUNT, FLEET_SERVICES, LocalCloud
from triggerfish.local.environments import lambda_python
from triggerfish.local.project import LocalProject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from triggerfish.config.model import Config

INSIDE = Path(__file__).parent / "inside"
COLD_STARTS = 17
PEER_IMPORTS = 9
BATCH = 10
WARM_UPS, INVOCATIONS = 2, 12
PAUSE_S = 1.0
"""The function changes a zone once a second at most, after the first few."""
GROUPS = tuple(f"g{number}" for number in range(WARM_UPS + INVOCATIONS))
PEERS = ("triggerfish.provision.jenkins", "jenkins", "api4jenkins")
PEER_NAMES = {"jenkins": "python-jenkins", "api4jenkins": "api4jenkins"}


class Stage(LocalCloud):
    """The local cloud with what the function needs and without the function: nothing competes."""

    def _deploy(self) -> dict[str, str]:
        clients = self.clients
        self._world.make(clients, self.addresses)
        clients.dynamodb.create_table(
            TableName="state",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        self.queues = [
            clients.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("queue", "dead")
        ]
        return self._world.function_parameters(clients, self.addresses)

    def environment(self, artifact: Path, parameters: Mapping[str, str]) -> dict[str, str]:
        fleet = {
            f"AWS_ENDPOINT_URL_{name}": self.addresses["fleet"] for name in FLEET_SERVICES.values()
        }
        return {
            **fleet,
            "AWS_ENDPOINT_URL": self.addresses["aws"],
            "AWS_REGION": self.config.region_in("local"),
            "AWS_DEFAULT_REGION": self.config.region_in("local"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "LAMBDA_TASK_ROOT": str(artifact),
            "TRIGGERFISH_TABLE": "state",
            "TRIGGERFISH_QUEUE_URL": self.queues[0],
            "TRIGGERFISH_DEAD_LETTER_QUEUE_URL": self.queues[1],
            "TRIGGERFISH_PARAMETERS": json.dumps(parameters),
        }

    def launch(self, name: str) -> dict[str, object]:
        """Launch a batch in the group, and give the event that tells of it."""
        scaling = self.clients.autoscaling
        scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=BATCH)
        end = time.monotonic() + 20
        while True:
            (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
                "AutoScalingGroups"
            ]
            states = {one["InstanceId"]: one["LifecycleState"] for one in found["Instances"]}
            if len(states) == BATCH and set(states.values()) == {"InService"}:
                return event(name, list(states))
            if time.monotonic() > end:
                raise SystemExit(f"{name} did not launch: {states}")
            time.sleep(0.05)


def event(name: str, instances: Sequence[str]) -> dict[str, object]:
    """The batch SQS hands over, each record an Auto Scaling notification from SNS."""
    return {"Records": [record(name, number, one) for number, one in enumerate(instances)]}


def record(name: str, number: int, instance: str) -> dict[str, object]:
    message = {
        "Event": "autoscaling:EC2_INSTANCE_LAUNCH",
        "AutoScalingGroupName": name,
        "EC2InstanceId": instance,
        "Description": f"Launching a new EC2 instance: {instance}",
        "AccountId": ACCOUNT,
        "ActivityId": f"activity-{number}",
        "StatusCode": "InProgress",
    }
    notification = {
        "Type": "Notification",
        "MessageId": f"notification-{number}",
        "TopicArn": f"arn:aws:sns:eu-central-1:{ACCOUNT}:bench-provision",
        "Subject": "Auto Scaling: launch",
        "Message": json.dumps(message),
        "Timestamp": "2026-01-02T03:04:05.678Z",
    }
    return {
        "messageId": f"{name}-{number}",
        "receiptHandle": f"handle-{number}",
        "body": json.dumps(notification),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1767323045678",
            "ApproximateFirstReceiveTimestamp": "1767323045700",
            "SenderId": "AIDAEXAMPLE",
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:{ACCOUNT}:bench-provision",
        "awsRegion": "eu-central-1",
    }


def built(config: Config, cache: Path) -> Artifact:
    functions = [
        one for _, blueprint in blueprints.collect(config, "local") for one in blueprint.functions
    ]
    python = lambda_python(config.functions.runtime)
    target = Target.of_this_machine(python.path, python.version)
    provision = [function for function in functions if function.id == "Provision"]
    (artifact,) = package(provision, target, cache=cache)
    return artifact


@contextmanager
def unpacked(artifact: Artifact) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="triggerfish-bench-") as folder:
        with zipfile.ZipFile(artifact.path) as archive:
            archive.extractall(folder)
        yield Path(folder)


def measure_warm(python: Path, config: Config, folder: Path, artifact: Path) -> None:
    with Stage(
        project=LocalProject(folder), config=config, say=lambda _: None, real_jenkins=False
    ) as cloud:
        running = cloud.project.expect_running()
        with subprocess.Popen(
            [python, INSIDE / "invoke.py", artifact],
            env=cloud.environment(artifact, running.parameters),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            told = []
            for name in GROUPS:
                batch = cloud.launch(name)
                time.sleep(PAUSE_S)
                told.append(invoked(process, batch))
            process.communicate()
        check(cloud, running.parameters)
    told = told[WARM_UPS:]
    own = [one["own"] for one in told]
    print(machine.line(f"own CPU, a batch of {BATCH} launches", own, "ms", 30))
    print(machine.line("  CPU of its AWS calls, in botocore", [one["aws"] for one in told], "ms"))
    print(machine.line("  from event to answer", [one["wall"] for one in told], "ms"))
    print(f"  {statistics.median(one['calls'] for one in told):.0f} AWS calls")


def invoked(process: subprocess.Popen[str], batch: Mapping[str, object]) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    process.stdin.write(json.dumps(batch) + "\n")
    process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    if told["answer"] != {"batchItemFailures": []}:
        raise SystemExit(f"the function answered {told['answer']}")
    return told


def check(cloud: LocalCloud, parameters: Mapping[str, str]) -> None:
    """The figure counts only if the work was done: every launch has a record and a build."""
    (zone,) = (value for name, value in parameters.items() if name.startswith("zone "))
    pages = cloud.clients.route53.get_paginator("list_resource_record_sets")
    records = [
        one
        for page in pages.paginate(HostedZoneId=zone)
        for one in page["ResourceRecordSets"]
        if one["Type"] == "A"
    ]
    with urlopen(f"{cloud.addresses['jenkins-main']}/_stand-in/builds", timeout=5) as answer:  # noqa: S310 - loopback
        builds = json.load(answer)["builds"]
    if not len(records) == len(builds) == BATCH * len(GROUPS):
        found = f"{len(records)} records and {len(builds)} builds"
        raise SystemExit(f"{found} for {BATCH * len(GROUPS)} launches")


def measure_cold(python: Path, artifact: Path) -> None:
    command = [python, INSIDE / "cold.py", artifact]
    runs: dict[str, list[list[float]]] = {"clients": [], "handler": []}
    for number in range(COLD_STARTS + 1):
        for what, samples in runs.items():
            told = subprocess.run([*command, what], stdout=subprocess.PIPE, text=True, check=True)
            if number:  # the first reads the files from the disk
                samples.append([float(figure) for figure in told.stdout.split()])
    clients, ours = ([list(c) for c in zip(*runs[what], strict=True)] for what in runs)
    beyond = [statistics.median(ours[i]) - statistics.median(clients[i]) for i in (0, 1)]
    verdict = "within" if beyond[0] <= 40 else "OVER"
    print(f"cold import beyond the clients {beyond[0]:22.1f} ms ({beyond[1]:.1f} ms CPU)", end="")
    print(f"   {verdict} 40 ms")
    print(machine.line("  process with the clients alone", clients[0], "ms"))
    print(machine.line("  process with the function and the clients", ours[0], "ms"))
    print(machine.line("  import of the function by itself", ours[2], "ms"))


def measure_peers() -> None:
    """The Jenkins clients there are, in our own Python: what each would add to a cold start."""
    code = "import time; t=time.perf_counter(); import {}; print((time.perf_counter()-t)*1000)"
    found: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in range(PEER_IMPORTS + 1):
        for name, samples in found.items():
            run = subprocess.run(
                [sys.executable, "-c", code.format(name)],
                capture_output=True,
                text=True,
                check=False,
            )
            if number and run.returncode == 0:
                samples.append(float(run.stdout))
    for name, samples in found.items():
        shown = PEER_NAMES.get(name, name)
        if samples:
            print(machine.line(f"import {shown}", samples, "ms"))
        else:
            print(f"import {shown}: not installed")


def main() -> None:
    print(machine.describe("python-jenkins", "api4jenkins"))
    added = [group(name, "infra/provision", "app/deploy") for name in GROUPS]
    with project(*added) as folder:
        config = load(folder / "triggerfish.toml", "local")
        python = lambda_python(config.functions.runtime)
        print(f"functions on Python {python.version}")
        artifact = built(config, LocalProject(folder).cache)
        kib = artifact.zip_bytes / 1024
        verdict = "within" if kib <= 1024 else "OVER"
        print(f"artifact {kib:40.0f} KiB ({artifact.unzipped_bytes / 1024:.0f} unzipped)", end="")
        print(f"   {verdict} 1024 KiB")
        with unpacked(artifact) as path:
            measure_cold(python.path, path)
            with machine.bytecode():
                measure_peers()
            measure_warm(python.path, config, folder, path)
    print(f"load average {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
