"""A template becomes a stack: by change set, watched to its end, failures told in words."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

from triggerfish.errors import Error, Refused, Unavailable
from triggerfish.runtime.aws import calling, error_code, error_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import (
        CreateChangeSetInputTypeDef,
        StackEventTypeDef,
        StackTypeDef,
    )

    from triggerfish.runtime.aws import Clients

Outcome = Literal["created", "updated", "unchanged"]

STACK_TAG = "triggerfish:stack"

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
"""What CloudFormation gives as the reason of a change set with nothing in it."""
_CONSEQUENCES = ("Resource creation cancelled", "Resource update cancelled")
"""Reasons of resources that failed only because another did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of a deploy, as CloudFormation tells it."""

    at: datetime
    resource: str
    """Its logical id; the stack's own name for the stack."""
    type: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    stack: str
    outcome: Outcome
    outputs: tuple[tuple[str, str], ...]
    """Sorted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for AWS, and how. Tests pass their own."""

    limit_s: float = 30 * 60
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def pauses(self, what: str) -> Iterator[None]:
        """Yield at growing intervals. Raises `Unavailable` past the limit."""
        end, pause = self.monotonic() + self.limit_s, _FIRST_PAUSE_S
        while self.monotonic() < end:
            yield
            self.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
        raise Unavailable(
            f"{what}: not finished after {self.limit_s:.0f} s",
            hint="AWS carries on by itself; deploy again to follow it",
        )


