"""What becomes of a stack in each state AWS may have left it in, by a scripted CloudFormation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from triggerfish.deploy.apply import Patience, Stack
from triggerfish.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.runtime.aws import Clients

AT = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)


class Exceptions:
    ClientError = ClientError


class CloudFormation:
    """Answers DescribeStacks with `states` in turn, the last for ever; change sets with `plan`."""

    exceptions = Exceptions

    def __init__(
        self,
        *states: str | None,
        plan: tuple[str, str] = ("CREATE_COMPLETE", ""),
        events: tuple[tuple[str, str, str], ...] = (),
    ) -> None:
        self.calls: list[str] = []
        self.request: dict[str, Any] = {}
        self._states = list(states)
        self._plan = plan
        self._events = [_event(str(number), *event) for number, event in enumerate(events)]

    def client(self, service: str) -> CloudFormation:
        assert service == "cloudformation"
        return self

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if state is None:
            raise _refusal("ValidationError", "Stack with id shop does not exist")
        if state == "AccessDenied":
            raise _refusal("AccessDenied", "no")
        return {
            "Stacks": [
                {"StackId": "arn:shop", "StackStatus": state, "StackStatusReason": "said AWS"}
            ]
        }

    def delete_stack(self, **_: str) -> None:
        self.calls.append("delete")

    def create_change_set(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request["ChangeSetType"])
        self.request = request
        return {"Id": "arn:change"}

    def describe_change_set(self, **_: str) -> dict[str, Any]:
        status, reason = self._plan
        return {"Status": status, "StatusReason": reason}

    def delete_change_set(self, **_: str) -> None:
        self.calls.append("discard")

    def execute_change_set(self, **_: str) -> None:
        self.calls.append("execute")

    def describe_stack_events(self, **_: str) -> dict[str, Any]:
        executed = "execute" in self.calls
        return {"StackEvents": self._events[::-1] if executed else []}

    def get_paginator(self, _: str) -> CloudFormation:
        return self

    def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
        events = self._events[::-1]
        yield {"StackEvents": events[:2]}
        yield {"StackEvents": events[2:]}


def _refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")


def _event(number: str, resource: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "EventId": number,
        "Timestamp": AT,
        "LogicalResourceId": resource,
        "ResourceType": "AWS::SQS::Queue",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


DONE = (("shop", "UPDATE_COMPLETE", ""),)


def stack(cloudformation: CloudFormation) -> Stack:
    ticks = iter(range(1_000))
    patience = Patience(limit_s=20, sleep=lambda _: None, monotonic=lambda: float(next(ticks)))
    return Stack(cast("Clients", cloudformation), "shop", patience=patience)


def test_a_change_in_progress_is_waited_for_before_the_next() -> None:
    aws = CloudFormation("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", events=DONE)

    done = stack(aws).apply(body="{}", parameters={"B": "2", "A": "1"})

    assert done.outcome == "updated"
    assert aws.calls == ["UPDATE", "execute"]
    assert aws.request["TemplateBody"] == "{}"
    assert aws.request["Capabilities"] == ["CAPABILITY_IAM"]
    assert aws.request["Tags"] == [{"Key": "triggerfish:stack", "Value": "shop"}]
    assert aws.request["Parameters"] == [
        {"ParameterKey": "A", "ParameterValue": "1"},
        {"ParameterKey": "B", "ParameterValue": "2"},
    ]


def test_a_stack_that_was_only_planned_is_created() -> None:
    aws = CloudFormation("REVIEW_IN_PROGRESS", events=(("shop", "CREATE_COMPLETE", ""),))

    done = stack(aws).apply(body="{}", url="http://127.0.0.1/t.json", parameters={})

    assert done.outcome == "created"
    assert aws.request["TemplateURL"] == "http://127.0.0.1/t.json"
    assert "TemplateBody" not in aws.request


def test_the_husk_of_a_failed_first_deploy_is_deleted_first() -> None:
    aws = CloudFormation(
        "ROLLBACK_COMPLETE",
        "ROLLBACK_COMPLETE",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
        "CREATE_COMPLETE",
        events=(("shop", "CREATE_COMPLETE", ""),),
    )

    stack(aws).apply(body="{}", parameters={})

    assert aws.calls == ["delete", "CREATE", "execute"]


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("ROLLBACK_FAILED", "remove what is named above, delete the stack, then deploy again"),
        ("DELETE_FAILED", "remove what is named above, delete the stack, then deploy again"),
        (
            "UPDATE_ROLLBACK_FAILED",
            "`aws cloudformation continue-update-rollback`, then deploy again",
        ),
    ],
)
def test_a_stack_that_is_stuck_is_refused_with_the_way_out(status: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        stack(CloudFormation(status)).apply(body="{}", parameters={})

    assert str(refused.value) == f"stack shop is {status}: said AWS\nhint: {hint}"


@pytest.mark.parametrize(
    "reason",
    [
        (
            "The submitted information didn't contain changes. "
            "Submit different information to create a change set."
        ),
        "No updates are to be performed.",
    ],
)
def test_a_change_set_with_nothing_in_it_is_no_failure(reason: str) -> None:
    aws = CloudFormation("CREATE_COMPLETE", plan=("FAILED", reason))

    assert stack(aws).apply(body="{}", parameters={}).outcome == "unchanged"
    assert aws.calls == ["UPDATE", "discard"]


def test_a_change_that_can_not_be_planned_is_refused() -> None:
    aws = CloudFormation("CREATE_COMPLETE", plan=("FAILED", "Template error: X"))

    with pytest.raises(Refused) as refused:
        stack(aws).apply(body="{}", parameters={})

    assert (
        str(refused.value) == "stack shop: CloudFormation can't plan the change: Template error: X"
    )


def test_what_failed_only_because_of_another_is_not_told() -> None:
    aws = CloudFormation(
        "CREATE_COMPLETE",
        events=(
            ("shop", "UPDATE_IN_PROGRESS", "User Initiated"),
            ("A", "UPDATE_FAILED", "no room"),
            ("B", "UPDATE_FAILED", "Resource update cancelled"),
            ("shop", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
            ("shop", "UPDATE_ROLLBACK_FAILED", ""),
        ),
    )
    told: list[str] = []

    with pytest.raises(Refused) as refused:
        stack(aws).apply(body="{}", parameters={}, progress=lambda event: told.append(event.status))

    assert str(refused.value) == (
        "stack shop is UPDATE_ROLLBACK_FAILED:\nA (AWS::SQS::Queue): no room\n"
        "hint: `aws cloudformation continue-update-rollback`, then deploy again"
    )


def test_a_failure_without_a_cause_has_the_stacks_own_reason() -> None:
    aws = CloudFormation("CREATE_COMPLETE", events=(("shop", "UPDATE_ROLLBACK_COMPLETE", "why"),))

    with pytest.raises(Refused, match=r"^stack shop is UPDATE_ROLLBACK_COMPLETE:\nwhy"):
        stack(aws).apply(body="{}", parameters={})


def test_a_deploy_that_does_not_end_can_be_followed_later() -> None:
    aws = CloudFormation("CREATE_COMPLETE", events=(("A", "CREATE_IN_PROGRESS", ""),))

    with pytest.raises(Unavailable) as gone:
        stack(aws).apply(body="{}", parameters={})

    assert str(gone.value) == (
        "stack shop: not finished after 20 s\n"
        "hint: AWS carries on by itself; deploy again to follow it"
    )


def test_a_stack_that_can_not_be_deleted_is_refused() -> None:
    aws = CloudFormation("CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED")

    with pytest.raises(Refused, match=r"^stack shop can't be deleted: said AWS$"):
        stack(aws).delete()


def test_a_stack_we_may_not_see_is_not_taken_for_absent() -> None:
    with pytest.raises(Refused, match="AccessDenied: no"):
        stack(CloudFormation("AccessDenied")).describe()


def test_pauses_grow_to_five_seconds() -> None:
    pauses: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    patience = Patience(limit_s=60, sleep=sleep, monotonic=lambda: now[0])
    with pytest.raises(Unavailable):
        list(patience.pauses("it"))

    assert pauses[:3] == [0.05, pytest.approx(0.075), pytest.approx(0.1125)]
    assert max(pauses) == 5.0
