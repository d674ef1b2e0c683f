"""Puts the ports together, for the function and for the command line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from triggerfish.provision.aws import AwsAutoScaling, AwsBalancers, AwsMachines
from triggerfish.provision.events import wake_message
from triggerfish.provision.jenkins import Jenkins
from triggerfish.provision.jenkins_view import JenkinsDoor
from triggerfish.provision.ports import Ports
from triggerfish.provision.records import Route53Records
from triggerfish.provision.store import keep_notice
from triggerfish.runtime import log
from triggerfish.runtime.aws import calling
from triggerfish.runtime.pace import TokenBucket
from triggerfish.runtime.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.notice import Notice
    from triggerfish.provision.config import ProvisionGroup, ProvisionSettings
    from triggerfish.runtime.aws import Clients
    from triggerfish.runtime.notices import NoticeQueue
    from triggerfish.runtime.table import Table
    from triggerfish.types import Clock

MOST_DELAY_S = 900
"""SQS: `DelaySeconds` is at most 15 minutes."""

TAGS_AT_ONCE, TAGS_A_SECOND = 100, 10
"""EC2 throttles CreateTags by a bucket of 100 that refills 10 a second, for all of an account.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
"""


class Pace:
    """`Pace` on the shared bucket, with its measures."""

    def __init__(self, bucket: TokenBucket, *, capacity: int, refill_per_s: int) -> None:
        self._bucket = bucket
        self._capacity = capacity
        self._refill_per_s = refill_per_s

    def take(self, wanted: int, /) -> int:
        return self._bucket.take(wanted, capacity=self._capacity, refill_per_s=self._refill_per_s)


class Assembly:
    """The ports of one process, made once and used by every run."""

    def __init__(  # noqa: PLR0913 - what a process is given
        self,
        settings: ProvisionSettings,
        clients: Clients,
        table: Table,
        clock: Clock,
        *,
        queue_url: str,
        parameters: Mapping[str, str],
        notices: NoticeQueue | None = None,
    ) -> None:
        """`parameters` maps "zone NAME" to a hosted zone id and "jenkins NAME" to its address.

        Without `notices` people find out by `status` and the log alone.
        """
        self.groups = {group.group: group for group in settings.groups}
        self._settings = settings
        self._clients = clients
        self._table = table
        self._clock = clock
        self._queue_url = queue_url
        self._parameters = parameters
        self._notices = notices
        self._secrets = Secrets(clients, clock)
        self._jenkins: dict[str, Jenkins] = {}
        self.ports = Ports(
            auto_scaling=AwsAutoScaling(clients.autoscaling),
            machines=AwsMachines(clients.ec2),
            balancers=AwsBalancers(clients.elbv2),
            records=Route53Records(clients.route53, self._named("zone ")),
            jenkins=lambda group: JenkinsDoor(self.jenkins(group)),
            table=table,
            clock=clock,
            wake=self._wake,
            tell=self.tell,
            tag_pace=self._pace("ec2:CreateTags", TAGS_AT_ONCE, TAGS_A_SECOND),
            # One change of a zone can be under way at a time; more than one in 2 s is haste.
            zone_pace=lambda zone: self._pace(f"route53:{zone}", 5, 1),
        )

    def tell(self, notice: Notice) -> None:
        """Tell people; `status` and the log show it too."""
        keep_notice(self._table, notice, self._clock)
        if self._notices is not None:
            self._notices.send(notice)
        log.warning("notice", key=notice.key, title=notice.title, facts=dict(notice.facts))

    def _pace(self, name: str, capacity: int, refill_per_s: int) -> Pace:
        bucket = TokenBucket(self._table, name, self._clock)
        return Pace(bucket, capacity=capacity, refill_per_s=refill_per_s)

    def jenkins(self, group: ProvisionGroup) -> Jenkins:
        """The client of the Jenkins that runs the group's jobs."""
        name = group.jenkins
        if name not in self._jenkins:
            settings = self._settings.jenkins[name]
            url = self._parameters.get(f"jenkins {name}") or settings.url
            self._jenkins[name] = Jenkins(url, settings.user, partial(self._token, name))
        return self._jenkins[name]

    def _token(self, name: str) -> str:
        return self._secrets.read(self._settings.jenkins[name].token).reveal()

    def _named(self, prefix: str) -> dict[str, str]:
        return {
            key.removeprefix(prefix): value
            for key, value in self._parameters.items()
            if key.startswith(prefix)
        }

    def _wake(self, group: str, seconds: int) -> None:
        with calling("sqs:SendMessage", f"wake-up of group {group}"):
            self._clients.sqs.send_message(
                QueueUrl=self._queue_url,
                MessageBody=wake_message(group),
                DelaySeconds=min(seconds, MOST_DELAY_S),
            )
