"""Read once, whatever is announced how often and wherever the function dies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.world import BUCKET, World, key_of
from triggerfish.audit.entries import ObjectKey
from triggerfish.audit.logfile import log_file

THREE = "fail bob\nfail bob\nok\nfail bob\n"


def test_an_announced_log_is_read_and_told() -> None:
    world = World()
    world.announce(world.put(THREE))
    assert world.times_told() == {("failed-login", "bob"): 1, ("brute-force", "bob"): 1}
    assert [each.count for each in world.told] == [3, 1]


@pytest.mark.parametrize("again", [1, 2, 5])
def test_the_same_event_again_changes_nothing(again: int) -> None:
    world = World()
    key = world.put(THREE)
    for _ in range(again + 1):
        world.announce(key, key)
    assert world.state() == {"bob": 3}
    assert world.opened == {key.key: 1}
    assert world.times_told() == {("failed-login", "bob"): 1, ("brute-force", "bob"): 1}


def test_an_event_without_a_version_is_the_object_that_was_read() -> None:
    """A listing names no version, and the object was read as one."""
    world = World()
    key = world.put(THREE, version="v1")
    world.announce(key)
    world.announce(ObjectKey(bucket=key.bucket, key=key.key, etag=key.etag))
    assert world.state() == {"bob": 3}
    assert world.ledger.waiting("shop") == []


def test_an_object_written_again_is_another_one() -> None:
    world = World()
    world.announce(world.put("fail bob\n"))
    world.announce(world.put("fail bob\nfail ann\n"))
    assert world.state() == {"ann": 1, "bob": 2}
    # The record at the same place of the same file was told already.
    assert world.times_told() == {("failed-login", "bob"): 1, ("failed-login", "ann"): 1}


def test_a_late_event_of_an_older_object_reads_what_is_there() -> None:
    world = World()
    old = world.put("fail bob\n")
    new = world.put("fail ann\n")
    world.announce(old)
    world.announce(new)
    assert world.state() == {"ann": 1}
    entries = world.ledger.day("shop", "2026-11-24")
    assert [entry.object for entry in entries] == [new]


def test_the_ledger_says_what_was_read() -> None:
    world = World()
    key = world.put(THREE)
    world.announce(key)
    (entry,) = world.ledger.day("shop", "2026-11-24")
    assert (entry.object, entry.status, entry.kind, entry.announced) == (
        key,
        "read",
        "connection",
        True,
    )
    assert (entry.totals.records, entry.totals.bytes, entry.totals.findings) == (4, 30, 4)
    assert world.ledger.clusters() == ["shop"]


def test_an_object_that_waits_is_asked_for_once() -> None:
    world = World()
    key = world.put(THREE)
    file = log_file(key.key)
    assert world.ledger.ask(file, key)
    assert not world.ledger.ask(file, key)
    assert [each.object for each in world.ledger.waiting("shop")] == [key]


def test_files_without_a_date_or_cluster_are_kept_in_the_ledger_too() -> None:
    world = World()
    key = world.put("fail bob\n", "copies/connectionlog.gz")
    world.announce(key)
    world.announce(key)
    assert world.ledger.clusters() == []
    assert world.ledger.partitions() == [""]
    assert [entry.object for entry in world.ledger.day("", "undated")] == [key]
    assert len(world.told) == 1


# ---- crashes ----


FILES = {
    key_of(at="2026-11-24T08:53"): "fail bob\nfail ann\n",
    key_of(at="2026-11-24T09:53"): "fail bob\nok\nfail eve\n",
    key_of(at="2026-11-24T10:53"): "fail bob\nfail ann\n",
}
EXPECTED = {
    ("failed-login", "bob"): 3,
    ("failed-login", "ann"): 2,
    ("failed-login", "eve"): 1,
    ("brute-force", "bob"): 1,
}


def filled() -> tuple[World, list[ObjectKey]]:
    world = World()
    return world, [world.put(text, key) for key, text in FILES.items()]


def check(world: World, crashes: int) -> None:
    """Each record counted once; each finding told, and again only where the run died telling it."""
    assert world.state() == {"ann": 2, "bob": 3, "eve": 1}
    assert {matter: len({each.id for each in found}) for matter, found in grouped(world)} == (
        EXPECTED
    )
    assert len(world.told) - sum(EXPECTED.values()) <= crashes
    days = world.ledger.day("shop", "2026-11-24")
    assert [entry.object.key for entry in days] == sorted(FILES)
    assert world.ledger.waiting("shop") == []
    assert world.table.query("audit#shop", "outbox#") == []


def grouped(world: World):  # type: ignore[no-untyped-def]  # noqa: ANN201
    matters: dict[tuple[str, str], list] = {}  # type: ignore[type-arg]
    for each in world.told:
        matters.setdefault((each.finding.rule, each.finding.user), []).append(each)
    return matters.items()


def calls_of_a_run() -> int:
    world, keys = filled()
    world.announce(*keys)
    return world.steps


@pytest.mark.parametrize("kill_at", range(calls_of_a_run()))
def test_a_run_killed_at_any_call_is_made_good_by_the_next(kill_at: int) -> None:
    world, keys = filled()
    assert not world.announce(*keys, kill_at=kill_at)
    world.settle(*keys)
    check(world, crashes=1)


@given(st.lists(st.integers(0, 120), max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_files_in_any_order_and_runs_killed_anywhere_tell_the_same(kills, random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    world, keys = filled()
    for kill_at in kills:
        some = random.sample(keys, random.randint(1, 3))
        world.announce(*some, kill_at=kill_at)
        world.clock.advance(random.choice((1, 60)))
    world.settle(*random.sample(keys, 3))
    check(world, crashes=len(kills))


def test_files_that_arrive_together_are_read_one_after_the_other() -> None:
    """The run that comes second leaves its file to the one that has the cluster."""
    world, keys = filled()
    first = world.engine.scan
    inside: list[bool] = []

    def scan_and_be_overtaken(*given):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
        if not inside:
            inside.append(True)
            world.announce(*keys[1:])
        return first(*given)

    world.engine.scan = scan_and_be_overtaken  # type: ignore[method-assign]
    world.announce(keys[0])
    check(world, crashes=0)


# ---- time ----


def test_a_long_file_is_read_on_by_the_next_invocation() -> None:
    world = World()
    key = world.put("fail bob\ngrind\nfail bob\ngrind\nfail bob\ngrind\nfail ann\n")
    world.announce(key, may=1)
    (waiting,) = world.ledger.waiting("shop")
    assert (waiting.offset, waiting.attempts) == (15, 0)
    assert world.wakes == ["shop"]
    while world.wakes:
        world.run(world.wakes.pop(), may=1)
    assert world.state() == {"ann": 1, "bob": 3}
    assert world.times_told() == {
        ("failed-login", "bob"): 3,
        ("failed-login", "ann"): 1,
        ("brute-force", "bob"): 1,
    }
    (entry,) = world.ledger.day("shop", "2026-11-24")
    assert (entry.totals.records, entry.totals.findings) == (7, 5)


@given(st.integers(0, 60), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_a_long_file_is_told_once_where_runs_die_in_the_middle(kill_at: int, may: int) -> None:
    world = World()
    key = world.put("fail bob\ngrind\nfail bob\ngrind\nfail bob\ngrind\nfail ann\n")
    crashes = int(not world.announce(key, kill_at=kill_at, may=may))
    world.clock.advance(60)
    world.announce(key, may=may)
    while world.wakes:
        world.run(world.wakes.pop(), may=may)
    world.settle(key)
    assert world.state() == {"ann": 1, "bob": 3}
    ids = {each.id for each in world.told if each.finding.rule == "brute-force"}
    assert len(ids) == 1
    assert len(world.told) - len({each.id for each in world.told}) <= crashes


def test_a_file_replaced_between_two_parts_is_said_and_read_anew() -> None:
    world = World()
    old = world.put("fail bob\ngrind\nfail bob\n")
    world.announce(old, may=1)
    new = world.put("fail ann\n")
    world.run()
    world.announce(new)
    assert world.state() == {"ann": 1, "bob": 1}
    assert [e.finding.facts for e in world.told if e.finding.rule == "unread-file"] == [
        (("Reason", f"{BUCKET}/{key_of()} was replaced while it was read"),)
    ]


# ---- what can't be read ----


def test_an_object_deleted_before_it_was_read_is_a_finding() -> None:
    world = World()
    key = world.put(THREE)
    del world.objects[key.key]
    world.announce(key)
    (told,) = world.told
    assert (told.finding.rule, told.finding.severity) == ("unread-file", "high")
    assert told.finding.facts == (
        ("Reason", f"{BUCKET}/{key_of()} was deleted before it was read"),
    )
    (entry,) = world.ledger.day("shop", "2026-11-24")
    assert entry.status == "unread"
    assert world.buried == []


def test_an_object_that_may_not_be_read_is_a_finding_and_a_dead_letter_once() -> None:
    world = World()
    key = world.put(THREE)
    world.forbidden.add(key.key)
    world.announce(key)
    world.announce(key)
    assert world.buried == [(key.key, f"{BUCKET}/{key_of()} may not be read: AccessDenied")]
    assert [told.finding.rule for told in world.told] == ["unread-file"]


def test_an_object_that_may_be_read_at_last_is_read() -> None:
    world = World()
    key = world.put(THREE)
    world.forbidden.add(key.key)
    world.announce(key)
    world.forbidden.clear()
    assert world.reconcile() == 1
    assert world.state() == {"bob": 3}
    assert world.ledger.day("shop", "2026-11-24")[0].status == "read"


def test_an_object_s3_cannot_give_now_waits_without_an_attempt_and_keeps_nobody_waiting() -> None:
    world, keys = filled()
    world.busy.add(keys[0].key)
    world.announce(*keys)
    (waiting,) = world.ledger.waiting("shop")
    assert (waiting.object, waiting.attempts) == (keys[0], 0)
    world.busy.clear()
    world.announce(keys[0])
    check(world, crashes=0)


def test_an_object_that_kills_every_run_is_given_up_and_keeps_nobody_waiting() -> None:
    world = World()
    poison = world.put("crash now\n", key_of(at="2026-11-24T08:53"))
    fine = world.put(THREE)
    with pytest.raises(ZeroDivisionError):
        world.announce(poison, fine)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            world.announce(poison)
        # What failed before comes last.
        assert world.state() == {"bob": 3}
    world.announce(poison)
    assert world.buried == [(poison.key, "reading it failed 4 times")]
    assert world.state() == {"bob": 3}


# ---- the hourly listing ----


def test_what_no_event_announced_is_found_within_the_hour() -> None:
    world = World()
    today, yesterday = key_of(at="2026-11-24T10:53"), key_of(at="2026-11-23T23:53")
    for key in (today, yesterday, key_of(at="2026-11-22T10:53"), "notes/readme.txt"):
        world.put("fail bob\n", key)
    assert world.reconcile() == 2
    assert world.reconcile() == 0
    read = [*world.ledger.day("shop", "2026-11-23"), *world.ledger.day("shop", "2026-11-24")]
    assert [(e.object.key, e.announced) for e in read] == [(yesterday, False), (today, False)]


def test_a_listing_does_not_read_again_what_an_event_announced() -> None:
    world = World()
    world.announce(world.put(THREE, version="v1"))
    assert world.reconcile() == 0
    assert world.opened == {key_of(): 1}


def test_other_clusters_than_the_configured_are_left_alone() -> None:
    from triggerfish.audit.config import Audit  # noqa: PLC0415

    world = World(audit=Audit(bucket=BUCKET, clusters=("shop",)))
    world.put("fail bob\n", key_of(cluster="other"))
    world.put("fail bob\n")
    assert world.reconcile() == 1
    assert world.ledger.clusters() == ["shop"]
