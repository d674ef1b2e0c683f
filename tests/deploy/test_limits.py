from __future__ import annotations

import dataclasses

import pytest

from tests.deploy.samples import QUEUE, make_blueprint, make_function
from triggerfish.blueprint import Function, QueueSource, ScheduleSource, Vpc
from triggerfish.deploy import limits
from triggerfish.errors import Refused

LAMBDA = "(docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, 2026-11)"
API = "(docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html, 2026-11)"
MAPPING = "(docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html, 2026-11)"
SQS = (
    "(docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/"
    "API_SetQueueAttributes.html, 2026-11)"
)
ON_QUEUE = "function shop-local-sample on queue Sample"


def problems(function: Function) -> list[str]:
    return limits.blueprint_problems(make_blueprint(function=function), {})


def test_the_sample_is_within_all_limits() -> None:
    assert problems(make_function()) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"memory_mb": 20}, f"memory is 20 MB, wanted 128 to 10240 {LAMBDA}"),
        ({"memory_mb": 10_241}, f"memory is 10241 MB, wanted 128 to 10240 {LAMBDA}"),
        ({"timeout_s": 0}, f"timeout is 0 s, wanted 1 to 900 {LAMBDA}"),
        ({"tmp_mb": 20_000}, f"temporary storage is 20000 MB, wanted 512 to 10240 {LAMBDA}"),
        ({"description": "x" * 257}, f"description is 257 characters, wanted 256 at most {API}"),
        ({"handler": "handler"}, "handler is 'handler', wanted module.function"),
        (
            {"environment": (("AWS_REGION", "x"),)},
            "the variable AWS_REGION is Lambda's own",
        ),
        ({"environment": (("a-b", "x"),)}, "'a-b' is no name for a variable"),
        (
            {"environment": (("BIG", "x" * 4087),)},
            f"environment is 4097 bytes, wanted 4096 at most {LAMBDA}",
        ),
        (
            {"vpc": Vpc(subnets=(), security_groups=("sg-1",))},
            "a VPC needs a subnet and a security group at least",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_function_beyond_a_limit_is_told(changes: dict[str, object], problem: str) -> None:
    assert problems(make_function(**changes)) == [f"function shop-local-sample: {problem}"]


def test_a_full_environment_of_exactly_4_kb_passes() -> None:
    assert problems(make_function(environment=(("BIG", "x" * 4086),))) == []


def test_a_parameter_counts_with_its_value_and_another_reference_with_the_longest() -> None:
    variables = {"A": "${Zone}", "B": "${Queue}"}

    assert (
        limits.environment_bytes(variables, {"Zone": "Z123"})
        == len('{"A":"${Zone}","B":"${Queue}"}') + 4 + 160
    )


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            QueueSource(queue="Sample", batch_size=11),
            f"batch size without a batching window is 11, wanted 1 to 10 {MAPPING}",
        ),
        (
            QueueSource(queue="Sample", batch_size=10_001, batching_window_s=1),
            f"batch size is 10001, wanted 1 to 10000 {MAPPING}",
        ),
        (
            QueueSource(queue="Sample", batch_size=1, batching_window_s=301),
            f"batching window is 301 s, wanted 300 at most {MAPPING}",
        ),
        (
            QueueSource(queue="Sample", batch_size=1, maximum_concurrency=1),
            f"maximum concurrency is 1, wanted 2 to 1000 {MAPPING}",
        ),
    ],
)
def test_a_queue_source_beyond_a_limit_is_told(source: QueueSource, problem: str) -> None:
    assert problems(make_function(sources=(source,))) == [f"{ON_QUEUE}: {problem}"]


def test_a_queue_that_is_nowhere_is_told() -> None:
    source = QueueSource(queue="Other", batch_size=1)

    assert problems(make_function(sources=(source,))) == [
        "function shop-local-sample on queue Other: its blueprint has no such queue"
    ]


def test_a_message_stays_hidden_at_least_as_long_as_the_function_may_run() -> None:
    assert problems(make_function(timeout_s=361)) == [
        f"{ON_QUEUE}: visibility timeout is 360 s, wanted the function's timeout of 361 s at least"
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"visibility_timeout_s": 43_201},
            f"visibility timeout is 43201 s, wanted 43200 at most {SQS}",
        ),
        ({"retention_s": 59}, f"retention is 59 s, wanted 60 to 1209600 {SQS}"),
        ({"max_receive_count": 0}, f"receives before a dead letter is 0, wanted 1 to 1000 {SQS}"),
    ],
)
def test_a_queue_beyond_a_limit_is_told(changes: dict[str, int], problem: str) -> None:
    queue = dataclasses.replace(QUEUE, **changes)  # type: ignore[arg-type]

    found = limits.blueprint_problems(make_blueprint(queues=(queue,)), {})

    assert found == [f"queue shop-local-sample: {problem}"]


def test_a_queues_name_leaves_room_for_its_dead_letters() -> None:
    queue = dataclasses.replace(QUEUE, name="q" * 76)

    found = limits.blueprint_problems(make_blueprint(queues=(queue,)), {})

    assert found == [f"queue {'q' * 76}: name with '-dead' is 81 characters, wanted 1 to 80 {SQS}"]


@pytest.mark.parametrize(
    "expression",
    ["rate(1 minute)", "rate(5 minutes)", "cron(0 6 * * ? *)", "at(2030-01-31T06:00:00)"],
)
def test_these_schedules_are_known(expression: str) -> None:
    source = ScheduleSource(id="S", expression=expression, input="{}")

    assert problems(make_function(sources=(source,))) == []


@pytest.mark.parametrize(
    "expression", ["rate(0 minutes)", "rate(1 week)", "cron(bad)", "cron(0 6 * * ?)", "at(now)", ""]
)
def test_a_schedule_the_emulator_would_swallow_is_told(expression: str) -> None:
    source = ScheduleSource(id="S", expression=expression, input="{}")

    assert problems(make_function(sources=(source,))) == [
        (
            f"schedule S: found {expression!r}, wanted rate(5 minutes), "
            "cron(0 6 * * ? *) or at(2030-01-31T06:00:00)"
        )
    ]


def test_an_artifact_over_250_mb_is_told() -> None:
    assert limits.artifact_problems("f", 262_144_000) == []
    assert limits.artifact_problems("f", 262_144_001) == [
        f"function f: artifact unzipped is 262144001 bytes, wanted 1 to 262144000 {LAMBDA}"
    ]


def test_everything_wrong_is_refused_at_once() -> None:
    with pytest.raises(Refused) as refused:
        limits.refuse(["one", "two"])

    assert str(refused.value) == "AWS would refuse this, or fail later without a word:\none\ntwo"


def test_nothing_wrong_is_not_refused() -> None:
    limits.refuse([])
