"""Jenkins' remote API, as far as provisioning needs it. IO; decides nothing.

The existing clients take 303 ("this build is queued already") for an error, or 302 ("refused") for
success. This one tells 201, 303, 302, 400, 403, 404, 409 and 503 apart, follows no redirect,
repeats nothing and gives away no token. Only the id of a `Location` is used: behind a proxy its
host is often another. Source: jenkinsci/jenkins, core, 2026.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec
import urllib3

from triggerfish.errors import Error, InputError, Refused, Unavailable
from triggerfish.provision.builds import (
    BUILD_TREE,
    ITEM_TREE,
    REQUEST_ID,
    Build,
    Json,
    QueueItem,
    Snapshot,
    Triggered,
    build_from,
    entries,
    mapping,
    queue_item_from,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

_IDLE_S = 20.0
"""Jetty closes a connection after 30 s, which a function frozen meanwhile doesn't see."""
_BODY_IS_NEEDLESS = frozenset({201, 204, 302, 303})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may cost the function that waits for it."""

    connect_s: float = 3.0
    read_s: float = 10.0
    answer_s: float = 20.0
    """For a whole answer: a peer that sends a byte now and then can't hold the function."""
    answer_bytes: int = 16 * 1024 * 1024


LIMITS = Limits()


class _Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def location(self) -> str:
        return self.headers.get("location", "")


