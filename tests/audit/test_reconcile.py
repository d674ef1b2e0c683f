"""Every hour: silence is a finding, and what no event announced is read (see `test_ledger`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.audit.world import BUCKET, World, key_of
from triggerfish.audit.config import Audit
from triggerfish.audit.inputs import is_wanted
from triggerfish.audit.logfile import log_file
from triggerfish.audit.reconcile import silences
from triggerfish.audit.rule_files import built_in

RULES = tuple(each.rule() for each in built_in())
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def heard(world: World, *hours: int, kind: str = "connectionlog") -> None:
    for hour in hours:
        world.announce(world.put("ok\n", key_of(kind, f"2026-11-24T{hour:02}:53")))


def said(world: World, now: datetime = NOON) -> list[tuple[str, str]]:
    found = silences(world.audit, RULES, world.table, world.ledger, now)
    return [(each.cluster, each.title.partition(": ")[2]) for each in found]


def test_three_hours_without_a_connection_log_are_silence() -> None:
    world = World()
    heard(world, 5, 6, 7, 8)
    heard(world, 5, 6, 7, 8, kind="useractivitylog")
    assert said(world, NOON - timedelta(minutes=30)) == []
    assert said(world) == [("shop", "no connection log")]


def test_the_same_silence_has_the_same_key_an_hour_later() -> None:
    world = World()
    heard(world, 5, 6)
    heard(world, 5, 6, kind="useractivitylog")
    keys = {
        each.key
        for hours in range(4)
        for each in silences(
            world.audit, RULES, world.table, world.ledger, NOON + timedelta(hours=hours)
        )
    }
    assert len(keys) == 1


def test_an_activity_log_that_stops_while_connections_go_on_is_silence() -> None:
    world = World()
    heard(world, *range(4, 12))
    heard(world, 4, 5, kind="useractivitylog")
    assert said(world) == [("shop", "no user activity log while connections go on")]


def test_a_gap_in_the_hours_is_silence() -> None:
    world = World()
    heard(world, 2, 3, 6, 7, 8, 9, 10, 11)
    heard(world, *range(2, 12), kind="useractivitylog")
    assert said(world) == [("shop", "a gap in the hours")]


def test_a_cluster_that_is_named_and_never_heard_of_is_silent() -> None:
    world = World(audit=Audit(bucket=BUCKET, clusters=("shop", "other")))
    heard(world, 9, 10, 11)
    heard(world, 9, 10, 11, kind="useractivitylog")
    assert said(world) == []
    assert said(world, NOON + timedelta(hours=2)) == []
    heard(world, 12, 13, 14)
    heard(world, 12, 13, 14, kind="useractivitylog")
    assert said(world, NOON + timedelta(hours=3)) == [("other", "no connection log")]


def test_a_bucket_that_nothing_ever_came_from_is_silent() -> None:
    world = World()
    assert said(world) == []
    assert said(world, NOON + timedelta(hours=3)) == [("", "no connection log")]


def test_clusters_that_are_not_named_may_be_silent() -> None:
    world = World()
    heard(world, 5)
    world.audit = Audit(bucket=BUCKET, clusters=("other",))
    assert [cluster for cluster, _ in said(world)] == []


def test_logs_are_wanted_wherever_they_lie_and_odd_names_among_redshifts_own() -> None:
    audit = Audit(bucket=BUCKET, clusters=("shop",))
    wanted = {
        key: is_wanted(log_file(key), key, audit)
        for key in (
            key_of(),
            f"copies/{key_of().rpartition('/')[2]}",
            key_of(cluster="other"),
            "AWSLogs/123456789012/redshift/eu-central-1/2026/11/24/odd.gz",
            "AWSLogs/123456789012/CloudTrail/eu-central-1/2026/11/24/trail.json.gz",
            "notes.txt",
        )
    }
    assert list(wanted.values()) == [True, True, False, True, False, False]
