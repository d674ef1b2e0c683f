from __future__ import annotations

from triggerfish.local.fleet.throttle import Limit, Throttle
from triggerfish.local.fleet.timers import Timers


def test_timers_come_in_the_order_of_their_time_and_then_of_their_making() -> None:
    timers = Timers()
    timers.add(2.0, "gone", "late")
    timers.add(1.0, "running", "first")
    timers.add(1.0, "reconcile", "second")
    assert timers.next_due() == 1.0
    assert timers.pop_due(0.5) is None
    assert timers.pop_due(1.0) == ("running", "first")
    assert timers.pop_due(1.0) == ("reconcile", "second")
    assert timers.pop_due(1.0) is None
    assert len(timers) == 1
    assert timers.pop_due(9.0) == ("gone", "late")
    assert timers.next_due() is None


def test_a_bucket_holds_its_burst_and_regains_its_rate() -> None:
    throttle = Throttle()
    limit = Limit(capacity=3, refill_per_s=2)
    assert [throttle.admit("CreateTags", limit, 0.0) for _ in range(4)] == [True] * 3 + [False]
    assert [throttle.admit("CreateTags", limit, 1.0) for _ in range(3)] == [True, True, False]
    assert [throttle.admit("CreateTags", limit, 99.0) for _ in range(4)] == [True] * 3 + [False]
    assert throttle.refused == {"CreateTags": 3}


def test_a_changed_limit_starts_full_and_no_limit_admits_everything() -> None:
    throttle = Throttle()
    assert throttle.admit("CreateTags", Limit(capacity=1, refill_per_s=0), 0.0)
    assert not throttle.admit("CreateTags", Limit(capacity=1, refill_per_s=0), 0.0)
    assert throttle.admit("CreateTags", Limit(capacity=2, refill_per_s=0), 0.0)
    assert throttle.admit("DescribeInstances", None, 0.0)