class Jenkins:
    """One Jenkins at `url`, which may have a path. `token` is the user's API token, or reads it.

    Every method raises `Unavailable` where trying later may help and `Refused` where it can't.
    """

    __slots__ = ("_base", "_http", "_last_used", "_limits", "_token", "_user")

    def __init__(
        self,
        url: str,
        user: str,
        token: str | Callable[[], str],
        http: urllib3.PoolManager | None = None,
        *,
        limits: Limits = LIMITS,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise InputError("the url of Jenkins is not http://host/ or https://host/")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"
        self._user = user
        self._token = token
        self._http = http or urllib3.PoolManager(num_pools=2, maxsize=4)
        self._limits = limits
        self._last_used = 0.0

    def __repr__(self) -> str:
        return f"Jenkins({self._base!r})"

    def trigger(
        self, job: str, parameters: Mapping[str, str], *, delay_s: int | None = 0
    ) -> Triggered:
        """Queue a build of the job, at once or after `delay_s`; None leaves that to the job.

        After `Unavailable` the build may be queued all the same: look for its `REQUEST_ID` first.
        """
        delay = {} if delay_s is None else {"delay": f"{delay_s}sec"}
        answer = self._post(f"{_path(job)}buildWithParameters", {**parameters, **delay})
        if answer.status not in {201, 303}:
            self._not_triggered(f"trigger {job}", job, answer)
        found = re.search(r"/queue/item/(\d+)/?$", urlsplit(answer.location).path)
        if found is None:
            raise Unavailable(f"trigger {job}: answered {answer.status} without a queue item")
        return Triggered(int(found.group(1)), merged=answer.status == 303)

    def snapshot(self, jobs: Sequence[str], builds_per_job: int) -> Snapshot:
        """The queue and the newest builds of the jobs.

        The queue is read first: an item that becomes a build meanwhile is in both, never in none.
        A job that can't be read is in `refused`; the others are not held up by it.
        """
        wanted = dict.fromkeys(jobs)
        items = self._read("queue", "queue/", f"items[{ITEM_TREE}]", _items)
        builds: list[Build] = []
        truncated: set[str] = set()
        refused: dict[str, str] = {}
        for job in wanted:
            tree = f"allBuilds[{BUILD_TREE}]{{0,{builds_per_job:d}}}"
            try:
                found = self._read(f"builds of {job}", _path(job), tree, _builds_of(job))
            except Refused as error:
                refused[job] = error.message
                continue
            builds += found
            if len(found) >= builds_per_job:
                truncated.add(job)
        return Snapshot(
            items=tuple(item for item in items if item.job in wanted),
            builds=tuple(builds),
            truncated=frozenset(truncated),
            refused=refused,
        )

    def build(self, job: str, number: int) -> Build | None:
        """One build, or None where there is none of that number (any more)."""
        path = f"{_path(job)}{number:d}/"
        what = f"build {number} of {job}"
        return self._read_or_none(what, path, BUILD_TREE, lambda entry: build_from(job, entry))

    def queue_item(self, queue_id: int) -> QueueItem | None:
        """A queue item, or None: Jenkins forgets it five minutes after it left the queue."""
        path = f"queue/item/{queue_id:d}/"
        return self._read_or_none(f"queue item {queue_id}", path, ITEM_TREE, queue_item_from)

    def cancel(self, queue_id: int) -> bool:
        """Take an item out of the queue. False when it isn't there: look for its build."""
        answer = self._post("queue/cancelItem", {"id": str(queue_id)})
        what = f"cancel queue item {queue_id}"
        if answer.status == 422:
            raise Refused(f"{what}: {self._user} may not", hint="grant the user Job/Cancel")
        if answer.status not in {200, 204, 404}:
            self._fail(what, answer)
        return answer.status != 404

    def stop(self, job: str, number: int) -> bool:
        """Ask a build to stop, which may take a while. False when there is no such build."""
        answer = self._post(f"{_path(job)}{number:d}/stop", {})
        if answer.status not in {200, 204, 302, 303, 404}:
            self._fail(f"stop build {number} of {job}", answer)
        return answer.status != 404

    def parameter_names(self, job: str) -> tuple[str, ...]:
        """What the job declares. Jenkins drops every other parameter without a word."""
        tree = "property[parameterDefinitions[name]]"
        return self._read(f"parameters of {job}", _path(job), tree, _parameter_names)

    def version(self) -> str:
        answer = self._send("GET", "api/json?tree=mode")
        if answer.status != 200:
            self._fail("version", answer)
        version = answer.headers.get("x-jenkins")
        if version is None:
            raise Unavailable(f"version: what answers at {self._base} is not Jenkins")
        return version

    # --- what an answer means ----------------------------------------------------------------

    def _not_triggered(self, what: str, job: str, answer: _Answer) -> NoReturn:
        if answer.status == 302 and self._is_page_of(job, answer.location):
            raise Unavailable(f"{what}: Jenkins did not queue it: a veto, or it is shutting down")
        if answer.status == 409:
            raise Refused(f"{what}: the job is disabled", hint=f"enable {self._base}{_path(job)}")
        if answer.status == 400 and b"not parameterized" in answer.body:
            hint = f"declare {REQUEST_ID}; what a pipeline declares counts after its first run"
            raise Refused(f"{what}: the job takes no parameters", hint=hint)
        if answer.status == 404:
            raise Refused(f"{what}: no job at {self._base}{_path(job)}", hint=self._near(job))
        self._fail(what, answer)

    def _read(self, what: str, path: str, tree: str, parse: Callable[[Json], T]) -> T:
        answer = self._send("GET", f"{path}api/json?{urlencode({'tree': tree})}")
        if answer.status != 200:
            self._fail(what, answer)
        try:
            return parse(mapping(json.loads(answer.body)))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            message = f"{what}: not what Jenkins answers: {self._excerpt(answer.body)}"
            hint = f"is {self._base} Jenkins itself, or a login page before it?"
            raise Unavailable(message, hint=hint) from error

    def _read_or_none(
        self, what: str, path: str, tree: str, parse: Callable[[Json], T]
    ) -> T | None:
        try:
            return self._read(what, path, tree, parse)
        except _NotFound:
            return None

    def _fail(self, what: str, answer: _Answer) -> NoReturn:
        status = answer.status
        if status == 401:
            hint = "an API token is made on the user's page in Jenkins, under Security"
            raise Refused(f"{what}: Jenkins knows no such user and token", hint=hint)
        if status == 403:
            raise self._forbidden(what, answer)
        if status == 404:
            raise _NotFound(f"{what}: nothing at {self._base} by that name")
        if status == 503:
            raise Unavailable(f"{what}: Jenkins is starting or restarting (503)")
        if 300 <= status < 400:
            raise self._redirected(what, answer)
        raise Unavailable(f"{what}: Jenkins answered {status}: {self._excerpt(answer.body)}")

    def _forbidden(self, what: str, answer: _Answer) -> Refused:
        if b"crumb" in answer.body.lower():
            hint = "use an API token in the place of the password: it needs no crumb"
            return Refused(f"{what}: Jenkins wants a crumb", hint=hint)
        permission = answer.headers.get("x-required-permission", "")
        wanted = f"lacks {_printable(permission)}" if permission else "may not"
        return Refused(f"{what}: {self._user} {wanted}", hint="grant it to the user in Jenkins")

    def _redirected(self, what: str, answer: _Answer) -> Error:
        """Another scheme or host, or a login, stays so; anything else may pass."""
        target = urlsplit(urljoin(self._base, answer.location))
        place = _printable(f"{target.scheme}://{target.hostname}{target.path}")
        message = f"{what}: redirected to {place}"
        base = urlsplit(self._base)
        if (target.scheme, target.hostname) != (base.scheme, base.hostname) or re.search(
            "login|oauth|saml", target.path, re.IGNORECASE
        ):
            return Refused(message, hint="the url has to lead to Jenkins itself")
        return Unavailable(message)

    def _is_page_of(self, job: str, location: str) -> bool:
        """Whether a redirect leads back to the job, whatever host the proxy makes of it."""
        path = urlsplit(urljoin(f"{self._base}{_path(job)}", location)).path
        return path.rstrip("/").endswith(f"/{_path(job)}".rstrip("/"))

    def _near(self, job: str) -> str:
        """The name that was meant, perhaps. Never fails: it adorns a failure."""
        from difflib import get_close_matches  # noqa: PLC0415 - only a failure pays for it

        folder, _, name = job.rpartition("/")
        try:
            path = _path(folder) if folder else ""
            names = self._read("jobs", path, "jobs[name]", _job_names)
        except Error:
            names = []
        close = get_close_matches(name, names, 1)
        if close:
            return f"did you mean {f'{folder}/' if folder else ''}{close[0]}?"
        return f"check the path of the job, and that {self._user} may see it (Job/Read)"

    def _excerpt(self, body: bytes) -> str:
        """The words of a page, short, on one line, and without the token."""
        from html import unescape  # noqa: PLC0415 - as above

        text = body[:8192].decode("utf-8", "replace")
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text)
        text = unescape(text)
        for secret in (self._secret(), self._basic()):
            text = text.replace(secret, "***") if secret else text
        return _printable(text)[:200] or "nothing"

    # --- one request -------------------------------------------------------------------------

    def _post(self, path: str, fields: Mapping[str, str]) -> _Answer:
        return self._send("POST", path, urlencode(fields))

    def _send(self, method: str, target: str, form: str | None = None) -> _Answer:
        what = f"{method} {self._base}{target.partition('?')[0]}"
        if abs(time.time() - self._last_used) > _IDLE_S:
            self._http.clear()
        headers = {"Accept": "application/json", "Authorization": f"Basic {self._basic()}"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            response = self._http.request(
                method,
                self._base + target,
                body=form,
                headers=headers,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=self._limits.connect_s, read=self._limits.read_s),
                preload_content=False,
            )
            body = _body(response, self._limits)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{what}: {_printable(str(error))[:200]}") from error
        self._last_used = time.time()
        received = {name.lower(): value for name, value in response.headers.items()}
        return _Answer(response.status, received, body)

    def _secret(self) -> str:
        return self._token if isinstance(self._token, str) else self._token()

    def _basic(self) -> str:
        return base64.b64encode(f"{self._user}:{self._secret()}".encode()).decode()


