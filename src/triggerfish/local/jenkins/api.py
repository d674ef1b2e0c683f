"""The remote API of Jenkins: a request to an answer, over the core. No sockets, no lock."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from triggerfish.local.jenkins import pages
from triggerfish.local.jenkins.access import CRUMB_FIELD
from triggerfish.local.jenkins.exchange import (
    Request,
    Response,
    document,
    error,
    method_not_allowed,
    page,
    redirect,
    text,
)
from triggerfish.local.jenkins.model import Rejected
from triggerfish.local.jenkins.pages import Pages
from triggerfish.local.jenkins.tree import MalformedTreeError, Tree, parse, prune

if TYPE_CHECKING:
    from triggerfish.local.jenkins.access import Access, Caller
    from triggerfish.local.jenkins.core import Core
    from triggerfish.local.jenkins.model import Build, Job

_JSON = ("api", "json")

_STATUS = {"absent": 404, "disabled": 409, "not-parameterized": 400, "forbidden": 403}


class Api:
    def __init__(self, core: Core, access: Access, prefix: str = "") -> None:
        self._core = core
        self._access = access
        self._prefix = prefix

    def answer(self, request: Request) -> Response:
        mode = self._core.settings.mode
        if mode == "down":
            return Response(status=0, lost=True)
        if mode != "up":
            doing = "restarting" if mode == "restarting" else "getting ready to work"
            return error(503, f"Please wait while Jenkins is {doing}")
        caller = self._access.identify(request.headers)
        if isinstance(caller, Response):
            return caller
        refusal = self._access.check(request, caller)
        if refusal is not None:
            return refusal
        try:
            return self._route(request, caller)
        except MalformedTreeError as problem:
            return error(400, str(problem))

    def _route(self, request: Request, caller: Caller) -> Response:
        base = f"http://{request.headers.get('host', 'localhost')}{self._prefix}/"
        view = Pages(self._core, base)
        match request.segments[1 if self._prefix else 0 :]:
            case ():
                return page("Dashboard")
            case ("crumbIssuer", "api", "json"):
                return self._crumb(request, caller)
            case ("queue", *rest):
                return self._queue(request, view, tuple(rest))
            case ("job", *rest):
                return self._below_job(request, view, ["job", *rest])
            case ("quietDown" | "cancelQuietDown" as action,):
                return self._quiet_down(request, base, on=action == "quietDown")
            case segments:
                return self._about_itself(request, view, caller, segments)

    def _about_itself(
        self, request: Request, view: Pages, caller: Caller, segments: tuple[str, ...]
    ) -> Response:
        match segments:
            case ("api", "json"):
                root = view.root(secured=self._access.is_secured)
                return _pruned(request, root, pages.ROOT_VIEW)
            case ("me" | "whoAmI", "api", "json") | ("user", _, "api", "json"):
                return _pruned(request, view.person(caller.name), pages.PERSON_VIEW)
            case ("computer", "api", "json"):
                return _pruned(request, view.nodes(), pages.NODES_VIEW)
            case ("computer", _, "api", "json"):
                return _pruned(request, view.node(), pages.NODE_VIEW)
        return _not_found()

    def _quiet_down(self, request: Request, base: str, *, on: bool) -> Response:
        if request.method != "POST":
            return method_not_allowed()
        self._core.configure(quieting_down=on)
        return redirect(base)

    def _crumb(self, request: Request, caller: Caller) -> Response:
        crumb, headers = self._access.issue(request, caller)
        issued = document(
            {
                "_class": "hudson.security.csrf.DefaultCrumbIssuer",
                "crumb": crumb,
                "crumbRequestField": CRUMB_FIELD,
            }
        )
        return Response(
            status=200, body=issued.body, content_type=issued.content_type, headers=headers
        )

    # --- the queue ---------------------------------------------------------------------------

    def _queue(self, request: Request, view: Pages, rest: tuple[str, ...]) -> Response:
        match rest:
            case ("api", "json"):
                return _pruned(request, view.queue(), pages.QUEUE_VIEW)
            case ("item", number, "api", "json") if number.isdecimal():
                item = self._core.item(int(number))
                if item is not None:
                    return _pruned(request, view.item(item), pages.ITEM_VIEW)
            case ("cancelItem",):
                if request.method != "POST":
                    return method_not_allowed()
                return self._cancel(request.field("id") or "")
        return _not_found()  # a bare /queue/item/N/ has no view either

    def _cancel(self, number: str) -> Response:
        try:
            found = number.isdecimal() and self._core.cancel(int(number))
        except Rejected as problem:
            return error(422, str(problem))
        return Response(status=204) if found else _not_found()

    # --- jobs and folders --------------------------------------------------------------------

    def _below_job(self, request: Request, view: Pages, segments: list[str]) -> Response:
        names: list[str] = []
        while len(segments) >= 2 and segments[0] == "job":
            names.append(segments[1])
            segments = segments[2:]
        name = "/".join(names)
        job = self._core.jobs.get(name)
        if job is not None:
            return self._job(request, view, job, tuple(segments))
        if view.is_folder(name):
            if tuple(segments) == _JSON:
                return _pruned(request, view.folder(name), pages.FOLDER_VIEW)
            if not segments:
                return page(name)
        return _not_found()

    def _job(self, request: Request, view: Pages, job: Job, rest: tuple[str, ...]) -> Response:
        match rest:
            case ():
                return page(job.name)
            case ("api", "json"):
                return _pruned(request, view.job(job), pages.JOB_VIEW)
            case ("buildWithParameters" | "build" as action,):
                return self._trigger(request, view, job, action)
            case (number, *below):
                build = self._find_build(job, number)
                if build is not None:
                    return self._build(request, view, build, tuple(below))
        return _not_found()

    def _trigger(self, request: Request, view: Pages, job: Job, action: str) -> Response:
        if request.method != "POST":
            return method_not_allowed()
        try:
            values, delay_s = _asked(request, job, action)
            triggered = self._core.trigger(job.name, values, delay_s=delay_s)
        except _BadRequestError as problem:
            return error(problem.status, str(problem))
        except Rejected as problem:
            return self._rejection(problem, view, job)
        merged = triggered.merged and action == "buildWithParameters"
        lost = self._core.settings.lose_answers
        if lost:
            self._core.configure(lose_answers=lost - 1)
        return Response(
            status=303 if merged else 201,
            headers=(("Location", f"{view.base}queue/item/{triggered.item.id}/"),),
            lost=lost > 0,
        )

    def _rejection(self, problem: Rejected, view: Pages, job: Job) -> Response:
        if problem.reason == "vetoed":
            return redirect(view.job_url(job.name))  # sendRedirect(".")
        if problem.reason == "forbidden":
            return self._forbidden("Build")
        return error(_STATUS[problem.reason], str(problem))

    def _forbidden(self, permission: str) -> Response:
        return error(
            403,
            f"{self._access.user or 'anonymous'} is missing the Job/{permission} permission",
            ("X-Required-Permission", f"hudson.model.Item.{permission}"),
        )

    # --- builds ------------------------------------------------------------------------------

    def _find_build(self, job: Job, number: str) -> Build | None:
        if number.isdecimal():
            return self._core.build(job.name, int(number))
        if number in pages.PERMALINKS and number != "firstBuild":
            return pages.permalink(number, self._core.builds(job.name))
        return None

    def _build(
        self, request: Request, view: Pages, build: Build, rest: tuple[str, ...]
    ) -> Response:
        match rest:
            case ():
                return page(f"{build.job} #{build.number}")
            case ("api", "json"):
                return _pruned(request, view.build(build), pages.RUN_VIEW)
            case ("consoleText",):
                return text(pages.console(build))
            case ("logText", "progressiveText"):
                return _progressive(build, request.field("start") or "0")
            case ("stop" | "term" | "kill",):
                return self._stop(request, view, build)
        return _not_found()

    def _stop(self, request: Request, view: Pages, build: Build) -> Response:
        if request.method != "POST":
            return method_not_allowed()
        if self._core.settings.forbidding:
            return self._forbidden("Cancel")
        self._core.stop(build.job, build.number)
        return redirect(f"{view.job_url(build.job)}{build.number}/")


def _pruned(request: Request, whole: pages.Document, view: Tree) -> Response:
    tree = request.field("tree")
    return document(prune(whole, parse(tree) if tree else view))


class _BadRequestError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _asked(request: Request, job: Job, action: str) -> tuple[dict[str, str], float | None]:
    """The parameters and the quiet period a request to build asks for."""
    if job.disabled:
        raise _BadRequestError(409, f"{job.name} is not buildable")
    if action == "buildWithParameters" and job.parameters is None:
        raise _BadRequestError(400, f"{job.name} is not parameterized")
    values = _form(request) if action == "build" and job.parameters else request.fields
    if values is None:
        raise _BadRequestError(400, "Nothing is submitted")
    declared = {name for name, _ in job.parameters or ()}
    counts = Counter(name for name, _ in values if name in declared)
    for name, count in counts.items():
        if count > 1:
            message = f"Illegal number of parameter values for {name}: {count}"
            raise _BadRequestError(500, message)
    return dict(values), _delay(request.field("delay"))


def _form(request: Request) -> list[tuple[str, str]] | None:
    """The `json` field of a submitted form; None where there is none (getSubmittedForm)."""
    try:
        form = json.loads(request.field("json") or "")
        given = form.get("parameter", [])
        entries = given if isinstance(given, list) else [given]
        return [(str(entry["name"]), str(entry.get("value", ""))) for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _delay(value: str | None) -> float | None:
    """hudson.util.TimeDuration: "5sec" and "5secs" are seconds, a bare number milliseconds."""
    if value is None:
        return None
    number, is_seconds = value.strip(), False
    for unit in ("secs", "sec"):
        if number.endswith(unit):
            number, is_seconds = number.removesuffix(unit).strip(), True
            break
    if not number.isdecimal():
        raise _BadRequestError(400, f"Invalid time duration value: {value}")
    return float(number) if is_seconds else int(number) // 1000


def _progressive(build: Build, start: str) -> Response:
    log = pages.console(build).encode()
    at = min(int(start), len(log)) if start.isdecimal() else 0
    headers = [("X-Text-Size", str(len(log)))]
    if build.in_progress:
        headers.append(("X-More-Data", "true"))
    return text(log[at:].decode("utf-8", "replace"), *headers)


def _not_found() -> Response:
    return error(404, "Not Found")
