"""The world that the provision trigger's config speaks of, made in the local cloud.

Groups with their balancers, private zones, Jenkins stand-ins with the jobs, and the secrets.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from triggerfish.deploy.parameters import private_zone_id
from triggerfish.errors import Error, Refused
from triggerfish.local.fleet.world import WorldGroup, ensure_world
from triggerfish.provision.events import wake_message
from triggerfish.provision.jenkins import Jenkins
from triggerfish.provision.resources import jenkins_parameters, settings_of
from triggerfish.provision.store import GroupStore
from triggerfish.runtime.aws import calling
from triggerfish.runtime.lease import end_lease_of_the_dead
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from triggerfish.config.model import Config
    from triggerfish.provision.config import Jenkins as JenkinsConfig
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.runtime.aws import Clients
    from triggerfish.secret_reference import SecretReference

NOTIFICATIONS = (
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
)
PARAMETERS = ("REQUEST_ID", "INSTANCE_ID", "GROUP", "NUMBER", "NAME", "DOMAIN", "ADDRESS")
ACCOUNT = "123456789012"
PROBE_S = 1.5
EXECUTORS = 64
"""A stand-in has many: it is there to show the trigger's speed, not Jenkins' own."""


class ProvisionWorld:
    def __init__(self, config: Config, state: Path, *, build_s: float) -> None:
        self._config = config
        self._state = state
        self._build_s = build_s
        self._region = config.region_in("local")
        self._began_ms = int(time.time() * 1000)
        """No run of an earlier local cloud lives any more."""
        self._servers = dict(settings_of(config).jenkins)
        self._stand_ins: dict[str, str] = {}
        """The token of each stand-in by the name of the Jenkins it stands in for."""
        self.secret_variables: dict[str, str] = {}
        """The variables that `env:` references name, with their values."""

    def stand_ins(self, *, probe: bool) -> dict[str, list[str]]:
        """The command line arguments of each stand-in that is needed, but for its port."""
        reachable = self._reachable() if probe else set()
        for name, server in self._servers.items():
            token = self._variable(server.token, name, needed=name in reachable)
            if name not in reachable:
                self._stand_ins[name] = token or secrets.token_hex(16)
            if server.token.scheme == "env":
                self.secret_variables[server.token.name] = token or self._stand_ins[name]
        return {
            name: [
                f"--state={self._state / 'jenkins' / name}",
                f"--user={self._servers[name].user}",
                f"--executors={EXECUTORS}",
                "--quiet-period=0",
            ]
            for name in self._stand_ins
        }

    def token_of(self, name: str) -> str:
        """The API token of a stand-in."""
        return self._stand_ins[name]

    @staticmethod
    def _variable(reference: SecretReference, name: str, *, needed: bool) -> str | None:
        """The value of an `env:` reference. Refused where a real Jenkins needs one that's unset."""
        if reference.scheme != "env":
            return None
        value = os.environ.get(reference.name)
        if needed and not value:
            raise Refused(
                f"jenkins.{name}.token is {reference}, and the variable {reference.name} isn't set",
                hint=f"export {reference.name}, or name another secret",
            )
        return value

    def _reachable(self) -> set[str]:
        """The Jenkins servers of the config that answer, so that the real ones are used."""
        pool = ThreadPoolExecutor(max(len(self._servers), 1))
        probes = {name: pool.submit(_answers, one) for name, one in self._servers.items()}
        found = set()
        for name, probe in probes.items():
            try:
                if probe.result(PROBE_S):
                    found.add(name)
            except NotInTime:
                continue  # a name server that doesn't answer: not reachable
        pool.shutdown(wait=False, cancel_futures=True)
        return found

    def make(self, clients: Clients, addresses: Mapping[str, str]) -> None:
        """Make what is missing; what is there from an earlier run stays as it is."""
        groups = [_world_group(group) for group in self._config.provision]
        world = ensure_world(addresses["fleet"], self._region, groups)
        for zone in {group.zone for group in self._config.provision}:
            self._ensure_zone(clients, zone, world.vpc)
        for name, token in self._stand_ins.items():
            self._keep_secret(clients, self._servers[name].token, token)
            self._put_jobs(addresses[f"jenkins-{name}"], name, addresses["fleet"])

    def template_parameters(self, addresses: Mapping[str, str]) -> dict[str, str]:
        urls = {name: addresses[f"jenkins-{name}"] for name in self._stand_ins}
        return jenkins_parameters(self._config, urls)

    def function_parameters(self, clients: Clients, addresses: Mapping[str, str]) -> dict[str, str]:
        """What the functions' TRIGGERFISH_PARAMETERS holds here, for the command line's use."""
        zones = {group.zone for group in self._config.provision}
        return {
            **{f"zone {zone}": private_zone_id(zone, clients) for zone in sorted(zones)},
            **{
                f"jenkins {name}": addresses.get(f"jenkins-{name}", server.url)
                for name, server in self._servers.items()
            },
        }

    def connect(self, clients: Clients, outputs: Mapping[str, str]) -> None:
        """Have the groups publish to the stack's topic, as a person does once on AWS.

        A stateful group then launches its servers. Every group is looked at once: what happened
        while the local cloud was away is nobody's event.
        """
        topic = outputs.get("ProvisionTopicArn", "")
        table = DynamoTable(clients.dynamodb, f"{self._config.stack('local')}-state")
        for group in self._config.provision:
            with calling("autoscaling:PutNotificationConfiguration", f"group {group.group}"):
                clients.autoscaling.put_notification_configuration(
                    AutoScalingGroupName=group.group,
                    TopicARN=topic,
                    NotificationTypes=list(NOTIFICATIONS),
                )
            if group.hook is not None:
                self._connect_hook(clients, group, topic)
            if group.mode == "stateful":
                self._fill(clients, group)
            end_lease_of_the_dead(table, GroupStore.partition_of(group.group), self._began_ms)
            with calling("sqs:SendMessage", f"wake-up of group {group.group}"):
                clients.sqs.send_message(
                    QueueUrl=outputs["ProvisionQueue"], MessageBody=wake_message(group.group)
                )

    def _connect_hook(self, clients: Clients, group: ProvisionGroup, topic: str) -> None:
        """Have the hook announce itself too: the notification comes only when it's over."""
        with calling("autoscaling:PutLifecycleHook", f"group {group.group}"):
            clients.autoscaling.put_lifecycle_hook(
                AutoScalingGroupName=group.group,
                LifecycleHookName=group.hook or "",
                LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
                NotificationTargetARN=topic,
                RoleARN=f"arn:aws:iam::{ACCOUNT}:role/autoscaling-notifications",
            )

    def _fill(self, clients: Clients, group: ProvisionGroup) -> None:
        with calling("autoscaling:SetDesiredCapacity", f"group {group.group}"):
            found = clients.autoscaling.describe_auto_scaling_groups(
                AutoScalingGroupNames=[group.group]
            )["AutoScalingGroups"][0]
            if found["DesiredCapacity"] < (group.size or 0):
                clients.autoscaling.set_desired_capacity(
                    AutoScalingGroupName=group.group, DesiredCapacity=group.size or 0
                )

    def _ensure_zone(self, clients: Clients, zone: str, vpc: str) -> None:
        try:
            private_zone_id(zone, clients)
        except Refused:
            with calling("route53:CreateHostedZone", f"zone {zone}"):
                clients.route53.create_hosted_zone(
                    Name=zone,
                    CallerReference=f"local-{zone}",
                    VPC={"VPCRegion": self._region, "VPCId": vpc},  # type: ignore[typeddict-item]
                    HostedZoneConfig={"PrivateZone": True},
                )

    def _keep_secret(self, clients: Clients, reference: SecretReference, value: str) -> None:
        match reference.scheme:
            case "ssm":
                with calling("ssm:PutParameter", str(reference)):
                    clients.ssm.put_parameter(
                        Name=reference.name, Value=value, Type="SecureString", Overwrite=True
                    )
            case "secretsmanager":
                text = json.dumps({reference.key: value}) if reference.key else value
                _put_secret(clients, reference.name, text)
            case "env":
                return

    def _put_jobs(self, url: str, name: str, fleet_url: str) -> None:
        """Each job of each group; the last one of a group is what makes its servers healthy."""
        groups = [group for group in self._config.provision if group.jenkins == name]
        jobs: dict[str, dict[str, object]] = {}
        for group in groups:
            for job in group.jobs:
                made = jobs.setdefault(job, {"name": job, "duration_s": self._build_s})
                known = made.get("parameters", [])
                names = [*(known if isinstance(known, list) else []), *PARAMETERS]
                made["parameters"] = list(dict.fromkeys([*names, *group.parameters]))
                if job == group.jobs[-1]:
                    made["on_success"] = f"{fleet_url}/_fleet/provisioned"
        _put_json(url, "/_stand-in/jobs", list(jobs.values()))


def _world_group(group: ProvisionGroup) -> WorldGroup:
    return WorldGroup(
        name=group.group,
        target_group=group.finish == "healthy",
        hook=group.hook,
    )


def _answers(server: JenkinsConfig) -> bool:
    """Whether a Jenkins answers there, to anyone; its version stands in every answer's header."""
    parts = urlsplit(server.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return False
    try:
        Jenkins(server.url, server.user, "").version()
    except Error as error:
        # Refused: it is there and wants a token.
        return isinstance(error, Refused)
    return True


def _put_secret(clients: Clients, name: str, text: str) -> None:
    manager = clients.secretsmanager
    with calling("secretsmanager:CreateSecret", name):
        try:
            manager.create_secret(Name=name, SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=text)


def _put_json(url: str, path: str, body: object) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("PUT", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise Refused(f"the Jenkins stand-in refused {path}: {text.decode(errors='replace')}")
