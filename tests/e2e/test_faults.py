"""What goes wrong around the trigger ends as a member that is ready, a notice or a dead letter."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.running import eventually
from triggerfish.local.fleet import actions

if TYPE_CHECKING:
    from tests.e2e.running import Up

pytestmark = pytest.mark.cloud


def launch(up: Up, group: str, count: int = 1) -> tuple[str, ...]:
    return actions.launch(up.clients.autoscaling, group, count)


def notices(up: Up, title: str) -> list[dict[str, Any]]:
    told = up.data("status")["provision"]["notices"]
    return [one for one in told if one["title"] == title]


def requests_of(up: Up, jenkins: str, group: str) -> Counter[str]:
    builds = up.builds(jenkins, GROUP=group)
    return Counter(one["parameters"]["REQUEST_ID"] for one in builds)


def test_malformed_message_is_a_dead_letter_with_its_reason_and_the_rest_is_handled(
    shared: Up,
) -> None:
    sqs, stack = shared.clients.sqs, shared.running.stack
    account = "arn:aws:sns:eu-central-1:123456789012"
    bodies = ["no JSON", '{"Event": "autoscaling:UNHEARD_OF"}', "[1]"]
    for body in bodies:
        shared.clients.sns.publish(TopicArn=f"{account}:{stack}-provision", Message=body)
    (instance,) = launch(shared, "beside")
    assert shared.wait_for("beside", 1)[0]["instance"] == instance
    url = sqs.get_queue_url(QueueName=f"{stack}-provision-dead")["QueueUrl"]
    found: dict[str, str] = {}

    def all_there() -> bool:
        received = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        for message in received.get("Messages", []):
            body = json.loads(message["Body"])["Message"]
            found[body] = message["MessageAttributes"]["reason"]["StringValue"]
        return len(found) == len(bodies)

    eventually(all_there, "every malformed message is in the dead-letter queue")
    assert found["no JSON"].startswith("the message is not JSON: ")
    assert found["[1]"] == "the message is a JSON list, wanted an object"
    assert found[bodies[1]] == "no event of Auto Scaling: Event is 'autoscaling:UNHEARD_OF'"
    assert shared.data("status")["dead_letters"] == {"provision": 3}


def test_launch_that_failed_is_a_notice_and_the_next_one_is_provisioned(shared: Up) -> None:
    reason = "You have requested more vCPU capacity than your current limit allows"
    shared.fleet("faults", {"launch_error": {"group": "unlucky", "reason": reason}})
    launch(shared, "unlucky")
    (told,) = eventually(
        lambda: notices(shared, "unlucky could not launch an instance"), "it was told"
    )
    assert told["severity"] == "warning"
    assert ["Instance", "none"] in told["facts"]
    assert reason in dict(told["facts"])["Reason"]
    assert shared.wait_for("unlucky", 1)[0]["number"] == 1
    screen = shared.command("status").stdout
    assert "unlucky could not launch an instance: " in screen


def test_jenkins_that_is_down_is_waited_for(shared: Up) -> None:
    shared.jenkins("moody", "PUT", "mode", {"mode": "down"})
    launch(shared, "patient", 2)
    eventually(
        lambda: (
            all(one["reason"] for one in shared.members("patient"))
            and len(shared.members("patient")) == 2
        ),
        "the members say what they wait for",
    )
    assert {one["phase"] for one in shared.members("patient")} == {"named"}
    shared.jenkins("moody", "PUT", "mode", {"mode": "up"})
    members = shared.wait_for("patient", 2)
    assert requests_of(shared, "moody", "patient") == {
        f"{one['instance']}.g1.patient/job-{job}.a1": 1 for one in members for job in (1, 2)
    }


def test_jenkins_that_restarts_in_the_middle_builds_nothing_twice(shared: Up) -> None:
    launch(shared, "restless", 4)
    eventually(lambda: shared.builds("moody", GROUP="restless"), "its first build runs")
    shared.jenkins("moody", "PUT", "mode", {"mode": "restarting", "seconds": 2})
    members = shared.wait_for("restless", 4)
    succeeded = [
        (one["parameters"]["INSTANCE_ID"], one["job"])
        for one in shared.builds("moody", GROUP="restless")
        if one["result"] == "SUCCESS"
    ]
    assert Counter(succeeded) == {
        (one["instance"], f"restless/job-{job}"): 1 for one in members for job in (1, 2)
    }
    assert set(requests_of(shared, "moody", "restless").values()) == {1}


def test_job_that_fails_every_time_is_a_notice(shared: Up) -> None:
    outcome = {"job": "failing/job-1", "result": "FAILURE", "count": 2}
    shared.jenkins("main", "POST", "outcomes", outcome)
    (instance,) = launch(shared, "failing")
    (member,) = shared.wait_for("failing", 1, "failed")
    assert member["reason"] == "failing/job-1 #2 ended FAILURE, attempt 2 of 2"
    assert [one["result"] for one in member["builds"]] == ["FAILURE", "FAILURE"]
    (told,) = eventually(
        lambda: notices(shared, "failing-01 of failing was not provisioned"), "it was told"
    )
    assert dict(told["facts"]) == {
        "Group": "failing",
        "Number": "1",
        "Instance": instance,
        "Zone": member["zone"],
        "Reason": member["reason"],
    }
    screen = shared.command("status").stdout
    assert f"{instance} (failing-01): {member['reason']}\n" in screen
    assert "failing-01 of failing was not provisioned" in shared.said()


def lifecycle(up: Up, group: str) -> dict[str, str]:
    found = up.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    instances = found["AutoScalingGroups"][0]["Instances"]
    return {one["InstanceId"]: one["LifecycleState"] for one in instances}


def test_hook_is_kept_alive_and_continued(shared: Up) -> None:
    """Its timer is 3 s and the build takes 5: without heartbeats the group would give up."""
    shared.clients.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="hooked",
        LifecycleHookName="provision",
        HeartbeatTimeout=3,
        DefaultResult="ABANDON",
    )
    slow = {"job": "hooked/job-1", "result": "SUCCESS", "duration_s": 5}
    shared.jenkins("main", "POST", "outcomes", slow)
    (instance,) = launch(shared, "hooked")
    eventually(lambda: shared.builds(GROUP="hooked"), "its build runs")
    assert lifecycle(shared, "hooked") == {instance: "Pending:Wait"}
    shared.wait_for("hooked", 1)
    assert lifecycle(shared, "hooked") == {instance: "InService"}
    told = shared.causes(instance)
    assert told.count("hook's timer restarted") >= 2
    assert told.count("hook provision: CONTINUE") == 1
    assert len(shared.builds(GROUP="hooked")) == 1


def test_hook_of_a_member_that_failed_is_abandoned_and_another_one_comes(shared: Up) -> None:
    outcome = {"job": "abandoned/job-1", "result": "FAILURE", "count": 1}
    shared.jenkins("main", "POST", "outcomes", outcome)
    (first,) = launch(shared, "abandoned")

    def replaced() -> list[dict[str, Any]] | None:
        found = shared.members("abandoned")
        ready = [one for one in found if one["phase"] == "ready"]
        return ready if first not in {one["instance"] for one in found} else None

    eventually(replaced, "the member that failed was replaced")
    assert "hook provision: ABANDON" in shared.causes(first)
    (told,) = notices(shared, "abandoned-01 of abandoned was not provisioned")
    assert dict(told["facts"])["Instance"] == first
