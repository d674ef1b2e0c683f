from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local


def test_the_fleet_describes_itself(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.control("provisioned", {"instance": instance})
    local.pass_s(1)
    status, found = local.control("describe")
    assert status == 200
    assert (found["account"], found["region"]) == ("123456789012", "eu-west-1")
    assert found["groups"] == [
        {
            "name": "shop",
            "min": 0,
            "max": 1000,
            "desired": 1,
            "topics": {
                "arn:aws:sns:eu-west-1:123456789012:changes": [
                    "autoscaling:EC2_INSTANCE_LAUNCH",
                    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
                    "autoscaling:EC2_INSTANCE_TERMINATE",
                    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
                ]
            },
            "hooks": [],
            "suspended": [],
            "members": [
                {
                    "instance": instance,
                    "lifecycle": "InService",
                    "health": "Healthy",
                    "zone": "eu-west-1a",
                    "address": "10.0.0.4",
                    "state": "running",
                    "held_by": [],
                    "targets": ["healthy"],
                }
            ],
        }
    ]
    assert found["instances"][0]["group"] == "shop"
    assert found["instances"][0]["provisioned"] is True
    assert found["notifications"] == {"published": 0, "undelivered": 0}
    assert found["faults"]["limits"] == {"CreateTags": {"capacity": 100, "refill_per_s": 10}}


def test_a_server_can_break_and_be_mended(local: Local) -> None:
    (instance,) = local.make_serving(1)
    for healthy, state in ((True, "healthy"), (False, "unhealthy")):
        answer = local.control("health", {"instance": instance, "healthy": healthy})
        assert answer == (200, {"instance": instance, "healthy": healthy})
        local.pass_s(1)
        assert local.health(instance)[0] == state


def test_the_last_launch_is_published_again_word_for_word(local: Local) -> None:
    local.make_group(1)
    local.pass_s(1)
    (first,) = local.sent
    (instance,) = local.in_service()
    status, answer = local.control("duplicate", {"group": "shop", "count": 2})
    assert (status, answer["instances"]) == (200, [instance])
    assert local.sent == [first, first, first]


def test_messages_can_be_doubled_and_shuffled(local: Local) -> None:
    local.control("notifications", {"duplicate": 2, "shuffle": True})
    local.make_group(20)
    local.pass_s(1)
    undelivered = list(local.fleet.state.outbox.values())
    instances = [one.message.body for one in undelivered]
    assert len(instances) == 40
    assert len(set(instances)) == 20
    times = [one.not_before for one in undelivered]
    assert times != sorted(times)
    assert max(times) - min(times) <= 1


def test_messages_can_be_dropped_and_delayed(local: Local) -> None:
    local.make_group()
    local.control("notifications", {"drop": 0.5, "delay_s": 30})
    local.set_desired(100)
    local.pass_s(2)
    undelivered = list(local.fleet.state.outbox.values())
    assert 20 < len(undelivered) < 80
    assert min(one.not_before for one in undelivered) > local.fleet.seconds() + 27
    local.control("notifications", {})
    local.fleet.state.outbox.clear()
    local.set_desired(110)
    local.pass_s(2)
    assert len(local.sent) == 10


def test_delays_are_changed_while_it_runs(local: Local) -> None:
    local.make_group()
    assert local.control("faults", {"delays": {"boot_s": 9}})[1]["delays"]["boot_s"] == 9
    local.set_desired(1)
    local.pass_s(8)
    assert local.states() == ["Pending"]
    local.pass_s(2)
    assert local.states() == ["InService"]


def test_reset_forgets_everything(local: Local) -> None:
    local.make_serving(3)
    assert local.control("reset", {}) == (200, {})
    found = local.control("describe")[1]
    assert (found["groups"], found["instances"], found["timers"]) == ([], [], 0)
    local.make_group(1)
    local.pass_s(1)
    assert len(local.in_service()) == 1


@pytest.mark.parametrize(
    ("name", "body", "status", "text"),
    [
        ("provisioned", {}, 400, 'wanted {"instance": ID}'),
        ("provisioned", {"parameters": {"OTHER": "x"}}, 400, 'wanted {"instance": ID}'),
        ("provisioned", {"instance": "i-0"}, 404, "no instance i-0"),
        ("provisioned", [], 400, "wanted an object, found []"),
        ("faults", {"fire": 1}, 400, "unknown fault fire"),
        ("faults", {"describe_lag_s": "long"}, 400, 'wanted a number, zero or more, found "long"'),
        ("faults", {"describe_lag_s": -1}, 400, "wanted a number, zero or more, found -1"),
        ("faults", {"launch_error": {"group": "none"}}, 404, "no group none"),
        ("faults", {"launch_error": 1}, 400, "wanted an object, found 1"),
        ("faults", {"delays": {"sleep_s": 1}}, 400, "unknown delays ['sleep_s']"),
        ("notifications", {"lose": 1}, 400, "unknown settings ['lose']"),
        ("duplicate", {"group": "none"}, 404, "group none has published no launch yet"),
        ("nothing", {}, 404, "no /_fleet/nothing"),
    ],
)
def test_a_wrong_call_says_what_was_wanted(
    local: Local, name: str, body: object, status: int, text: str
) -> None:
    found, answer = local.control(name, body)
    assert found == status
    assert text in answer["error"]


def test_a_wrong_method_and_broken_json_are_refused(local: Local) -> None:
    assert local.control("reset", method="GET")[0] == 405
    status, answer = local.http("POST", "/_fleet/provisioned", b"{", {})
    assert status == 400
    assert b"wanted JSON" in answer
