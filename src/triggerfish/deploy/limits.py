"""The limits of Lambda and its neighbours, each with its value, its source and when it was read.

The local cloud accepts everything beyond them, so they are checked before a local deploy too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triggerfish.blueprint import QueueSource, ScheduleSource
from triggerfish.deploy.references import names_in
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from triggerfish.blueprint import Blueprint, Function, Queue

MB = 1024 * 1024

_LAMBDA = "docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_LAMBDA_API = "docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"
_MAPPING = "docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html"
_SQS = "docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"
_CLOUDFORMATION = (
    "docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """From `least` to `most`, both allowed, in `unit`."""

    what: str
    least: int
    most: int
    unit: str
    source: str
    read: str = "2026-11"

    def problem(self, where: str, found: int) -> str | None:
        if self.least <= found <= self.most:
            return None
        unit = f" {self.unit}" if self.unit else ""
        wanted = f"{self.least} to {self.most}" if self.least else f"{self.most} at most"
        return (
            f"{where}: {self.what} is {found}{unit}, wanted {wanted} ({self.source}, {self.read})"
        )


MEMORY = Limit(what="memory", least=128, most=10_240, unit="MB", source=_LAMBDA)
TIMEOUT = Limit(what="timeout", least=1, most=900, unit="s", source=_LAMBDA)
TMP = Limit(what="temporary storage", least=512, most=10_240, unit="MB", source=_LAMBDA)
ENVIRONMENT = Limit(what="environment", least=0, most=4096, unit="bytes", source=_LAMBDA)
UNZIPPED = Limit(what="artifact unzipped", least=1, most=250 * MB, unit="bytes", source=_LAMBDA)
ZIPPED_BY_API = Limit(
    what="artifact zipped, sent to Lambda directly",
    least=1,
    most=50 * MB,
    unit="bytes",
    source=_LAMBDA,
)
"""Doesn't bind us: every artifact goes through S3. Kept for who deploys by other means."""
FUNCTION_NAME = Limit(what="name", least=1, most=64, unit="characters", source=_LAMBDA_API)
DESCRIPTION = Limit(what="description", least=0, most=256, unit="characters", source=_LAMBDA_API)

BATCH = Limit(what="batch size", least=1, most=10_000, unit="", source=_MAPPING)
BATCH_WITHOUT_WINDOW = Limit(
    what="batch size without a batching window", least=1, most=10, unit="", source=_MAPPING
)
WINDOW = Limit(what="batching window", least=0, most=300, unit="s", source=_MAPPING)
MAPPING_CONCURRENCY = Limit(
    what="maximum concurrency", least=2, most=1000, unit="", source=_MAPPING
)

VISIBILITY = Limit(what="visibility timeout", least=0, most=43_200, unit="s", source=_SQS)
RETENTION = Limit(what="retention", least=60, most=1_209_600, unit="s", source=_SQS)
RECEIVES = Limit(what="receives before a dead letter", least=1, most=1000, unit="", source=_SQS)
QUEUE_NAME = Limit(what="name with '-dead'", least=1, most=80, unit="characters", source=_SQS)

RESOURCES = Limit(what="resources", least=1, most=500, unit="", source=_CLOUDFORMATION)
PARAMETERS = Limit(what="parameters", least=0, most=200, unit="", source=_CLOUDFORMATION)
OUTPUTS = Limit(what="outputs", least=0, most=200, unit="", source=_CLOUDFORMATION)
TEMPLATE = Limit(what="size", least=1, most=1_000_000, unit="bytes", source=_CLOUDFORMATION)
TEMPLATE_INLINE_BYTES = 51_200
"""Beyond it the template is read from S3. Source: the same page."""

RESERVED_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    }
)
"""Source: docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, 2026-11."""

_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_RATE = re.compile(r"rate\([1-9]\d* (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\(\S+( \S+){5}\)")
_AT = re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)")
_REFERENCE_BYTES = 160
"""Room for what a reference becomes: the longest is the URL of a queue with a long name."""


def refuse(problems: Sequence[str]) -> None:
    """Raise `Refused` with every one of `problems`, if there are any."""
    if problems:
        raise Refused(
            "AWS would refuse this, or fail later without a word:\n" + "\n".join(problems)
        )


