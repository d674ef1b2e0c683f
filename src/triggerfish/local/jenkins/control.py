"""What a test, the demo and the local cloud ask of the stand-in itself, under `/_stand-in/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from triggerfish.local.jenkins import pages
from triggerfish.local.jenkins.exchange import Request, Response, document
from triggerfish.local.jenkins.model import Build, Item, Job, Mode, Outcome, Result

if TYPE_CHECKING:
    from triggerfish.local.jenkins.core import Core

PREFIX = "_stand-in"


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job to make or change. `parameters` null is a job that is not parameterized."""

    name: str
    parameters: dict[str, str] | list[str] | None = []
    duration_s: float = 0.4
    finishing_s: float = 0.0
    quiet_period_s: float | None = None
    concurrent: bool = True
    disabled: bool = False
    on_success: str | None = None

    def job(self) -> Job:
        given = self.parameters
        declared = dict.fromkeys(given, "") if isinstance(given, list) else given
        return Job(
            name=self.name.strip("/"),
            parameters=None if declared is None else tuple(declared.items()),
            duration_s=self.duration_s,
            finishing_s=self.finishing_s,
            quiet_period_s=self.quiet_period_s,
            concurrent=self.concurrent,
            disabled=self.disabled,
            on_success=self.on_success,
        )


class ModeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`loading` and `restarting` answer 503, `down` closes every connection; `up` restarts."""

    mode: Mode
    seconds: float | None = None
    forget_queue: bool = False


class RestartRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    forget_queue: bool = False
    reuse_ids: bool = False


class FaultsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only the fields that are given change."""

    refusing: bool | msgspec.UnsetType = msgspec.UNSET
    quieting_down: bool | msgspec.UnsetType = msgspec.UNSET
    forbidding: bool | msgspec.UnsetType = msgspec.UNSET
    lose_answers: int | msgspec.UnsetType = msgspec.UNSET


class OutcomeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the next `count` builds with these parameters do: fail, hang, abort, take longer."""

    result: Result = "FAILURE"
    hang: bool = False
    job: str | None = None
    parameters: dict[str, str] = {}
    count: int = 1
    duration_s: float | None = None


class ResetRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    jobs: bool = False


class StoredBuild(msgspec.Struct, frozen=True, kw_only=True):
    """A build as the listings of the stand-in give it; times in seconds since 1970."""

    job: str
    number: int
    queue_id: int
    parameters: dict[str, str]
    building: bool
    in_progress: bool
    result: Result | None
    started_at: float
    ended_at: float | None


class StoredItem(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    job: str
    parameters: dict[str, str]
    state: Literal["waiting", "blocked", "buildable", "pending", "left"]
    why: str | None
    cancelled: bool
    build: int | None


Body = list[JobRequest] | JobRequest | ModeRequest | RestartRequest | FaultsRequest | OutcomeRequest


def answer(core: Core, request: Request) -> Response:
    """Carry out a control request. `request.segments` start with the prefix."""
    what = "/".join(request.segments[1:])
    if request.method == "GET":
        return _listing(core, what)
    if not request.headers.get("content-type", "").startswith("application/json"):
        # A page in a browser can't send this type to another origin without asking first.
        return document({"error": "the content type has to be application/json"}, 415)
    try:
        return _change(core, f"{request.method} {what}", request)
    except msgspec.ValidationError as problem:
        return document({"error": str(problem)}, 400)
    except msgspec.DecodeError as problem:
        return document({"error": f"not JSON: {problem}"}, 400)


def _listing(core: Core, what: str) -> Response:
    if what == "builds":
        return _json({"builds": [_build(build) for build in core.builds()]})
    if what == "jobs":
        return _json({"jobs": list(core.jobs.values())})
    if what == "state":
        return _json(
            {
                "settings": core.settings,
                "jobs": list(core.jobs),
                "queue": [_item(core, item) for item in core.queue.values()],
                "running": [_build(build) for build in core.running.values()],
                "undelivered": len(core.outbox),
            }
        )
    return document({"error": f"no such listing: {what}"}, 404)


def _change(core: Core, what: str, request: Request) -> Response:
    body = request.body or b"{}"
    match what:
        case "PUT jobs" | "POST jobs":
            given = msgspec.json.decode(body, type=list[JobRequest] | JobRequest)
            for job in given if isinstance(given, list) else [given]:
                core.put_job(job.job())
        case "DELETE jobs":
            core.delete_job(msgspec.json.decode(body, type=JobRequest).name)
        case "PUT mode" | "POST mode":
            mode = msgspec.json.decode(body, type=ModeRequest)
            until = None if mode.seconds is None else core.now + mode.seconds
            core.enter(mode.mode, until=until, forget_queue=mode.forget_queue)
        case "POST restart":
            restart = msgspec.json.decode(body, type=RestartRequest)
            core.restart(forget_queue=restart.forget_queue, reuse_ids=restart.reuse_ids)
        case "PUT faults" | "POST faults":
            faults = msgspec.json.decode(body, type=FaultsRequest)
            core.configure(**msgspec.to_builtins(faults))
        case "POST outcomes":
            outcome = msgspec.json.decode(body, type=OutcomeRequest)
            core.decide(_outcome(outcome))
        case "POST reset":
            core.reset(jobs=msgspec.json.decode(body, type=ResetRequest).jobs)
        case _:
            return document({"error": f"no such control: {what}"}, 404)
    return _listing(core, "state")


def _outcome(asked: OutcomeRequest) -> Outcome:
    return Outcome(
        result=asked.result,
        hang=asked.hang,
        job=asked.job,
        parameters=tuple(asked.parameters.items()),
        count=asked.count,
        duration_s=asked.duration_s,
    )


def _build(build: Build) -> StoredBuild:
    return StoredBuild(
        job=build.job,
        number=build.number,
        queue_id=build.queue_id,
        parameters=dict(build.parameters),
        building=build.building,
        in_progress=build.in_progress,
        result=build.result,
        started_at=build.started_at,
        ended_at=build.ended_at,
    )


def _item(core: Core, item: Item) -> StoredItem:
    return StoredItem(
        id=item.id,
        job=item.job,
        parameters=dict(item.parameters),
        state=item.state,
        why=pages.why(core, item),
        cancelled=item.cancelled,
        build=item.build,
    )


def _json(value: object) -> Response:
    return Response(
        status=200, body=msgspec.json.encode(value), content_type="application/json;charset=utf-8"
    )
