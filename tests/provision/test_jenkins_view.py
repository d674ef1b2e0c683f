"""Our requests, wherever in Jenkins they are: on the state machine of the stand-in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.provision.conftest import make_build
from triggerfish.errors import Refused
from triggerfish.local.jenkins.core import Core
from triggerfish.local.jenkins.fake import FakeJenkins
from triggerfish.local.jenkins.model import Job, Outcome
from triggerfish.provision.jenkins_view import JenkinsDoor
from triggerfish.provision.observation import QueuedItem, SeenBuild

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.provision.builds import Snapshot
    from triggerfish.provision.members import Build
    from triggerfish.provision.observation import JenkinsView

START_S = 1_795_521_600.0
JOB = "infra/provision"


class Counting(FakeJenkins):
    """Remembers how deep it was read, and how often it was asked for one thing."""

    def __init__(self, core: Core, now: Any) -> None:
        super().__init__(core, now)
        self.depths: list[int] = []
        self.alone = 0

    def snapshot(self, jobs: Sequence[str], builds_per_job: int) -> Snapshot:
        self.depths.append(builds_per_job)
        return super().snapshot(jobs, builds_per_job)

    def build(self, job: str, number: int) -> Any:
        self.alone += 1
        return super().build(job, number)

    def queue_item(self, queue_id: int) -> Any:
        self.alone += 1
        return super().queue_item(queue_id)


@dataclass
class Standing:
    now_s: float = START_S
    core: Core = field(init=False)
    client: Counting = field(init=False)
    door: JenkinsDoor = field(init=False)

    def __post_init__(self) -> None:
        self.core = Core(quiet_period_s=0, now=self.now_s)
        self.job(JOB)
        self.client = Counting(self.core, lambda: self.now_s)
        self.door = JenkinsDoor(self.client)  # type: ignore[arg-type]  # the fake of the client

    def job(self, name: str, **changes: Any) -> None:
        declared = (("REQUEST_ID", ""), ("NAME", ""))
        self.core.put_job(
            Job(**{"name": name, "parameters": declared, "duration_s": 20, **changes})
        )

    def ask(self, request_id: str = "r1", job: str = JOB) -> int:
        return self.door.trigger(job, {"REQUEST_ID": request_id})

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def look(self, *builds: Build, jobs: Sequence[str] = (JOB,)) -> JenkinsView:
        return self.door.look(jobs, builds)


@pytest.fixture
def jenkins() -> Standing:
    return Standing()


def request(**changes: Any) -> Build:
    return make_build(**{"request_id": "r1", "intended_ms": int(START_S * 1000), **changes})


# --- where it is -------------------------------------------------------------------------------


def test_a_request_in_the_queue_is_seen_with_what_it_waits_for(jenkins: Standing) -> None:
    jenkins.core.executors = 0
    queue_id = jenkins.ask()
    view = jenkins.look(request())
    assert view.queue == {"r1": QueuedItem(queue_id, "Waiting for next available executor")}
    assert view.builds == {}


def test_a_running_build_is_seen(jenkins: Standing) -> None:
    jenkins.ask()
    view = jenkins.look(request())
    assert view.queue == {}
    assert view.builds == {"r1": SeenBuild(JOB, 1, done=False, result=None)}


def test_an_ended_build_is_seen_with_its_result(jenkins: Standing) -> None:
    jenkins.core.decide(Outcome(result="UNSTABLE"))
    jenkins.ask()
    jenkins.wait(21)
    assert jenkins.look(request()).builds == {"r1": SeenBuild(JOB, 1, done=True, result="UNSTABLE")}


def test_a_build_with_a_result_that_still_works_is_not_done(jenkins: Standing) -> None:
    """The result "can only get worse"; post-build steps run on."""
    jenkins.job(JOB, finishing_s=10)
    jenkins.ask()
    jenkins.wait(21)
    assert jenkins.look(request()).builds == {"r1": SeenBuild(JOB, 1, done=False, result="SUCCESS")}


def test_what_others_asked_for_is_not_ours(jenkins: Standing) -> None:
    jenkins.core.trigger(JOB, {"NAME": "by hand"})
    view = jenkins.look(request())
    assert (view.queue, view.builds) == ({}, {})


def test_a_repeated_question_finds_the_first(jenkins: Standing) -> None:
    jenkins.core.executors = 0
    assert jenkins.ask() == jenkins.ask()


# --- found again -------------------------------------------------------------------------------


def test_an_item_that_was_cancelled_is_seen_for_as_long_as_jenkins_remembers(
    jenkins: Standing,
) -> None:
    jenkins.core.executors = 0
    queue_id = jenkins.ask()
    jenkins.core.cancel(queue_id)
    view = jenkins.look(request(queue_id=queue_id))
    assert view.queue == {"r1": QueuedItem(queue_id, "", cancelled=True)}
    jenkins.wait(301)
    assert jenkins.look(request(queue_id=queue_id)).queue == {}


def test_a_build_whose_job_does_not_declare_the_request_id_is_found_by_its_queue_item(
    jenkins: Standing,
) -> None:
    jenkins.job(JOB, parameters=(("NAME", ""),))
    queue_id = jenkins.ask()
    view = jenkins.look(request(queue_id=queue_id))
    assert view.builds == {"r1": SeenBuild(JOB, 1, done=False, result=None)}
    assert jenkins.look(request()).builds == {}


def test_a_queue_item_whose_job_does_not_declare_the_request_id_is_found_by_its_number(
    jenkins: Standing,
) -> None:
    jenkins.job(JOB, parameters=(("NAME", ""),))
    jenkins.core.executors = 0
    queue_id = jenkins.ask()
    assert list(jenkins.look(request(queue_id=queue_id)).queue) == ["r1"]


def test_a_queue_number_that_jenkins_gave_out_again_is_somebody_elses(jenkins: Standing) -> None:
    """A crash turns the counter back when the queue was not yet saved."""
    jenkins.core.executors = 0
    queue_id = jenkins.ask("r1")
    jenkins.core.restart(forget_queue=True, reuse_ids=True)
    assert jenkins.ask("r2") == queue_id
    view = jenkins.look(request(queue_id=queue_id))
    assert view.queue == {"r2": QueuedItem(queue_id, "Waiting for next available executor")}
    assert view.builds == {}


def test_a_forgotten_item_is_nowhere(jenkins: Standing) -> None:
    jenkins.core.executors = 0
    queue_id = jenkins.ask()
    jenkins.core.restart(forget_queue=True)
    view = jenkins.look(request(queue_id=queue_id))
    assert (view.queue, view.builds) == ({}, {})
    assert view.complete_since_ms == {JOB: 0}


def test_a_build_that_is_deeper_than_was_read_is_found_by_its_number(jenkins: Standing) -> None:
    jenkins.core.executors = 500
    jenkins.ask("r1")
    for n in range(130):
        jenkins.wait(1)
        jenkins.ask(f"later-{n}")
    late = request(number=1, intended_ms=int((START_S + 3600) * 1000))
    view = jenkins.look(late)
    assert view.builds["r1"].number == 1
    assert jenkins.client.alone == 1


def test_a_build_that_jenkins_threw_away_is_over(jenkins: Standing) -> None:
    view = jenkins.look(request(number=7))
    assert view.builds == {"r1": SeenBuild(JOB, 7, done=True, result="NOT_FOUND")}


def test_what_there_is_no_time_to_search_for_is_said(jenkins: Standing) -> None:
    builds = [request(request_id=f"r{n}", queue_id=1000 + n) for n in range(130)]
    view = jenkins.look(*builds)
    assert jenkins.client.alone == 100
    assert view.unsearched == {f"r{n}" for n in range(100, 130)}


# --- how far back ------------------------------------------------------------------------------


def history(jenkins: Standing, count: int) -> None:
    """A build a second, of others."""
    jenkins.core.executors = 10_000
    for n in range(count):
        jenkins.wait(1)
        jenkins.ask(f"other-{n}")


def test_a_job_read_to_its_first_build_is_complete(jenkins: Standing) -> None:
    history(jenkins, 50)
    assert jenkins.look().complete_since_ms == {JOB: 0}


def test_a_job_without_builds_is_complete(jenkins: Standing) -> None:
    assert jenkins.look().complete_since_ms == {JOB: 0}


def test_a_job_with_more_builds_is_complete_since_the_oldest_that_was_read(
    jenkins: Standing,
) -> None:
    history(jenkins, 250)
    assert jenkins.look().complete_since_ms == {JOB: int((START_S + 151) * 1000)}


def test_builds_are_read_back_to_ten_minutes_before_the_oldest_request(jenkins: Standing) -> None:
    history(jenkins, 1000)
    jenkins.look(request(intended_ms=int((START_S + 900) * 1000)))
    assert jenkins.client.depths == [102, 408, 1632]


def test_builds_are_read_no_deeper_than_needed(jenkins: Standing) -> None:
    history(jenkins, 1000)
    jenkins.look(request(intended_ms=int((START_S + 1200) * 1000)))
    assert jenkins.client.depths == [102, 408]


def test_builds_are_not_read_without_end(jenkins: Standing) -> None:
    history(jenkins, 8000)
    jenkins.look(request(intended_ms=0))
    assert jenkins.client.depths == [102, 408, 1632, 6528]


def test_a_job_that_cannot_be_read_is_complete_at_no_time(jenkins: Standing) -> None:
    view = jenkins.look(jobs=(JOB, "app/none"))
    assert view.complete_since_ms == {JOB: 0}


# --- cancelling --------------------------------------------------------------------------------


def test_a_queue_item_is_cancelled(jenkins: Standing) -> None:
    jenkins.core.executors = 0
    queue_id = jenkins.ask()
    jenkins.door.cancel(request(), queue_id=queue_id, number=None)
    assert jenkins.core.queue == {}


def test_a_running_build_is_stopped(jenkins: Standing) -> None:
    jenkins.ask()
    jenkins.door.cancel(request(), queue_id=None, number=1)
    assert [build.result for build in jenkins.core.builds()] == ["ABORTED"]


def test_an_item_that_became_a_build_meanwhile_is_stopped(jenkins: Standing) -> None:
    queue_id = jenkins.ask()
    jenkins.door.cancel(request(), queue_id=queue_id, number=None)
    assert [build.result for build in jenkins.core.builds()] == ["ABORTED"]


def test_what_is_gone_already_is_cancelled(jenkins: Standing) -> None:
    jenkins.door.cancel(request(), queue_id=99, number=None)
    jenkins.door.cancel(request(), queue_id=None, number=99)
    jenkins.door.cancel(request(), queue_id=None, number=None)


def test_a_cancel_that_jenkins_forbids_is_said(jenkins: Standing) -> None:
    jenkins.core.executors = 0
    queue_id = jenkins.ask()
    jenkins.core.configure(forbidding=True)
    with pytest.raises(Refused, match="no permission to cancel"):
        jenkins.door.cancel(request(), queue_id=queue_id, number=None)