class _NotFound(Refused):
    pass


def _path(job: str) -> str:
    """`infra/feature%2Fx` is at `job/infra/job/feature%252Fx/`."""
    parts = job.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise InputError(f"not the path of a job: {job!r}", hint="write folder/name")
    return "".join(f"job/{quote(part, safe='')}/" for part in parts)


def _body(response: urllib3.BaseHTTPResponse, limits: Limits) -> bytes:
    """All of the body, within the limits of size and time."""
    # urllib3 1.26, which some Lambda runtimes bring, has no `read1`: there only the limit for a
    # silent peer holds, not the one for a whole answer.
    read: Callable[[int], bytes] = getattr(response, "read1", response.read)
    deadline = time.monotonic() + limits.answer_s
    parts: list[bytes] = []
    size_bytes = 0
    try:
        while part := read(65536):
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > limits.answer_bytes:
                raise _Excess(f"the answer is larger than {limits.answer_bytes} bytes")
            if time.monotonic() > deadline:
                raise _Excess(f"the answer takes longer than {limits.answer_s:g} s")
    except urllib3.exceptions.HTTPError:
        response.close()
        if response.status not in _BODY_IS_NEEDLESS:
            raise
    return b"".join(parts)


class _Excess(urllib3.exceptions.HTTPError):
    pass


def _printable(text: str) -> str:
    """On one line, without control characters: an answer may be an attacker's."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _items(document: Json) -> list[QueueItem]:
    return [queue_item_from(entry) for entry in entries(document, "items")]


def _builds_of(job: str) -> Callable[[Json], list[Build]]:
    return lambda document: [build_from(job, entry) for entry in entries(document, "allBuilds")]


def _parameter_names(document: Json) -> tuple[str, ...]:
    return tuple(
        str(definition["name"])
        for entry in entries(document, "property")
        for definition in entries(entry, "parameterDefinitions")
    )


def _job_names(document: Json) -> list[str]:
    return [str(entry["name"]) for entry in entries(document, "jobs")]
