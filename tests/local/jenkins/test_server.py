"""What the stand-in answers over HTTP, status by status."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from tests.local.jenkins.standing import (
    PASSWORD,
    TOKEN,
    USER,
    Running,
    child,
    eventually,
    standing,
)

if TYPE_CHECKING:
    from pathlib import Path

BUILD = "job/infra/job/provision/buildWithParameters"


def test_a_new_request_is_201_and_an_equal_one_303_with_the_same_item(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    first = jenkins.trigger("infra/provision", REQUEST_ID="r1")
    again = jenkins.trigger("infra/provision", REQUEST_ID="r1", UNDECLARED="x")
    assert (first.status, first.headers["Location"]) == (201, f"{jenkins.url}queue/item/1/")
    assert (again.status, again.headers["Location"]) == (303, f"{jenkins.url}queue/item/1/")
    assert jenkins.call("GET", "queue/item/1/").status == 404


def test_parameters_may_stand_in_the_query_too(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.call("POST", f"{BUILD}?REQUEST_ID=r1&delay=60sec")
    assert jenkins.json("queue/item/1/api/json")["params"] == "\nREQUEST_ID=r1\nNAME="


def test_build_answers_201_even_when_it_merges(jenkins: Running) -> None:
    jenkins.job("plain", parameters=None)
    answers = [jenkins.call("POST", "job/plain/build") for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert {answer.headers["Location"] for answer in answers} == {f"{jenkins.url}queue/item/1/"}


def test_build_of_a_parameterized_job_needs_the_form(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    bare = jenkins.call("POST", "job/infra/job/provision/build")
    form = json.dumps({"parameter": [{"name": "REQUEST_ID", "value": "r1"}]})
    full = jenkins.call("POST", "job/infra/job/provision/build", fields={"json": form})
    assert (bare.status, full.status) == (400, 201)
    assert b"Nothing is submitted" in bare.data


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "job/off/buildWithParameters", 409, b"off is not buildable"),
        ("POST", "job/plain/buildWithParameters", 400, b"plain is not parameterized"),
        ("POST", "job/nobody/buildWithParameters", 404, b"Not Found"),
        ("POST", f"{BUILD}?NAME=a&NAME=b", 500, b"Illegal number of parameter values for NAME"),
        ("POST", f"{BUILD}?delay=soon", 400, b"Invalid time duration value: soon"),
        ("POST", "queue/cancelItem?id=77", 404, b"Not Found"),
        ("POST", "queue/cancelItem", 404, b"Not Found"),
        ("POST", "job/plain/7/stop", 404, b"Not Found"),
        ("GET", BUILD, 405, b"requires POST"),
        ("GET", "queue/cancelItem?id=1", 405, b"requires POST"),
        ("GET", "job/plain/api/json?tree=a[", 400, b"tree"),
        ("GET", "queue/item/77/api/json", 404, b"Not Found"),
        ("GET", "job/plain/7/api/json", 404, b"Not Found"),
        ("GET", "nothing/here", 404, b"Not Found"),
    ],
)
def test_what_cannot_be_done_is_answered_as_jenkins_answers_it(
    jenkins: Running, method: str, path: str, status: int, text: bytes
) -> None:
    jenkins.job("infra/provision")
    jenkins.job("off", disabled=True)
    jenkins.job("plain", parameters=None)
    answer = jenkins.call(method, path)
    assert (answer.status, text in answer.data) == (status, True)
    assert answer.headers.get("Allow") == ("POST" if status == 405 else None)
    assert answer.headers["X-Jenkins"] == "2.528.2"


def test_a_veto_redirects_to_the_page_of_the_job(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.control("PUT", "faults", {"refusing": True})
    answer = jenkins.trigger("infra/provision")
    assert (answer.status, answer.headers["Location"]) == (
        302,
        f"{jenkins.url}job/infra/job/provision/",
    )
    assert jenkins.json("queue/api/json")["items"] == []


def test_a_user_without_the_permission_gets_403_and_422(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.trigger("infra/provision")
    jenkins.control("PUT", "faults", {"forbidding": True})
    build = jenkins.trigger("infra/provision")
    assert (build.status, build.headers["X-Required-Permission"]) == (
        403,
        "hudson.model.Item.Build",
    )
    assert jenkins.call("POST", "queue/cancelItem?id=1").status == 422


def test_cancelling_is_204_once(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.trigger("infra/provision", REQUEST_ID="r1")
    answers = [jenkins.call("POST", "queue/cancelItem?id=1").status for _ in range(2)]
    assert answers == [204, 404]
    item = jenkins.json("queue/item/1/api/json")
    assert item["_class"] == "hudson.model.Queue$LeftItem"
    assert (item["cancelled"], item["executable"]) == (True, None)


@pytest.mark.parametrize(("mode", "text"), [("loading", b"getting ready"), ("restarting", b"rest")])
def test_jenkins_answers_503_while_it_starts(jenkins: Running, mode: str, text: bytes) -> None:
    jenkins.control("PUT", "mode", {"mode": mode})
    answer = jenkins.call("GET", "api/json")
    assert (answer.status, text in answer.data) == (503, True)
    jenkins.control("PUT", "mode", {"mode": "up"})
    assert jenkins.call("GET", "api/json").status == 200


def test_a_restart_can_end_by_itself(jenkins: Running) -> None:
    jenkins.control("PUT", "mode", {"mode": "restarting", "seconds": 0.05})
    eventually(lambda: jenkins.call("GET", "api/json").status == 200)


def test_a_jenkins_that_is_down_closes_the_connection(jenkins: Running) -> None:
    jenkins.control("PUT", "mode", {"mode": "down"})
    with pytest.raises(urllib3.exceptions.ProtocolError):
        jenkins.call("GET", "api/json")


def test_a_lost_answer_is_a_build_all_the_same(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.control("PUT", "faults", {"lose_answers": 1})
    with pytest.raises(urllib3.exceptions.ProtocolError):
        jenkins.trigger("infra/provision", REQUEST_ID="r1")
    assert jenkins.trigger("infra/provision", REQUEST_ID="r1").status == 303


# --- who may -----------------------------------------------------------------------------------


def test_an_api_token_needs_no_crumb(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    assert jenkins.call("POST", BUILD, secret=TOKEN).status == 201


def test_a_password_needs_a_crumb_of_the_same_session(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    without = jenkins.call("POST", BUILD, secret=PASSWORD)
    assert without.status == 403
    assert b"No valid crumb was included in the request" in without.data
    issued = jenkins.call("GET", "crumbIssuer/api/json", secret=PASSWORD)
    crumb = {issued.json()["crumbRequestField"]: issued.json()["crumb"]}
    cookie = {"Cookie": issued.headers["Set-Cookie"].partition(";")[0]}
    other = {"Cookie": "JSESSIONID.stand-in=0123"}
    statuses = [
        jenkins.call("POST", BUILD, secret=PASSWORD, headers=headers).status
        for headers in (crumb, {**crumb, **other}, {**crumb, **cookie})
    ]
    assert statuses == [403, 403, 201]


@pytest.mark.parametrize(
    ("user", "secret", "status"),
    [(None, "", 403), (USER, "wrong", 401), ("somebody", TOKEN, 401), (USER, TOKEN, 200)],
)
def test_only_the_user_may(jenkins: Running, user: str | None, secret: str, status: int) -> None:
    assert jenkins.call("GET", "api/json", user=user, secret=secret).status == status


def test_without_a_user_everybody_may_and_needs_a_crumb(tmp_path: Path) -> None:
    with standing(tmp_path, secured=False) as jenkins:
        jenkins.job("infra/provision")
        assert jenkins.call("GET", "api/json", user=None).status == 200
        assert jenkins.call("POST", BUILD, user=None).status == 403


# --- what it shows -----------------------------------------------------------------------------


def test_a_queue_item_goes_from_waiting_to_left(jenkins: Running) -> None:
    jenkins.job("infra/provision", duration_s=30)
    jenkins.trigger("infra/provision", REQUEST_ID="r1", delay="1sec")
    item = jenkins.json("queue/item/1/api/json")
    assert {key: item[key] for key in ("_class", "blocked", "buildable", "id", "url")} == {
        "_class": "hudson.model.Queue$WaitingItem",
        "blocked": False,
        "buildable": False,
        "id": 1,
        "url": "queue/item/1/",
    }
    assert item["why"].startswith("In the quiet period. Expires in ")
    assert item["task"] == {
        "_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob",
        "color": "notbuilt",
        "name": "provision",
        "url": f"{jenkins.url}job/infra/job/provision/",
    }
    assert [one["id"] for one in jenkins.json("queue/api/json")["items"]] == [1]
    eventually(lambda: jenkins.json("queue/item/1/api/json")["_class"].endswith("LeftItem"))
    item = jenkins.json("queue/item/1/api/json?tree=executable[number,url],cancelled")
    assert item == {
        "_class": "hudson.model.Queue$LeftItem",
        "cancelled": False,
        "executable": {
            "_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun",
            "number": 1,
            "url": f"{jenkins.url}job/infra/job/provision/1/",
        },
    }


def test_a_build_shows_its_parameters_its_queue_id_and_its_result(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.trigger("infra/provision", REQUEST_ID="r1", delay="0sec")
    path = "job/infra/job/provision/1/"
    eventually(lambda: not jenkins.json(f"{path}api/json")["inProgress"])
    tree = "number,queueId,building,inProgress,result,actions[parameters[name,value]]"
    assert jenkins.json(f"{path}api/json?tree={tree}") == {
        "_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun",
        "number": 1,
        "queueId": 1,
        "building": False,
        "inProgress": False,
        "result": "SUCCESS",
        "actions": [
            {"_class": "hudson.model.CauseAction"},
            {
                "_class": "hudson.model.ParametersAction",
                "parameters": [
                    {
                        "_class": "hudson.model.StringParameterValue",
                        "name": "REQUEST_ID",
                        "value": "r1",
                    },
                    {"_class": "hudson.model.StringParameterValue", "name": "NAME", "value": ""},
                ],
            },
        ],
    }
    console = jenkins.call("GET", f"{path}consoleText").data.decode()
    assert console.endswith("+ export NAME=\n[Pipeline] End of Pipeline\nFinished: SUCCESS\n")
    log = jenkins.call("GET", f"{path}logText/progressiveText?start=0")
    assert (log.headers["X-Text-Size"], "X-More-Data" in log.headers) == (str(len(console)), False)


def test_builds_shows_a_hundred_and_all_builds_all(jenkins: Running) -> None:
    jenkins.job("quick", duration_s=0)
    for number in range(101):
        jenkins.trigger("quick", REQUEST_ID=str(number), delay="0sec")
    whole = jenkins.json(
        "job/quick/api/json?tree=builds[number],allBuilds[number],lastBuild[number]"
    )
    assert [build["number"] for build in whole["builds"]] == list(range(101, 1, -1))
    assert len(whole["allBuilds"]) == 101
    part = jenkins.json("job/quick/api/json?tree=allBuilds[number]{0,2}")
    assert [build["number"] for build in part["allBuilds"]] == [101, 100]


def test_jobs_stand_in_folders_and_branches_keep_their_slash_encoded(jenkins: Running) -> None:
    jenkins.job("infra/provision")
    jenkins.job("app/feature%2Fx")
    assert [job["name"] for job in jenkins.json("api/json?tree=jobs[name]")["jobs"]] == [
        "infra",
        "app",
    ]
    folder = jenkins.json("job/app/api/json")
    assert folder["_class"] == "com.cloudbees.hudson.plugins.folder.Folder"
    assert folder["jobs"][0]["url"] == f"{jenkins.url}job/app/job/feature%252Fx/"
    branch = jenkins.json("job/app/job/feature%252Fx/api/json")
    assert (branch["fullName"], branch["fullDisplayName"]) == ("app/feature%2Fx", "app » feature/x")


def test_a_context_path_stands_before_everything(tmp_path: Path) -> None:
    with standing(tmp_path, prefix="/jenkins") as jenkins:
        response = jenkins.http.request(
            "PUT",
            jenkins.url.replace("/jenkins/", "/_stand-in/jobs"),
            body=b'{"name": "infra/provision"}',
            headers={"Content-Type": "application/json"},
        )
        assert response.status == 200
        answer = jenkins.trigger("infra/provision")
        assert answer.headers["Location"] == f"{jenkins.url}queue/item/1/"
        assert jenkins.url.endswith("/jenkins/")


# --- its own controls --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "what", "body", "headers", "status"),
    [
        ("PUT", "jobs", b'{"name": "x", "colour": 1}', {}, 400),
        ("PUT", "jobs", b"{", {}, 400),
        ("PUT", "jobs", b"{}", {"Content-Type": "text/plain"}, 415),
        ("GET", "state", b"", {"Host": "rebound.example.com"}, 421),
        ("GET", "weather", b"", {}, 404),
        ("POST", "weather", b"", {}, 404),
    ],
)
def test_a_control_that_is_wrong_is_refused(
    jenkins: Running, method: str, what: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    answer = jenkins.http.request(method, f"{jenkins.url}_stand-in/{what}", body=body, headers=sent)
    assert answer.status == status


def test_the_controls_list_all_builds_and_forget_them(jenkins: Running) -> None:
    jenkins.job("infra/provision", duration_s=0)
    jenkins.control("POST", "outcomes", {"result": "UNSTABLE", "parameters": {"NAME": "web-01"}})
    jenkins.trigger("infra/provision", NAME="web-01", delay="0sec")
    (build,) = jenkins.control("GET", "builds")["builds"]
    assert (build["job"], build["number"], build["result"]) == ("infra/provision", 1, "UNSTABLE")
    assert build["parameters"] == {"REQUEST_ID": "", "NAME": "web-01"}
    state = jenkins.control("POST", "reset")
    assert (state["jobs"], jenkins.control("GET", "builds")["builds"]) == (["infra/provision"], [])


def test_a_large_or_chunked_body_is_refused(jenkins: Running) -> None:
    large = jenkins.http.request("POST", f"{jenkins.url}job/x/build", body=b"x" * (2**21 + 1))
    chunked = jenkins.http.request(
        "POST", f"{jenkins.url}job/x/build", body=iter([b"x"]), chunked=True
    )
    assert (large.status, chunked.status) == (413, 411)


class _Fleet(BaseHTTPRequestHandler):
    """Answers 503 twice, then 200."""

    received: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append(json.loads(body))
        self.send_response(503 if len(self.received) < 3 else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        pass


def test_whoever_the_job_names_is_told_until_it_answers_2xx(jenkins: Running) -> None:
    handler = type("Handler", (_Fleet,), {"received": []})
    with HTTPServer(("127.0.0.1", 0), handler) as fleet:
        thread = threading.Thread(target=fleet.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{fleet.server_address[1]}/provisioned"
            jenkins.job("infra/provision", duration_s=0, on_success=url)
            jenkins.trigger("infra/provision", NAME="web-01", delay="0sec")
            eventually(lambda: jenkins.control("GET", "state")["undelivered"] == 0)
        finally:
            fleet.shutdown()
            thread.join()
    told = {
        "job": "infra/provision",
        "build": 1,
        "parameters": {"REQUEST_ID": "", "NAME": "web-01"},
    }
    assert handler.received == [told] * 3  # type: ignore[attr-defined]


# --- as a process ------------------------------------------------------------------------------


@pytest.mark.cloud
def test_what_was_answered_survives_a_kill_and_running_builds_go_on(tmp_path: Path) -> None:
    with child(tmp_path, "--executors", "1") as (jenkins, process):
        jenkins.job("infra/provision", duration_s=1.0)
        for number in range(3):
            jenkins.trigger("infra/provision", REQUEST_ID=f"r{number}", delay="0sec")
        eventually(lambda: jenkins.control("GET", "state")["running"])
        process.kill()
        process.wait()
    with child(tmp_path, "--executors", "4") as (jenkins, _):
        state = jenkins.control("GET", "state")
        assert state["jobs"] == ["infra/provision"]
        eventually(
            lambda: (
                [build["result"] for build in jenkins.control("GET", "builds")["builds"]]
                == ["SUCCESS"] * 3
            )
        )
        builds = jenkins.control("GET", "builds")["builds"]
        assert sorted(build["parameters"]["REQUEST_ID"] for build in builds) == ["r0", "r1", "r2"]
        assert jenkins.trigger("infra/provision").headers["Location"].endswith("/queue/item/4/")


@pytest.mark.cloud
def test_it_leaves_within_two_seconds_when_its_parent_closes_its_input(tmp_path: Path) -> None:
    with child(tmp_path) as (jenkins, process):
        jenkins.call("GET", "api/json")
        assert process.stdin is not None
        process.stdin.close()
        started = time.monotonic()
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - started < 2


@pytest.mark.cloud
def test_it_takes_500_requests_in_a_few_seconds(tmp_path: Path) -> None:
    with child(tmp_path) as (jenkins, _):
        jenkins.job("infra/provision")
        started = time.monotonic()
        answers = {
            jenkins.trigger("infra/provision", REQUEST_ID=f"r{number}").status
            for number in range(500)
        }
        assert answers == {201}
        assert time.monotonic() - started < 10
