"""The deployment a command speaks to: its table, its clients and what its functions were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.cli.context import Context
    from triggerfish.runtime.aws import Clients
    from triggerfish.runtime.table import DynamoTable


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStage:
    stack: str
    clients: Clients
    table: DynamoTable
    parameters: Mapping[str, str]
    """What the functions have in TRIGGERFISH_PARAMETERS, as far as it's known here."""
    addresses: Mapping[str, str]
    """Of the local cloud's parts; empty on AWS."""

    def queue_url(self, name: str) -> str:
        """The URL of the stack's queue `name` (`provision`)."""
        from triggerfish.runtime.aws import calling  # noqa: PLC0415  `--help` doesn't pay for it

        with calling("sqs:GetQueueUrl", f"queue {self.stack}-{name}"):
            return self.clients.sqs.get_queue_url(QueueName=f"{self.stack}-{name}")["QueueUrl"]


def open_stage(context: Context) -> OpenStage:
    """Raises Unavailable where no local cloud runs, ConfigError for a stage nobody configured."""
    from triggerfish.runtime.table import DynamoTable  # noqa: PLC0415  `--help` doesn't pay for it

    stack = context.config.stack(context.stage)
    if context.is_local:
        from triggerfish.local.clients import clients_of  # noqa: PLC0415  as above
        from triggerfish.local.project import LocalProject  # noqa: PLC0415

        running = LocalProject(context.project).expect_running()
        clients = clients_of(running.addresses, running.region)
        parameters, addresses = running.parameters, running.addresses
    else:
        from triggerfish.runtime.aws import Clients  # noqa: PLC0415  as above

        clients = Clients(region=context.config.region_in(context.stage))
        parameters, addresses = {}, {}
    return OpenStage(
        stack=stack,
        clients=clients,
        table=DynamoTable(clients.dynamodb, f"{stack}-state"),
        parameters=parameters,
        addresses=addresses,
    )
