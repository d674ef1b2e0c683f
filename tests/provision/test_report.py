"""Members, their stories and notices as people and scripts read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.provision.conftest import NOW_MS, make_build, make_member, make_named
from triggerfish.provision import report
from triggerfish.provision.store import HistoryEntry

if TYPE_CHECKING:
    from triggerfish.provision.members import Member

KEYS = [
    *("group", "number", "instance", "generation", "name", "domain", "address", "zone"),
    *("phase", "attempts", "builds", "reason", "since"),
]


def test_member_has_exactly_the_keys_that_scripts_rely_on() -> None:
    assert list(report.member_data(make_member())) == KEYS


def test_member_with_builds() -> None:
    member = make_named(
        phase="building",
        builds=(
            make_build(number=7, result="FAILURE"),
            make_build(attempt=2, request_id="i-1.g1.infra/provision.a2", queue_id=9),
        ),
        reason="waits for an executor",
    )
    assert report.member_data(member) == {
        "group": "web",
        "number": 1,
        "instance": "i-1",
        "generation": 1,
        "name": "web-01",
        "domain": "web-01.internal.example.com",
        "address": "192.0.2.4",
        "zone": "eu-west-1a",
        "phase": "building",
        "attempts": 2,
        "builds": [
            {
                "job": "infra/provision",
                "number": 7,
                "generation": 1,
                "attempt": 1,
                "result": "FAILURE",
            },
            {
                "job": "infra/provision",
                "number": None,
                "generation": 1,
                "attempt": 2,
                "result": None,
            },
        ],
        "reason": "waits for an executor",
        "since": "2026-11-24T11:59:50.000Z",
    }


def test_member_that_was_just_seen() -> None:
    member = make_member(number=None, name="", domain="", phase="seen")
    told = report.member_data(member)
    assert (told["number"], told["address"], told["attempts"], told["builds"]) == (
        None,
        None,
        0,
        [],
    )


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (NOW_MS + 5, "2026-11-24T12:00:00.005Z"),
        (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
    ],
)
def test_times_are_utc_to_the_millisecond(milliseconds: int, text: str) -> None:
    assert report.iso(milliseconds) == text


def test_members_are_ordered_by_group_and_number_and_those_without_come_last() -> None:
    def member(group: str, number: int | None, instance: str, seen_ms: int = 0) -> Member:
        return make_member(instance, group=group, number=number, seen_ms=seen_ms)

    mixed = [
        member("web", None, "late", 2),
        member("web", None, "early", 1),
        member("web", 10, "ten"),
        member("web", 2, "two"),
        member("search", 3, "three"),
    ]
    ordered = [each.instance for each in report.in_order(mixed)]
    assert ordered == ["three", "two", "ten", "early", "late"]


def test_story_is_told_transition_by_transition() -> None:
    entry = HistoryEntry(
        at_ms=NOW_MS,
        group="web",
        instance="i-1",
        generation=1,
        number=1,
        from_phase="",
        to_phase="numbered",
        cause="number 1 was the lowest free",
    )
    assert report.history_data([entry]) == [
        {
            "at": "2026-11-24T12:00:00.000Z",
            "group": "web",
            "generation": 1,
            "number": 1,
            "from": None,
            "to": "numbered",
            "cause": "number 1 was the lowest free",
        }
    ]


def test_summary_counts_and_names_those_that_failed() -> None:
    failed = make_member("i-3", phase="failed", reason="app/deploy #8 ended FAILURE")
    members = [
        make_member("i-1", phase="ready"),
        make_member("i-2", phase="building"),
        failed,
        make_member("i-4", phase="leaving"),
    ]
    assert report.summary("web", members) == {
        "group": "web",
        "members": 4,
        "ready": 1,
        "on_the_way": 1,
        "failed": [report.member_data(failed)],
    }


def test_notice_as_data() -> None:
    item = {
        "pk": "notices",
        "sk": "provision/web/i-1/failed",
        "at_ms": NOW_MS,
        "severity": "warning",
        "title": "web-01 of web was not provisioned",
        "facts": [["Reason", "it failed"]],
    }
    assert report.notice_data(item) == {
        "at": "2026-11-24T12:00:00.000Z",
        "severity": "warning",
        "title": "web-01 of web was not provisioned",
        "facts": [["Reason", "it failed"]],
    }


def test_notice_of_a_later_release_is_shown_as_far_as_it_is_known() -> None:
    assert report.notice_data({"title": "t"}) == {
        "at": None,
        "severity": None,
        "title": "t",
        "facts": None,
    }
