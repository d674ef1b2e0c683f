"""`send` makes real events happen; `members`, `explain` and `release` tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.running import eventually

if TYPE_CHECKING:
    from tests.e2e.running import Up

pytestmark = pytest.mark.cloud


def address_of(up: Up, domain: str) -> list[str]:
    """What the private zone says of a name."""
    zone = up.running.parameters["zone internal.example.com"]
    answer = up.clients.route53.list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=domain, StartRecordType="A", MaxItems="1"
    )
    return [
        value["Value"]
        for record in answer["ResourceRecordSets"]
        if record["Name"] == f"{domain}." and record["Type"] == "A"
        for value in record["ResourceRecords"]
    ]


def tags_of(up: Up, instance: str) -> dict[str, str]:
    answer = up.clients.ec2.describe_instances(InstanceIds=[instance])
    tags = answer["Reservations"][0]["Instances"][0].get("Tags", [])
    return {tag["Key"]: tag["Value"] for tag in tags}


def test_life_of_a_group(shared: Up) -> None:
    """Launched, told of twice, rested, joined by a stranger, killed: each event as AWS makes it."""
    launched = shared.data("send", "launch", "--group", "sent", "--count", "2")["instances"]
    members = shared.wait_for("sent", 2)
    assert sorted(one["instance"] for one in members) == sorted(launched)
    assert shared.data("members", "sent") == members
    first, second = members
    assert (first["name"], first["domain"]) == ("sent-01", "sent-01.internal.example.com")
    assert address_of(shared, first["domain"]) == [first["address"]]
    assert (
        tags_of(shared, first["instance"]).items()
        >= {
            "Name": "sent-01",
            "role": "sent",
            "triggerfish:member": "sent/1",
        }.items()
    )

    again = shared.data("send", "duplicate", "--group", "sent", "--count", "3")["instances"]
    assert set(again) <= set(launched)
    (rested,) = shared.data("send", "standby", "--group", "sent")["instances"]
    cause = "back from standby: what was provisioned stays so"
    eventually(lambda: cause in shared.causes(rested), "it is back from standby")
    assert shared.wait_for("sent", 2) == members
    assert len(shared.builds(GROUP="sent")) == 4
    story = shared.data("explain", rested)["transitions"]
    assert [one["to"] for one in story][0:2] == ["numbered", "named"]
    assert story[-1]["cause"] == cause

    (stranger,) = shared.data("send", "attach", "--group", "sent")["instances"]
    third = shared.wait_for("sent", 3)[2]
    assert (third["instance"], third["number"]) == (stranger, 3)

    told = shared.data("send", "terminate", "--group", "sent", "--instance", second["instance"])
    assert told == {"instances": [second["instance"]]}

    def replaced() -> list[dict[str, Any]] | None:
        found = shared.members("sent")
        alive = {one["instance"] for one in found}
        done = len(found) == 3 and second["instance"] not in alive
        return found if done and all(one["phase"] == "ready" for one in found) else None

    after = eventually(replaced, "the dead member is replaced")
    assert [one["number"] for one in after] == [1, 3, 4]  # 2 rests for the TTL of its name
    assert address_of(shared, second["domain"]) == []
    assert len(shared.builds(GROUP="sent")) == 8
    gone = [one for one in shared.data("members", "sent", "--gone") if one["phase"] == "gone"]
    assert [one["instance"] for one in gone] == [second["instance"]]


def test_forced_release_gives_the_number_to_the_next_one(shared: Up) -> None:
    members = shared.wait_for("cluster", 2)
    shared.data("send", "launch", "--group", "cluster")

    def waiting() -> dict[str, Any] | None:
        found = [one for one in shared.members("cluster") if one["number"] is None]
        return found[0] if found else None

    third = eventually(waiting, "the third server waits for a number of 1..2")
    assert third["reason"].startswith("waits for a free number of 1..2: 1 is held by ")
    refused = shared.command("release", "cluster", "2")
    assert refused.returncode == 1
    assert "--force frees the number all the same" in refused.stderr
    assert shared.command("release", "cluster", "2", "--force").returncode == 0

    def taken_over() -> bool:
        found = {one["instance"]: one for one in shared.members("cluster")}
        now = found[third["instance"]]
        return (now["number"], now["phase"]) == (2, "ready")

    eventually(taken_over, "the third server has number 2")
    assert address_of(shared, "cluster-02.internal.example.com") == [third["address"]]
    released = shared.causes(members[1]["instance"])
    assert any(one.startswith("number 2 released by force, by ") for one in released)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("launch", "--count", "1000", "--group", "cluster"),
            "error: send launch, group cluster: ValidationError: ",
        ),
        (
            ("terminate", "--group", "quiet", "--instance", "i-0123456789abcdef0"),
            "error: i-0123456789abcdef0 is not in group quiet\n",
        ),
        (("terminate", "--group", "quiet"), "error: group quiet has 0 members InService, wanted 1"),
        (("standby", "--group", "quiet"), "error: group quiet has 0 members InService, wanted 1"),
        (
            ("duplicate", "--group", "quiet"),
            "error: the local fleet refused duplicate: group quiet has published no launch yet\n",
        ),
    ],
)
def test_event_that_cannot_happen_is_refused_in_words(
    shared: Up, words: tuple[str, ...], said: str
) -> None:
    done = shared.command("send", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


def test_up_tells_what_happens(shared: Up) -> None:
    told = " cluster 1  ready     healthy in every target group\n"
    eventually(lambda: told in shared.said(), "`up` told of the member")
    assert "cluster-01.internal.example.com points at" in shared.said()
