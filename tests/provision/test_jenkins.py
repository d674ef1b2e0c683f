"""The client of Jenkins: the same rules on the stand-in and the fake, then what only HTTP shows."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

import pytest
import urllib3

from tests.local.jenkins.standing import TOKEN, USER, Running, eventually, standing
from tests.provision.scripted import reply, scripted
from triggerfish.errors import Error, InputError, Refused, Unavailable
from triggerfish.local.jenkins.core import Core
from triggerfish.local.jenkins.fake import FakeJenkins
from triggerfish.local.jenkins.model import Job
from triggerfish.provision.builds import (
    Build,
    QueueItem,
    Snapshot,
    Triggered,
    build_from,
    job_of_url,
    queue_item_from,
)
from triggerfish.provision.jenkins import Jenkins, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.fixtures import SubRequest

JOB = "infra/provision"
OTHER = "app/feature%2Fx"


class World(Protocol):
    """A Jenkins under test, and a hand on it."""

    client: Jenkins | FakeJenkins

    def job(self, name: str, *, duration_s: float = 0.0, parameterized: bool = True) -> None: ...

    def disable(self, name: str) -> None: ...

    def fault(self, **changes: bool | int) -> None: ...

    def mode(self, mode: str) -> None: ...


@dataclass
class Served:
    client: Jenkins | FakeJenkins
    running: Running

    def job(self, name: str, *, duration_s: float = 0.0, parameterized: bool = True) -> None:
        parameters = ["REQUEST_ID", "NAME"] if parameterized else None
        self.running.job(name, duration_s=duration_s, parameters=parameters)

    def disable(self, name: str) -> None:
        self.running.job(name, disabled=True)

    def fault(self, **changes: bool | int) -> None:
        self.running.control("PUT", "faults", changes)

    def mode(self, mode: str) -> None:
        self.running.control("PUT", "mode", {"mode": mode})


@dataclass
class InProcess:
    client: Jenkins | FakeJenkins
    core: Core

    def job(self, name: str, *, duration_s: float = 0.0, parameterized: bool = True) -> None:
        parameters = (("REQUEST_ID", ""), ("NAME", "")) if parameterized else None
        self.core.put_job(Job(name=name, parameters=parameters, duration_s=duration_s))

    def disable(self, name: str) -> None:
        self.core.put_job(Job(name=name, disabled=True))

    def fault(self, **changes: bool | int) -> None:
        self.core.configure(**changes)

    def mode(self, mode: str) -> None:
        assert mode in {"up", "restarting", "down"}
        self.core.enter("restarting" if mode == "restarting" else "up" if mode == "up" else "down")


@pytest.fixture(params=["stand-in", "fake"])
def world(request: SubRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        core = Core(now=time.time())
        yield InProcess(FakeJenkins(core, time.time), core)
        return
    http = urllib3.PoolManager()
    with standing(tmp_path / "state") as running:
        yield Served(Jenkins(running.url, USER, TOKEN, http), running)
        http.clear()


# --- the same on both --------------------------------------------------------------------------


def test_a_request_is_queued_and_its_repeat_finds_it(world: World) -> None:
    world.job(JOB)
    assert world.client.trigger(JOB, {"REQUEST_ID": "r1"}, delay_s=60) == Triggered(1, merged=False)
    assert world.client.trigger(JOB, {"REQUEST_ID": "r1"}, delay_s=60) == Triggered(1, merged=True)
    assert world.client.trigger(JOB, {"REQUEST_ID": "r2"}, delay_s=60) == Triggered(2, merged=False)


def test_a_request_is_found_in_the_queue_and_then_among_the_builds(world: World) -> None:
    world.job(JOB)
    world.job(OTHER)
    world.client.trigger(JOB, {"REQUEST_ID": "waits"}, delay_s=60)
    world.client.trigger(OTHER, {"REQUEST_ID": "builds"})
    snapshot = world.client.snapshot([JOB, OTHER], 10)
    item = snapshot.item_for(JOB, "waits")
    build = snapshot.build_for(OTHER, "builds")
    assert item is not None
    assert (item.id, item.job, item.left, item.build) == (1, JOB, False, None)
    assert build is not None
    assert (build.number, build.queue_id, build.result, build.done) == (1, 2, "SUCCESS", True)
    assert abs((datetime.now(UTC) - build.started_at).total_seconds()) < 60
    assert snapshot.build_of_item(OTHER, 2) == build
    assert snapshot.item(1) == item
    assert snapshot.build_for(JOB, "builds") is None
    assert snapshot.item_for(OTHER, "waits") is None
    assert (snapshot.truncated, snapshot.refused) == (frozenset(), {})


def test_a_snapshot_says_which_jobs_have_more_builds(world: World) -> None:
    world.job(JOB)
    for number in range(3):
        world.client.trigger(JOB, {"REQUEST_ID": f"r{number}"})
    snapshot = world.client.snapshot([JOB], 2)
    assert [build.number for build in snapshot.builds] == [3, 2]
    assert snapshot.truncated == {JOB}
    assert world.client.snapshot([JOB], 4).truncated == frozenset()


def test_a_job_that_is_not_there_does_not_hold_up_the_others(world: World) -> None:
    world.job(JOB)
    world.client.trigger(JOB, {"REQUEST_ID": "r1"})
    snapshot = world.client.snapshot([JOB, "nobody"], 10)
    assert snapshot.build_for(JOB, "r1") is not None
    assert list(snapshot.refused) == ["nobody"]


def test_a_build_is_followed_by_its_number(world: World) -> None:
    world.job(JOB, duration_s=60)
    world.client.trigger(JOB, {"REQUEST_ID": "r1"})
    build = world.client.build(JOB, 1)
    assert build is not None
    assert (build.request_id, build.building, build.result, build.done) == ("r1", True, None, False)
    assert world.client.stop(JOB, 1)
    build = world.client.build(JOB, 1)
    assert build is not None
    assert (build.result, build.done) == ("ABORTED", True)
    assert world.client.build(JOB, 2) is None
    assert not world.client.stop(JOB, 2)


def test_a_queue_item_that_left_names_its_build(world: World) -> None:
    world.job(JOB)
    queue_id = world.client.trigger(JOB, {"REQUEST_ID": "r1"}).queue_id
    assert world.client.queue_item(queue_id) == QueueItem(
        id=1, job=JOB, request_id="r1", left=True, build=1
    )
    assert world.client.queue_item(77) is None


def test_cancelling_says_whether_there_was_something_to_cancel(world: World) -> None:
    world.job(JOB)
    world.client.trigger(JOB, {"REQUEST_ID": "r1"}, delay_s=60)
    assert world.client.cancel(1)
    assert not world.client.cancel(1)
    item = world.client.queue_item(1)
    assert item is not None
    assert (item.cancelled, item.left, item.build) == (True, True, None)


def test_the_parameters_a_job_declares_are_known(world: World) -> None:
    world.job(JOB)
    world.job("plain", parameterized=False)
    assert world.client.parameter_names(JOB) == ("REQUEST_ID", "NAME")
    assert world.client.parameter_names("plain") == ()
    with pytest.raises(Refused):
        world.client.parameter_names("nobody")
    assert world.client.version() == "2.528.2"


def test_what_jenkins_will_not_do_is_refused_for_good(world: World) -> None:
    world.job("plain", parameterized=False)
    world.job("off")
    world.disable("off")
    for job in ("plain", "off", "nobody"):
        with pytest.raises(Refused):
            world.client.trigger(job, {"REQUEST_ID": "r1"})


def test_a_user_who_may_not_is_refused(world: World) -> None:
    world.job(JOB, duration_s=60)
    world.client.trigger(JOB, {"REQUEST_ID": "r1"})
    world.client.trigger(JOB, {"REQUEST_ID": "r2"}, delay_s=60)
    world.fault(forbidding=True)
    with pytest.raises(Refused):
        world.client.trigger(JOB, {"REQUEST_ID": "r3"})
    with pytest.raises(Refused):
        world.client.cancel(2)
    with pytest.raises(Refused):
        world.client.stop(JOB, 1)


def test_a_veto_is_tried_again(world: World) -> None:
    world.job(JOB)
    world.fault(refusing=True)
    with pytest.raises(Unavailable):
        world.client.trigger(JOB, {"REQUEST_ID": "r1"})


@pytest.mark.parametrize("mode", ["restarting", "down"])
def test_a_jenkins_that_does_not_answer_is_tried_again(world: World, mode: str) -> None:
    world.job(JOB)
    world.mode(mode)
    for call in (
        lambda: world.client.trigger(JOB, {"REQUEST_ID": "r1"}),
        lambda: world.client.snapshot([JOB], 10),
        lambda: world.client.cancel(1),
        world.client.version,
    ):
        with pytest.raises(Unavailable):
            call()
    world.mode("up")
    assert world.client.trigger(JOB, {"REQUEST_ID": "r1"}).queue_id == 1


def test_a_request_whose_answer_was_lost_is_found_by_its_request_id(world: World) -> None:
    world.job(JOB)
    world.fault(lose_answers=1)
    with pytest.raises(Unavailable):
        world.client.trigger(JOB, {"REQUEST_ID": "r1"})
    assert world.client.snapshot([JOB], 10).build_for(JOB, "r1") is not None


# --- messages ----------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Running, Jenkins]]:
    http = urllib3.PoolManager()
    with standing(tmp_path / "state") as running:
        running.job(JOB)
        yield running, Jenkins(running.url, USER, TOKEN, http)
        http.clear()


def test_messages_say_what_happened_and_what_to_do(served: tuple[Running, Jenkins]) -> None:
    running, jenkins = served
    running.job("off", disabled=True)
    running.job("plain", parameters=None)
    assert said(jenkins, "off") == (
        f"trigger off: the job is disabled\nhint: enable {running.url}job/off/"
    )
    assert said(jenkins, "plain") == (
        "trigger plain: the job takes no parameters\n"
        "hint: declare REQUEST_ID; what a pipeline declares counts after its first run"
    )
    assert said(jenkins, "infra/provison") == (
        f"trigger infra/provison: no job at {running.url}job/infra/job/provison/\n"
        "hint: did you mean infra/provision?"
    )
    assert said(jenkins, "elsewhere/x") == (
        f"trigger elsewhere/x: no job at {running.url}job/elsewhere/job/x/\n"
        f"hint: check the path of the job, and that {USER} may see it (Job/Read)"
    )
    running.control("PUT", "faults", {"refusing": True})
    assert said(jenkins, JOB) == (
        "trigger infra/provision: Jenkins did not queue it: a veto, or it is shutting down"
    )
    running.control("PUT", "faults", {"forbidding": True})
    assert said(jenkins, JOB) == (
        f"trigger infra/provision: {USER} lacks hudson.model.Item.Build\n"
        "hint: grant it to the user in Jenkins"
    )
    running.control("PUT", "mode", {"mode": "restarting"})
    assert said(jenkins, JOB) == (
        "trigger infra/provision: Jenkins is starting or restarting (503)"
    )


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            "correct horse",
            (
                "trigger infra/provision: Jenkins wants a crumb\n"
                "hint: use an API token in the place of the password: it needs no crumb"
            ),
        ),
        (
            "guessed",
            (
                "trigger infra/provision: Jenkins knows no such user and token\n"
                "hint: an API token is made on the user's page in Jenkins, under Security"
            ),
        ),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(
    served: tuple[Running, Jenkins], token: str, message: str
) -> None:
    jenkins = Jenkins(served[0].url, USER, token, served[0].http)
    assert said(jenkins, JOB) == message


def said(jenkins: Jenkins, job: str) -> str:
    with pytest.raises(Error) as caught:
        jenkins.trigger(job, {"REQUEST_ID": "r1"})
    return str(caught.value)


# --- odd answers -------------------------------------------------------------------------------


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    pool = urllib3.PoolManager()
    yield pool
    pool.clear()


def test_parameters_go_in_the_body_and_the_token_in_its_header_only(
    http: urllib3.PoolManager,
) -> None:
    with scripted(reply(201, Location="http://x/queue/item/7/")) as server:
        jenkins = Jenkins(f"{server.url}ci/", "u", lambda: "s3cret", http)
        jenkins.trigger("a/feature%2Fx", {"REQUEST_ID": "i-1/1", "NAME": "ü & ="})
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /ci/job/a/job/feature%252Fx/buildWithParameters HTTP/1.1\r\n")
    assert parse_qs(body.decode()) == {
        "REQUEST_ID": ["i-1/1"],
        "NAME": ["ü & ="],
        "delay": ["0sec"],
    }
    assert b"application/x-www-form-urlencoded" in head
    assert b"Basic " + base64.b64encode(b"u:s3cret") in head
    assert request.count(b"s3cret") == 0


def test_without_a_delay_the_quiet_period_is_the_job_s_own(http: urllib3.PoolManager) -> None:
    with scripted(reply(201, Location="/queue/item/7/")) as server:
        Jenkins(server.url, "u", "t", http).trigger("a", {}, delay_s=None)
    assert server.requests[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "location",
    [
        "http://another.example.com:8080/queue/item/42/",
        "https://127.0.0.1/jenkins/queue/item/42/",
        "/queue/item/42",
        "queue/item/42/",
    ],
)
def test_only_the_id_of_a_location_counts(http: urllib3.PoolManager, location: str) -> None:
    location = location if "/queue" in location else f"/{location}"
    with scripted(reply(303, Location=location)) as server:
        assert Jenkins(server.url, "u", "t", http).trigger("a", {}) == Triggered(42, merged=True)


def test_a_broken_body_does_not_undo_a_201(http: urllib3.PoolManager) -> None:
    head = b"HTTP/1.1 201 Created\r\nLocation: /queue/item/5/\r\nContent-Length: 90\r\n\r\nhalf"
    with scripted(head) as server:
        assert Jenkins(server.url, "u", "t", http).trigger("a", {}) == Triggered(5, merged=False)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            reply(201, Location="/job/a/"),
            Unavailable,
            "trigger a: answered 201 without a queue item",
        ),
        (reply(201), Unavailable, "trigger a: answered 201 without a queue item"),
        (
            reply(200, b"<html><style>p{}</style><body><h1>Sign in</h1> &lt;b&gt;</body></html>"),
            Unavailable,
            "trigger a: Jenkins answered 200: Sign in <b>",
        ),
        (
            reply(502, b"<h1>Bad\x00\x1b[31m Gateway</h1>\n\n" + b"x" * 500),
            Unavailable,
            f"trigger a: Jenkins answered 502: Bad [31m Gateway {'x' * 183}",
        ),
        (reply(500), Unavailable, "trigger a: Jenkins answered 500: nothing"),
        (
            reply(400, b"token s3cret, dTpzM2NyZXQ="),
            Unavailable,
            "trigger a: Jenkins answered 400: token ***, ***",
        ),
        (
            reply(302, Location="http://elsewhere.example.com/x/job/a/"),
            Unavailable,
            "trigger a: Jenkins did not queue it: a veto, or it is shutting down",
        ),
        (
            reply(301, Location="https://jenkins.example.com/job/a/buildWithParameters?token=q"),
            Refused,
            (
                "trigger a: redirected to https://jenkins.example.com/job/a/buildWithParameters\n"
                "hint: the url has to lead to Jenkins itself"
            ),
        ),
        (
            reply(403, b"<h1>Forbidden</h1>"),
            Refused,
            "trigger a: u may not\nhint: grant it to the user in Jenkins",
        ),
    ],
)
def test_an_odd_answer_to_a_request(
    http: urllib3.PoolManager, answer: bytes, kind: type[Error], message: str
) -> None:
    with scripted(answer) as server:
        jenkins = Jenkins(server.url, "u", "s3cret", http)
        with pytest.raises(kind) as caught:
            jenkins.trigger("a", {"REQUEST_ID": "r1"})
    assert str(caught.value) == message


def test_a_redirect_to_a_login_is_refused_and_another_may_pass(http: urllib3.PoolManager) -> None:
    login = reply(302, Location="/securityRealm/commenceLogin?from=%2F")
    with scripted(login, reply(302, Location="/maintenance")) as server:
        jenkins = Jenkins(server.url, "u", "t", http)
        with pytest.raises(Refused):
            jenkins.trigger("a", {})
        with pytest.raises(Unavailable):
            jenkins.trigger("a", {})


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"<html><title>Sign in</title></html>", Content_Type="text/html"),
        reply(200, b"[]"),
        reply(200, b"null"),
        reply(200, b"{"),
        reply(200, b"\xff\xfe"),
        reply(200, b"[" * 100_000),
        reply(200, b'{"items": 3}'),
        reply(200, b'{"items": [{"id": "7", "task": {}}]}'),
        reply(200, b'{"items": [{"id": 7}]}'),
        reply(200, b'{"items": [{"id": 7, "task": {}, "executable": {}}]}'),
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b'{"items": [',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{    ",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)
def test_an_answer_that_is_no_queue_is_unavailable(
    http: urllib3.PoolManager, answer: bytes
) -> None:
    with scripted(answer) as server:
        jenkins = Jenkins(server.url, "u", "s3cret", http)
        with pytest.raises(Unavailable) as caught:
            jenkins.snapshot(["a"], 10)
    assert "s3cret" not in str(caught.value)


def test_a_page_in_the_place_of_json_is_named(http: urllib3.PoolManager) -> None:
    with scripted(reply(200, b"<html><title>Sign in</title></html>")) as server:
        with pytest.raises(Unavailable) as caught:
            Jenkins(server.url, "u", "t", http).snapshot(["a"], 10)
        assert str(caught.value) == (
            "queue: not what Jenkins answers: Sign in\n"
            f"hint: is {server.url} Jenkins itself, or a login page before it?"
        )


def test_something_that_answers_without_a_version_is_not_jenkins(
    http: urllib3.PoolManager,
) -> None:
    with scripted(reply(200, b"{}")) as server:
        with pytest.raises(Unavailable) as caught:
            Jenkins(server.url, "u", "t", http).version()
        assert str(caught.value) == f"version: what answers at {server.url} is not Jenkins"


@pytest.mark.parametrize(
    ("limits", "answer"),
    [
        (Limits(read_s=0.05), [b"", b""]),
        (Limits(read_s=0.05), [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"}"]),
        (
            Limits(answer_s=0.3),
            [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b" "] * 99],
        ),
        (Limits(answer_bytes=10), [reply(200, b" " * 11)]),
        (
            Limits(answer_bytes=10),
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n", b" " * 11, b"\r\n"],
        ),
    ],
    ids=["no answer", "half an answer", "drop by drop", "large", "large in chunks"],
)
def test_an_answer_has_limits_of_time_and_size(
    http: urllib3.PoolManager, limits: Limits, answer: list[bytes]
) -> None:
    with scripted(answer, pause_s=0.1) as server:
        jenkins = Jenkins(server.url, "u", "t", http, limits=limits)
        started = time.monotonic()
        with pytest.raises(Unavailable):
            jenkins.version()
        assert time.monotonic() - started < 3


def test_a_port_nobody_listens_on_is_unavailable(http: urllib3.PoolManager) -> None:
    with scripted(b"") as server:
        pass
    with pytest.raises(Unavailable) as caught:
        Jenkins(server.url, "u", "s3cret", http).trigger("a", {})
    assert str(caught.value).startswith(f"POST {server.url}job/a/buildWithParameters: ")


def test_the_queue_is_read_before_the_builds(http: urllib3.PoolManager) -> None:
    queue = reply(200, b'{"_class": "hudson.model.Queue", "items": []}')
    builds = reply(200, b'{"allBuilds": []}')
    with scripted(queue, builds) as server:
        assert Jenkins(server.url, "u", "t", http).snapshot(["a", "b", "a"], 5) == Snapshot()
    lines = [request.split(b" ")[1].partition(b"?")[0] for request in server.requests]
    assert lines == [b"/queue/api/json", b"/job/a/api/json", b"/job/b/api/json"]


def test_a_connection_is_used_again(served: tuple[Running, Jenkins]) -> None:
    running, _ = served
    http = urllib3.PoolManager()
    jenkins = Jenkins(running.url, USER, TOKEN, http)
    for number in range(5):
        jenkins.trigger(JOB, {"REQUEST_ID": f"r{number}"})
        jenkins.snapshot([JOB], 10)
    pool = http.connection_from_url(running.url)
    assert (pool.num_connections, pool.num_requests) == (1, 15)
    http.clear()


# --- without a server --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "jenkins.example.com", "ftp://x/", "http://", "http://user:s3cret@x/"]
)
def test_an_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Jenkins(url, "u", "t")
    assert str(caught.value) == "the url of Jenkins is not http://host/ or https://host/"


@pytest.mark.parametrize("job", ["", "/a", "a//b", "a/../b", ".", "a/"])
def test_a_job_s_path_cannot_lead_elsewhere(job: str) -> None:
    with pytest.raises(InputError):
        Jenkins("http://127.0.0.1:9/", "u", "t").trigger(job, {})


def test_the_token_is_in_no_representation() -> None:
    assert repr(Jenkins("http://h:8080/ci", "u", "s3cret")) == "Jenkins('http://h:8080/ci/')"


@pytest.mark.parametrize(
    ("url", "job"),
    [
        ("http://h/job/a/", "a"),
        ("https://h/jenkins/job/infra/job/provision/", "infra/provision"),
        ("http://h/job/a/job/feature%252Fx/", "a/feature%2Fx"),
        ("http://h/job/a/12/", ""),
        ("http://h/job/", ""),
        ("http://h/", ""),
        ("", ""),
    ],
)
def test_the_job_of_a_url(url: str, job: str) -> None:
    assert job_of_url(url) == job


REAL_ITEM = (
    '{"_class":"hudson.model.Queue$LeftItem","actions":[{},{"_class":'
    '"hudson.model.ParametersAction","parameters":[{"_class":"hudson.model.PasswordParameterValue",'
    '"name":"KEY"},{"_class":"hudson.model.StringParameterValue","name":"REQUEST_ID",'
    '"value":"i-1/1"}]}],"id":4,"stuck":false,"task":{"_class":'
    '"org.jenkinsci.plugins.workflow.job.WorkflowJob","url":"http://jenkins/job/provision/"},'
    '"why":null,"cancelled":false,"executable":{"_class":'
    '"org.jenkinsci.plugins.workflow.job.WorkflowRun","number":4}}'
)


def test_a_queue_item_is_read() -> None:
    assert queue_item_from(json.loads(REAL_ITEM)) == QueueItem(
        id=4, job="provision", request_id="i-1/1", left=True, build=4
    )


def test_a_left_item_need_not_have_a_build() -> None:
    entry = {**json.loads(REAL_ITEM), "executable": None, "why": "x", "stuck": True}
    item = queue_item_from(entry)
    assert (item.build, item.why, item.stuck) == (None, "x", True)


def test_a_build_of_an_old_jenkins_has_no_in_progress() -> None:
    entry = {"number": 3, "queueId": 9, "building": False, "result": "FAILURE", "timestamp": 1500}
    assert build_from("a", entry) == Build(
        job="a",
        number=3,
        queue_id=9,
        request_id=None,
        building=False,
        in_progress=False,
        result="FAILURE",
        started_at=datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("building", "in_progress", "result", "done"),
    [
        (True, True, None, False),
        (True, True, "FAILURE", False),
        (False, True, "SUCCESS", False),
        (False, False, None, False),
        (False, False, "UNSTABLE", True),
    ],
)
def test_a_build_is_done_when_nothing_of_it_runs_and_it_has_a_result(
    *, building: bool, in_progress: bool, result: str | None, done: bool
) -> None:
    assert a_build(building=building, in_progress=in_progress, result=result).done is done


def test_of_several_builds_of_a_request_the_newest_is_found() -> None:
    builds = (a_build(number=7), a_build(number=9), a_build(number=8))
    found = Snapshot(builds=builds).build_for("a", "r1")
    assert found is not None
    assert found.number == 9


def a_build(
    *,
    number: int = 1,
    building: bool = False,
    in_progress: bool = False,
    result: str | None = "SUCCESS",
) -> Build:
    return Build(
        job="a",
        number=number,
        queue_id=number,
        request_id="r1",
        building=building,
        in_progress=in_progress,
        result=result,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_eventually_everything_is_built(world: World) -> None:
    world.job(JOB, duration_s=0.01)
    for number in range(20):
        world.client.trigger(JOB, {"REQUEST_ID": f"r{number}"})

    def finished() -> bool:
        snapshot = world.client.snapshot([JOB], 50)
        return [build.done for build in snapshot.builds] == [True] * 20

    eventually(finished)
