"""What the provision trigger needs in AWS, and which calls it makes there.

groups --SNS--> topic --> queue --> function <-- every minute
                            ^------ wake-ups ----'
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Protocol

from triggerfish.blueprint import (
    Blueprint,
    Call,
    Function,
    Parameter,
    Queue,
    QueueSource,
    ScheduleSource,
    Topic,
    Vpc,
)
from triggerfish.codec import encode
from triggerfish.provision.aws import BALANCER_CALLS, auto_scaling_calls, machine_calls
from triggerfish.provision.config import ProvisionSettings
from triggerfish.provision.records import record_calls
from triggerfish.runtime.dead_letters import dead_letter_calls
from triggerfish.runtime.event_bridge import schedule_input
from triggerfish.runtime.notices import CALLS as NOTICE_CALLS
from triggerfish.runtime.notices import QUEUE_VARIABLE
from triggerfish.runtime.secrets import secret_calls
from triggerfish.runtime.table import CALLS as TABLE_CALLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.provision.config import Jenkins, ProvisionGroup

MEMORY_MB = 256
TIMEOUT_S = 60


class FunctionPart(Protocol):
    @property
    def memory(self) -> int | None: ...


class ConfigPart(Protocol):
    """The part of the config that this trigger reads."""

    @property
    def name(self) -> str: ...
    @property
    def functions(self) -> FunctionPart: ...
    @property
    def notices(self) -> object | None: ...
    @property
    def jenkins(self) -> Mapping[str, Jenkins]: ...
    @property
    def provision(self) -> tuple[ProvisionGroup, ...]: ...


def settings_of(config: ConfigPart) -> ProvisionSettings:
    """What is baked into the function: the groups, and only the Jenkins servers they name."""
    used = {group.jenkins for group in config.provision}
    return ProvisionSettings(
        groups=config.provision,
        jenkins={name: jenkins for name, jenkins in config.jenkins.items() if name in used},
    )


def blueprint(config: ConfigPart, stage: str) -> Blueprint:
    """Everything for the configured groups; nothing where there are none."""
    if not config.provision:
        return Blueprint()
    stack = f"{config.name}-{stage}"
    return Blueprint(
        functions=(_function(config, stack, stage),),
        queues=(
            Queue(id="Provision", name=f"{stack}-provision", visibility_timeout_s=6 * TIMEOUT_S),
        ),
        topics=(
            Topic(
                id="Provision",
                name=f"{stack}-provision",
                queue="Provision",
                publishers=("autoscaling.amazonaws.com",),
            ),
        ),
        parameters=(*_zone_parameters(config), *_jenkins_parameters(config)),
        outputs=(
            ("ProvisionTopicArn", "${ProvisionTopic}"),
            ("ProvisionQueue", "${ProvisionQueue}"),
        ),
    )


def _function(config: ConfigPart, stack: str, stage: str) -> Function:
    return Function(
        id="Provision",
        name=f"{stack}-provision",
        handler="triggerfish.provision.handler.handler",
        description="Numbers, names, provisions and watches the members of Auto Scaling groups.",
        memory_mb=config.functions.memory or MEMORY_MB,
        timeout_s=TIMEOUT_S,
        calls=_calls(config),
        sources=(
            QueueSource(queue="Provision", batch_size=10, maximum_concurrency=10),
            ScheduleSource(
                id="ProvisionSweep",
                expression="rate(1 minute)",
                input=schedule_input("provision-sweep"),
            ),
        ),
        settings=encode(settings_of(config)),
        requirements=("msgspec",),
        environment=(
            ("TRIGGERFISH_STAGE", stage),
            ("TRIGGERFISH_STACK", stack),
            ("TRIGGERFISH_TABLE", "${StateTable}"),
            ("TRIGGERFISH_QUEUE_URL", "${ProvisionQueue}"),
            ("TRIGGERFISH_DEAD_LETTER_QUEUE_URL", "${ProvisionDeadLetterQueue}"),
            ("TRIGGERFISH_PARAMETERS", _parameters_variable(config)),
            *_notices_variable(config),
        ),
        wakes_itself=True,
        vpc=_vpc(config),
    )


def _calls(config: ConfigPart) -> tuple[Call, ...]:
    groups = [group.group for group in config.provision]
    settings = settings_of(config)
    return (
        *TABLE_CALLS,
        Call("sqs:SendMessage", "${ProvisionQueue.Arn}"),
        *dead_letter_calls("Provision"),
        *(NOTICE_CALLS if config.notices is not None else ()),
        *auto_scaling_calls(groups),
        *machine_calls(groups),
        *BALANCER_CALLS,
        *record_calls([_zone_id(zone) for zone in _zones(config)]),
        *(call for one in settings.jenkins.values() for call in secret_calls(one.token)),
    )


def _notices_variable(config: ConfigPart) -> tuple[tuple[str, str], ...]:
    """Where people are told through; nothing where the config tells nobody."""
    return ((QUEUE_VARIABLE, "${NoticesQueue}"),) if config.notices is not None else ()


def _vpc(config: ConfigPart) -> Vpc | None:
    """One function serves all groups, so it stands in the subnets of every Jenkins they use."""
    used = settings_of(config).jenkins.values()
    subnets = sorted({subnet for jenkins in used for subnet in jenkins.subnets})
    security_groups = sorted({group for jenkins in used for group in jenkins.security_groups})
    if not subnets:
        return None
    return Vpc(subnets=tuple(subnets), security_groups=tuple(security_groups))


def _zones(config: ConfigPart) -> list[str]:
    return sorted({group.zone for group in config.provision})


def _zone_id(zone: str) -> str:
    return f"Zone{_camel(zone)}"


def _jenkins_id(name: str) -> str:
    return f"Jenkins{_camel(name)}Url"


def _camel(text: str) -> str:
    """Logical ids are letters and digits; digits stand for what else tells two names apart."""
    parts = re.split(r"[^A-Za-z0-9]+", text)
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    if re.fullmatch(r"[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*", text):
        return name
    return f"{name}{zlib.crc32(text.encode())}"


def _zone_parameters(config: ConfigPart) -> list[Parameter]:
    return [
        Parameter(
            id=_zone_id(zone),
            description=f"The private hosted zone {zone}.",
            type="AWS::Route53::HostedZone::Id",
            resolve=("hosted-zone", zone),
        )
        for zone in _zones(config)
    ]


def _jenkins_parameters(config: ConfigPart) -> list[Parameter]:
    return [
        Parameter(
            id=_jenkins_id(name),
            description=f"The address of the Jenkins called {name}.",
            default=jenkins.url,
        )
        for name, jenkins in sorted(settings_of(config).jenkins.items())
    ]


def _parameters_variable(config: ConfigPart) -> str:
    zones = {f"zone {zone}": f"${{{_zone_id(zone)}}}" for zone in _zones(config)}
    servers = {
        f"jenkins {name}": f"${{{_jenkins_id(name)}}}"
        for name in sorted(settings_of(config).jenkins)
    }
    return json.dumps({**zones, **servers})


def jenkins_parameters(config: ConfigPart, urls: Mapping[str, str]) -> dict[str, str]:
    """Template parameter values that put other addresses in the place of the config's."""
    used = settings_of(config).jenkins
    return {_jenkins_id(name): url for name, url in urls.items() if name in used}
