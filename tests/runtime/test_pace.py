from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.local.fakes.clock import NOON, ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.runtime.pace import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.runtime.table import Write


def bucket(table: MemoryTable | None = None, clock: ManualClock | None = None) -> TokenBucket:
    return TokenBucket(table or MemoryTable(), "ec2:CreateTags", clock or ManualClock())


def test_a_new_bucket_is_full() -> None:
    fresh = bucket()
    assert [fresh.take(60), fresh.take(60), fresh.take(60)] == [60, 40, 0]


def test_it_refills_with_time_and_not_beyond_its_capacity() -> None:
    clock = ManualClock()
    paced = bucket(clock=clock)
    assert paced.take(100) == 100
    clock.advance(0.099)
    assert paced.take(100) == 0
    clock.advance(0.001)
    assert paced.take(100) == 1
    clock.advance(2)
    assert paced.take(5) == 5
    assert paced.take(100) == 15
    clock.advance(3600)
    assert paced.take(1000) == 100


def test_parts_of_tokens_are_not_lost() -> None:
    clock = ManualClock()
    paced = bucket(clock=clock)
    paced.take(100)
    granted = 0
    for _ in range(1000):
        clock.advance(0.017)
        granted += paced.take(1)
    assert granted == 170


def test_wanting_nothing_takes_nothing() -> None:
    table = MemoryTable()
    assert bucket(table).take(0) == 0
    assert table.query("pace") == []


def test_buckets_are_apart() -> None:
    table, clock = MemoryTable(), ManualClock()
    assert TokenBucket(table, "ec2:CreateTags", clock).take(100) == 100
    assert TokenBucket(table, "route53", clock).take(50, capacity=50) == 50


def test_time_going_backwards_refills_nothing() -> None:
    clock = ManualClock()
    paced = bucket(clock=clock)
    paced.take(100)
    clock.advance(-60)
    assert paced.take(1) == 0
    clock.advance(60)
    assert paced.take(1) == 0
    clock.advance(1)
    assert paced.take(100) == 10


class Crashing(MemoryTable):
    def after_write(self, writes: Sequence[Write]) -> None:
        raise ConnectionError(f"{len(writes)} written, the answer lost")


def test_a_crash_after_taking_grants_nothing_twice() -> None:
    table, clock = Crashing(), ManualClock()
    with pytest.raises(ConnectionError):
        bucket(table, clock).take(100)
    assert bucket(table, clock).take(100) == 0


class Contended(MemoryTable):
    """Somebody else takes a token just before each of the first `times` writes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def before_write(self, writes: Sequence[Write]) -> None:
        if writes and self._times:
            self._times -= 1
            times, self._times = self._times, 0
            assert TokenBucket(self, "ec2:CreateTags", ManualClock()).take(1) == 1
            self._times = times


def test_a_bucket_lost_to_others_is_tried_again_with_what_is_left() -> None:
    assert bucket(Contended(times=3)).take(100) == 97


def test_a_bucket_always_lost_to_others_grants_nothing() -> None:
    assert bucket(Contended(times=10)).take(100) == 0


@given(
    steps=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 150)), max_size=30),
    capacity=st.integers(1, 120),
    refill_per_s=st.integers(0, 40),
)
def test_never_more_than_capacity_and_what_refilled(
    steps: list[tuple[int, int]], capacity: int, refill_per_s: int
) -> None:
    clock = ManualClock()
    paced = bucket(clock=clock)
    granted = 0
    for wait_ms, wanted in steps:
        clock.advance(wait_ms / 1000)
        granted += paced.take(wanted, capacity=capacity, refill_per_s=refill_per_s)
        passed_ms = (clock.now() - NOON) // timedelta(milliseconds=1)
        assert granted * 1000 <= capacity * 1000 + passed_ms * refill_per_s


@given(seed=st.integers(0, 10_000))
def test_concurrent_workers_share_one_bucket(seed: int) -> None:
    """Eight workers with clocks apart take at once; together they stay within the bucket."""
    table = MemoryTable()
    rolled = random.Random(seed)  # noqa: S311 - a test's dice
    clocks = [ManualClock(NOON + timedelta(milliseconds=rolled.randrange(2000))) for _ in range(8)]
    start = threading.Barrier(8)

    def work(clock: ManualClock) -> int:
        start.wait()
        return sum(TokenBucket(table, "t", clock).take(9) for _ in range(5))

    with ThreadPoolExecutor(8) as pool:
        granted = sum(pool.map(work, clocks))

    assert 0 < granted * 1000 <= 100 * 1000 + 2000 * 10
