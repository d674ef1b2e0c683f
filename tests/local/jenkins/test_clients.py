"""Third-party clients take the stand-in for Jenkins, their misreadings included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import api4jenkins
import httpx
import jenkins as python_jenkins
import pytest
import requests

from tests.local.jenkins.standing import PASSWORD, TOKEN, USER, Running, eventually, standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.fixtures import SubRequest

JOB = "infra/provision"


@pytest.fixture(params=[TOKEN, PASSWORD], ids=["token", "password"])
def secret(request: SubRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def python(jenkins: Running, secret: str) -> Iterator[python_jenkins.Jenkins]:
    jenkins.job(JOB, quiet_period_s=0, duration_s=0.1)
    client = python_jenkins.Jenkins(jenkins.url, username=USER, password=secret, timeout=10)
    yield client
    client._session.close()


@pytest.fixture
def api4(jenkins: Running, secret: str) -> Iterator[api4jenkins.Jenkins]:
    jenkins.job(JOB, quiet_period_s=0, duration_s=0.1)
    client = api4jenkins.Jenkins(jenkins.url, auth=(USER, secret))
    yield client
    client.http_client.close()


# --- python-jenkins ----------------------------------------------------------------------------


def test_python_jenkins_knows_who_it_is_and_whom_it_talks_to(
    python: python_jenkins.Jenkins,
) -> None:
    assert python.get_whoami()["id"] == USER
    assert python.get_version() == "2.528.2"
    assert python.get_info()["mode"] == "NORMAL"


def test_python_jenkins_finds_jobs(python: python_jenkins.Jenkins) -> None:
    assert python.job_exists(JOB) is True
    assert python.job_exists("infra/provison") is None
    assert python.is_folder("infra")
    assert [job["fullname"] for job in python.get_all_jobs()] == ["infra", JOB]
    info = python.get_job_info(JOB)
    assert (info["fullName"], info["nextBuildNumber"], info["builds"]) == (JOB, 1, [])
    (definitions,) = info["property"]
    assert [one["name"] for one in definitions["parameterDefinitions"]] == ["REQUEST_ID", "NAME"]


def test_python_jenkins_follows_a_build_to_its_end(python: python_jenkins.Jenkins) -> None:
    item = python.build_job(JOB, {"REQUEST_ID": "r1"})
    eventually(lambda: "executable" in python.get_queue_item(item))
    number = python.get_queue_item(item)["executable"]["number"]
    eventually(lambda: not python.get_build_info(JOB, number)["inProgress"])
    info = python.get_build_info(JOB, number)
    assert (info["result"], info["queueId"], info["building"]) == ("SUCCESS", item, False)
    assert "+ export REQUEST_ID=r1\n" in python.get_build_console_output(JOB, number)
    assert python.get_job_info(JOB)["lastSuccessfulBuild"]["number"] == number


def test_python_jenkins_cancels_and_stops(jenkins: Running, python: python_jenkins.Jenkins) -> None:
    jenkins.job(JOB, quiet_period_s=60)
    waiting = python.build_job(JOB, {"REQUEST_ID": "r1"})
    assert [item["id"] for item in python.get_queue_info()] == [waiting]
    python.cancel_queue(waiting)
    python.cancel_queue(waiting)  # a 404 is not an error to it
    assert python.get_queue_info() == []
    jenkins.job(JOB, quiet_period_s=0, duration_s=60)
    python.build_job(JOB, {"REQUEST_ID": "r2"})
    (running,) = python.get_running_builds()
    assert running["number"] == 1
    python.stop_build(JOB, 1)
    assert python.get_build_info(JOB, 1)["result"] == "ABORTED"


def test_python_jenkins_takes_a_merged_request_for_a_missing_page(
    jenkins: Running, python: python_jenkins.Jenkins
) -> None:
    jenkins.job(JOB, quiet_period_s=60)
    python.build_job(JOB, {"REQUEST_ID": "r1"})
    with pytest.raises(python_jenkins.NotFoundException):
        python.build_job(JOB, {"REQUEST_ID": "r1"})
    assert len(python.get_queue_info()) == 1


def test_python_jenkins_takes_a_refusal_for_an_empty_answer(
    jenkins: Running, python: python_jenkins.Jenkins
) -> None:
    jenkins.control("PUT", "faults", {"refusing": True})
    with pytest.raises(python_jenkins.EmptyResponseException):
        python.build_job(JOB, {"REQUEST_ID": "r1"})


@pytest.mark.parametrize(
    ("mode", "disabled", "status"), [("up", True, 409), ("loading", False, 503)]
)
def test_python_jenkins_lets_409_and_503_through(
    jenkins: Running, python: python_jenkins.Jenkins, mode: str, status: int, *, disabled: bool
) -> None:
    python.get_whoami()
    jenkins.job(JOB, disabled=disabled)
    jenkins.control("PUT", "mode", {"mode": mode})
    with pytest.raises(requests.HTTPError) as caught:
        python.build_job(JOB, {"REQUEST_ID": "r1"})
    assert caught.value.response is not None
    assert caught.value.response.status_code == status


# --- api4jenkins -------------------------------------------------------------------------------


def test_api4jenkins_knows_who_it_is_and_whom_it_talks_to(api4: api4jenkins.Jenkins) -> None:
    assert api4.version == "2.528.2"
    assert api4.me.full_name == USER


def test_api4jenkins_finds_jobs(api4: api4jenkins.Jenkins) -> None:
    job = api4.get_job(JOB)
    assert (type(job).__name__, job.full_name, job.buildable) == ("WorkflowJob", JOB, True)
    assert [one["name"] for one in job.get_parameters()] == ["REQUEST_ID", "NAME"]
    assert api4.get_job("infra/provison") is None
    assert type(api4.get_job("infra")).__name__ == "Folder"


def test_api4jenkins_follows_a_build_to_its_end(api4: api4jenkins.Jenkins) -> None:
    item = api4.build_job(JOB, REQUEST_ID="r1")
    eventually(lambda: item.get_build() is not None)
    build = item.get_build()
    eventually(lambda: not build.building)
    assert (build.result, build.queue_id, build.number) == ("SUCCESS", item.id, 1)
    assert build.get_parameters()[0].value == "r1"
    assert "+ export REQUEST_ID=r1" in list(build.console_text())
    assert "+ export REQUEST_ID=r1" in list(build.progressive_output())


def test_api4jenkins_cancels_and_stops(jenkins: Running, api4: api4jenkins.Jenkins) -> None:
    jenkins.job(JOB, quiet_period_s=60)
    item = api4.build_job(JOB, REQUEST_ID="r1")
    assert [one.id for one in api4.queue] == [item.id]
    item.cancel()
    assert list(api4.queue) == []
    jenkins.job(JOB, quiet_period_s=0, duration_s=60)
    build = api4.build_job(JOB, REQUEST_ID="r2").get_build()
    build.stop()
    assert build.result == "ABORTED"


def test_api4jenkins_does_not_tell_a_merged_request_from_a_new_one(
    jenkins: Running, api4: api4jenkins.Jenkins
) -> None:
    jenkins.job(JOB, quiet_period_s=60)
    items = [api4.build_job(JOB, REQUEST_ID="r1").id for _ in range(2)]
    assert items == [1, 1]


def test_api4jenkins_takes_a_refusal_for_a_queue_item(
    jenkins: Running, api4: api4jenkins.Jenkins
) -> None:
    jenkins.control("PUT", "faults", {"refusing": True})
    with pytest.raises(ValueError, match="'provision'"):
        api4.build_job(JOB, REQUEST_ID="r1")


def test_api4jenkins_lets_409_through(jenkins: Running, api4: api4jenkins.Jenkins) -> None:
    jenkins.job(JOB, disabled=True)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        api4.build_job(JOB, REQUEST_ID="r1")
    assert caught.value.response.status_code == 409


# --- and without a user ------------------------------------------------------------------------


def test_both_build_with_a_crumb_where_everybody_may(tmp_path: Path) -> None:
    with standing(tmp_path, secured=False) as running:
        running.job("open", quiet_period_s=60)
        python = python_jenkins.Jenkins(running.url)
        api4 = api4jenkins.Jenkins(running.url)
        assert python.build_job("open", {"REQUEST_ID": "r1"}) == 1
        assert api4.build_job("open", REQUEST_ID="r2").id == 2
        python._session.close()
        api4.http_client.close()