def blueprint_problems(blueprint: Blueprint, values: Mapping[str, str]) -> list[str]:
    """Everything in `blueprint` beyond a limit. `values` are the parameters, where known."""
    queues = {queue.id: queue for queue in blueprint.queues}
    problems = [problem for queue in blueprint.queues for problem in _queue(queue)]
    for function in blueprint.functions:
        problems += _function(function, values)
        for source in function.sources:
            if isinstance(source, QueueSource):
                problems += _queue_source(function, source, queues.get(source.queue))
            elif isinstance(source, ScheduleSource) and not _is_schedule(source):
                problems.append(
                    f"schedule {source.id}: found {source.expression!r}, wanted rate(5 minutes), "
                    "cron(0 6 * * ? *) or at(2030-01-31T06:00:00)"
                )
    return problems


def artifact_problems(function: str, unzipped_bytes: int) -> list[str]:
    return _found([UNZIPPED.problem(f"function {function}", unzipped_bytes)])


def template_problems(
    *, resources: int, parameters: int, outputs: int, size_bytes: int
) -> list[str]:
    return _found(
        [
            RESOURCES.problem("template", resources),
            PARAMETERS.problem("template", parameters),
            OUTPUTS.problem("template", outputs),
            TEMPLATE.problem("template", size_bytes),
        ]
    )


def environment_bytes(variables: Mapping[str, str], values: Mapping[str, str]) -> int:
    """How much of the 4 KB `variables` take: Lambda measures them as one JSON object."""
    text = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode())
    for value in variables.values():
        size += sum(len(values.get(name, " " * _REFERENCE_BYTES)) for name in names_in(value))
    return size


def _function(function: Function, values: Mapping[str, str]) -> list[str]:
    where = f"function {function.name}"
    variables = dict(function.environment)
    problems = [
        FUNCTION_NAME.problem(where, len(function.name)),
        DESCRIPTION.problem(where, len(function.description)),
        MEMORY.problem(where, function.memory_mb),
        TIMEOUT.problem(where, function.timeout_s),
        TMP.problem(where, function.tmp_mb),
        ENVIRONMENT.problem(where, environment_bytes(variables, values)),
    ]
    if "." not in function.handler:
        problems.append(f"{where}: handler is {function.handler!r}, wanted module.function")
    reserved = sorted(variables.keys() & RESERVED_VARIABLES)
    problems += [f"{where}: the variable {name} is Lambda's own" for name in reserved]
    problems += [
        f"{where}: {name!r} is no name for a variable"
        for name in sorted(variables.keys() - RESERVED_VARIABLES)
        if not _VARIABLE.fullmatch(name)
    ]
    if function.vpc and not (function.vpc.subnets and function.vpc.security_groups):
        problems.append(f"{where}: a VPC needs a subnet and a security group at least")
    return _found(problems)


def _queue(queue: Queue) -> list[str]:
    where = f"queue {queue.name}"
    return _found(
        [
            QUEUE_NAME.problem(where, len(f"{queue.name}-dead")),
            VISIBILITY.problem(where, queue.visibility_timeout_s),
            RETENTION.problem(where, queue.retention_s),
            RECEIVES.problem(where, queue.max_receive_count),
        ]
    )


def _queue_source(function: Function, source: QueueSource, queue: Queue | None) -> list[str]:
    where = f"function {function.name} on queue {source.queue}"
    size = BATCH if source.batching_window_s else BATCH_WITHOUT_WINDOW
    problems = [
        size.problem(where, source.batch_size),
        WINDOW.problem(where, source.batching_window_s),
    ]
    if source.maximum_concurrency is not None:
        problems.append(MAPPING_CONCURRENCY.problem(where, source.maximum_concurrency))
    if queue is None:
        problems.append(f"{where}: its blueprint has no such queue")
    elif queue.visibility_timeout_s < function.timeout_s:
        # CreateEventSourceMapping refuses it: a message would come back while it is being handled.
        problems.append(
            f"{where}: visibility timeout is {queue.visibility_timeout_s} s, "
            f"wanted the function's timeout of {function.timeout_s} s at least"
        )
    return _found(problems)


def _is_schedule(source: ScheduleSource) -> bool:
    return any(form.fullmatch(source.expression) for form in (_RATE, _CRON, _AT))


def _found(problems: Iterable[str | None]) -> list[str]:
    return [problem for problem in problems if problem is not None]
