"""State, outbox and findings in the table."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from tests.audit.world import make_finding
from triggerfish.audit.entries import Found, id_of
from triggerfish.audit.store import ClusterStore, FindingStore, State
from triggerfish.errors import Conflict
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.runtime.table import Absent, Put, Table

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LARGE = random.Random(1).randbytes(1_000_000)  # noqa: S311  no secret
"""What no compression makes fit an item."""


def make_found(**changes: object) -> Found:
    finding = make_finding(**changes)
    return Found(id=id_of(finding), finding=finding, found_at=NOON)


def store(table: Table | None = None) -> ClusterStore:
    return ClusterStore(table or MemoryTable(), "shop", ManualClock())


def parts(table: Table) -> int:
    return len(table.query("audit-parts#shop"))


def test_a_new_cluster_remembers_nothing() -> None:
    assert store().state() == State()


@pytest.mark.parametrize("data", [b"", b"{}", LARGE], ids=["none", "small", "large"])
def test_state_survives(data: bytes) -> None:
    kept = store()
    kept.commit(State(), data, (), (), "run-1")
    assert (kept.state().version, kept.state().data) == (1, data)


def test_a_state_that_is_replaced_leaves_nothing_behind() -> None:
    table = MemoryTable()
    kept = store(table)
    first = kept.commit(State(), LARGE, (), (), "run-1")
    assert parts(table) == 4
    second = kept.commit(first, LARGE[::-1], (), (), "run-2")
    assert parts(table) == 4
    kept.commit(second, b"small", (), (), "run-3")
    assert parts(table) == 0


def test_of_two_runs_with_one_state_the_second_writes_nothing() -> None:
    kept = store()
    kept.commit(State(), b"one", (), (), "run-1")
    with pytest.raises(Conflict):
        kept.commit(State(), b"two", [make_found()], (), "run-2")
    assert kept.state().data == b"one"
    assert kept.tell(lambda found: pytest.fail(str(found))) == 0


def test_a_commit_whose_answer_was_lost_is_taken_for_done() -> None:
    """botocore sends it again, and the condition then fails on our own write."""
    kept = store()
    kept.commit(State(), b"one", (), (), "run-1")
    assert kept.commit(State(), b"one", (), (), "run-1").version == 1


def test_state_and_what_goes_with_it_are_written_together_or_not_at_all() -> None:
    table = MemoryTable()
    table.write(Put({"pk": "x", "sk": "y"}))
    with pytest.raises(Conflict):
        store(table).commit(
            State(), b"one", [make_found()], [Put({"pk": "x", "sk": "y"}, Absent())], "run-1"
        )
    assert store(table).state() == State()


def test_what_was_found_waits_until_it_was_told() -> None:
    kept = store()
    first = kept.commit(State(), b"", [make_found()], (), "run-1")
    kept.commit(first, b"", [make_found(offset=9)], (), "run-2")

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kept.tell(fail)
    told: list[Found] = []
    assert kept.tell(told.extend) == 2
    assert [each.finding.offset for each in told] == [0, 9]
    assert kept.tell(told.extend) == 0


def test_a_large_outbox_lies_in_parts_and_they_go_with_it() -> None:
    table = MemoryTable()
    kept = store(table)
    letters = random.Random(2)  # noqa: S311  no secret
    many = [
        make_found(offset=n, statement="".join(letters.choices("abcdefgh0123", k=4000)))
        for n in range(400)
    ]
    kept.commit(State(), b"", many, (), "run-1")
    assert parts(table) > 1
    told: list[Found] = []
    kept.tell(told.extend)
    assert told == many
    assert parts(table) == 0


def test_tidying_deletes_what_a_dead_run_left_and_nothing_else() -> None:
    table = MemoryTable()
    kept = store(table)
    kept.commit(State(), LARGE, (), (), "run-1")
    with pytest.raises(Conflict):
        kept.commit(State(), LARGE[::-1], (), (), "run-2")
    assert parts(table) == 8
    assert kept.tidy() == 4
    assert kept.state().data == LARGE


# ---- findings ----


def test_findings_are_kept_by_the_day_of_what_happened() -> None:
    findings = FindingStore(MemoryTable(), retention_s=86_400)
    late = make_found(at=datetime(2026, 11, 23, 23, 59, tzinfo=UTC), offset=1)
    early = make_found(at=datetime(2026, 11, 23, 1, 0, tzinfo=UTC), offset=2)
    timeless = make_found(offset=3)
    for each in (late, early, timeless):
        findings.keep(each)
    assert findings.day("2026-11-23") == [early, late]
    assert findings.day("2026-11-24") == [timeless]


def test_a_finding_that_is_completed_takes_the_place_of_the_first() -> None:
    findings = FindingStore(MemoryTable(), retention_s=86_400)
    bare, known = make_found(at=NOON), make_found(at=NOON, actor="awsuser")
    findings.keep(bare)
    assert findings.holds(bare)
    assert not findings.holds(known)
    findings.keep(known)
    assert findings.day("2026-11-24") == [known]


def test_findings_expire_when_the_retention_ends() -> None:
    table = MemoryTable()
    FindingStore(table, retention_s=86_400).keep(make_found(at=NOON))
    (item,) = table.query("audit-findings#2026-11-24")
    assert item["expires_at"] == int(NOON.timestamp()) + 86_400