class Stack:
    """One CloudFormation stack and what can be done to it."""

    def __init__(self, clients: Clients, name: str, *, patience: Patience | None = None) -> None:
        self.name = name
        self._cloudformation: CloudFormationClient = clients.client("cloudformation")
        self._patience = patience or Patience()

    def apply(
        self,
        *,
        body: str,
        url: str | None = None,
        parameters: Mapping[str, str],
        progress: Callable[[Event], None] = lambda _: None,
    ) -> Applied:
        """Make the stack what the template says: its text, read from `url` where that is given.

        Raises:
            Refused: CloudFormation can't do it, with the first cause.
            Unavailable: it isn't done yet.

        """
        kind = self._prepare()
        change_set = self._create_change_set(kind, body, url, parameters)
        if change_set is None:
            return self._applied("unchanged")
        before = self._newest_event()
        with calling("cloudformation:ExecuteChangeSet", self._what):
            self._cloudformation.execute_change_set(
                ChangeSetName=change_set, ClientRequestToken=uuid.uuid4().hex
            )
        self._watch(before, progress)
        match kind:
            case "CREATE":
                return self._applied("created")
            case "UPDATE":
                return self._applied("updated")
            case _:
                assert_never(kind)

    def delete(self) -> None:
        """Delete the stack and wait until it is gone; what its template retains stays."""
        found = self.describe()
        if found is None:
            return
        with calling("cloudformation:DeleteStack", self._what):
            self._cloudformation.delete_stack(StackName=self.name)
        # By its id: a deleted stack has no name any more.
        for _ in self._patience.pauses(self._what):
            state = self.describe(found["StackId"])
            if state is None or state["StackStatus"] == "DELETE_COMPLETE":
                return
            if state["StackStatus"] == "DELETE_FAILED":
                raise Refused(f"{self._what} can't be deleted: {_reason(state)}")

    def describe(self, stack_id: str | None = None) -> StackTypeDef | None:
        with calling("cloudformation:DescribeStacks", self._what):
            try:
                answer = self._cloudformation.describe_stacks(StackName=stack_id or self.name)
            except self._cloudformation.exceptions.ClientError as error:
                if error_code(error) == "ValidationError" and "exist" in error_message(error):
                    return None
                raise
        return answer["Stacks"][0]

    @property
    def _what(self) -> str:
        return f"stack {self.name}"

    def _prepare(self) -> Literal["CREATE", "UPDATE"]:
        """Wait for what is going on, clear a failed start away, and say what the change will be."""
        for _ in self._patience.pauses(self._what):
            found = self.describe()
            status = found["StackStatus"] if found else "DELETE_COMPLETE"
            if status == "ROLLBACK_COMPLETE":  # its first deploy failed: there is nothing in it
                self.delete()
                return "CREATE"
            if status in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}:
                return "CREATE"
            if found and status.endswith("_FAILED"):
                raise Refused(f"{self._what} is {status}: {_reason(found)}", hint=_way_out(status))
            if not status.endswith("_IN_PROGRESS"):
                return "UPDATE"
        raise AssertionError  # pauses() raises before it ends

    def _create_change_set(
        self,
        kind: Literal["CREATE", "UPDATE"],
        body: str,
        url: str | None,
        parameters: Mapping[str, str],
    ) -> str | None:
        """The ARN of a change set ready to be executed; None if there is nothing to change."""
        name = f"triggerfish-{uuid.uuid4().hex}"
        request: CreateChangeSetInputTypeDef = {
            "StackName": self.name,
            "ChangeSetName": name,
            "ChangeSetType": kind,
            "ClientToken": name,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in sorted(parameters.items())
            ],
            # No role has a name of its own: CAPABILITY_NAMED_IAM isn't needed.
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": STACK_TAG, "Value": self.name}],
        }
        if url is None:
            request["TemplateBody"] = body
        else:
            request["TemplateURL"] = url
        with calling("cloudformation:CreateChangeSet", self._what):
            made = self._cloudformation.create_change_set(**request)
        for _ in self._patience.pauses(f"change set of {self._what}"):
            with calling("cloudformation:DescribeChangeSet", self._what):
                state = self._cloudformation.describe_change_set(ChangeSetName=made["Id"])
            if state["Status"] == "CREATE_COMPLETE":
                break
            if state["Status"] == "FAILED":
                self._discard(made["Id"])
                reason = state.get("StatusReason", "no reason given")
                if any(words in reason for words in _NO_CHANGES):
                    return None
                raise Refused(f"{self._what}: CloudFormation can't plan the change: {reason}")
        return made["Id"]

    def _discard(self, change_set: str) -> None:
        with calling("cloudformation:DeleteChangeSet", self._what):
            self._cloudformation.delete_change_set(ChangeSetName=change_set)

    def _watch(self, before: str | None, progress: Callable[[Event], None]) -> None:
        """Follow the events after `before` until the stack's own last one."""
        failures: list[Event] = []
        for _ in self._patience.pauses(self._what):
            events, before = self._events_after(before)
            for event in events:
                progress(event)
                if event.status.endswith("_FAILED") and event.resource != self.name:
                    failures.append(event)
                if event.resource == self.name and not event.status.endswith("_IN_PROGRESS"):
                    if event.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                        return
                    raise _failure(self._what, event, failures)

    def _newest_event(self) -> str | None:
        with calling("cloudformation:DescribeStackEvents", self._what):
            answer = self._cloudformation.describe_stack_events(StackName=self.name)
        return answer["StackEvents"][0]["EventId"] if answer["StackEvents"] else None

    def _events_after(self, before: str | None) -> tuple[list[Event], str | None]:
        """The events after `before`, oldest first, and the id of the newest."""
        found: list[StackEventTypeDef] = []
        with calling("cloudformation:DescribeStackEvents", self._what):
            pages = self._cloudformation.get_paginator("describe_stack_events")
            for page in pages.paginate(StackName=self.name):
                for event in page["StackEvents"]:  # newest first
                    if event["EventId"] == before:
                        break
                    found.append(event)
                else:
                    continue
                break
        newest = found[0]["EventId"] if found else before
        return [_event(event) for event in reversed(found)], newest

    def _applied(self, outcome: Outcome) -> Applied:
        found = self.describe()
        outputs = found.get("Outputs", []) if found else []
        pairs = sorted((item["OutputKey"], item["OutputValue"]) for item in outputs)
        return Applied(stack=self.name, outcome=outcome, outputs=tuple(pairs))


def _event(event: StackEventTypeDef) -> Event:
    return Event(
        at=event["Timestamp"],
        resource=event.get("LogicalResourceId", ""),
        type=event.get("ResourceType", ""),
        status=event.get("ResourceStatus", ""),
        reason=event.get("ResourceStatusReason", ""),
    )


def _failure(what: str, last: Event, failures: Sequence[Event]) -> Error:
    """The first cause, in words; what failed only because of it is left out."""
    causes = [event for event in failures if not event.reason.startswith(_CONSEQUENCES)]
    told = [f"{event.resource} ({event.type}): {event.reason}" for event in causes]
    reason = "\n".join(told) or last.reason or "CloudFormation gives no reason"
    hint = _way_out(last.status)
    if last.status in {"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}:
        hint = "everything is as it was before; correct this and deploy again"
    return Refused(f"{what} is {last.status}:\n{reason}", hint=hint)


def _reason(state: StackTypeDef) -> str:
    return state.get("StackStatusReason") or "CloudFormation gives no reason"


def _way_out(status: str) -> str:
    match status:
        case "UPDATE_ROLLBACK_FAILED":
            return "`aws cloudformation continue-update-rollback`, then deploy again"
        case "DELETE_FAILED" | "ROLLBACK_FAILED" | "CREATE_FAILED":
            return "remove what is named above, delete the stack, then deploy again"
        case _:
            return "correct this, then deploy again"
