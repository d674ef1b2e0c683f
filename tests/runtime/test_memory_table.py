"""What only the table in memory has: places to inject a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from triggerfish.errors import Refused, Unavailable
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.runtime.table import Absent, ConditionFailed, Equals, OneOf, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.runtime.table import Write

ITEM = {"pk": "p", "sk": "s"}


def test_a_fault_before_a_write_means_it_never_happened() -> None:
    class Down(MemoryTable):
        def before_write(self, writes: Sequence[Write]) -> None:
            raise Unavailable(f"{len(writes)} not written")

    table = Down()
    with pytest.raises(Unavailable, match="1 not written"):
        table.write(Put(ITEM))
    assert table.get("p", "s") is None


def test_a_fault_after_a_write_loses_only_the_answer() -> None:
    class Lossy(MemoryTable):
        def after_write(self, writes: Sequence[Write]) -> None:
            raise Unavailable(f"{len(writes)} written")

    table = Lossy()
    with pytest.raises(Unavailable, match="1 written"):
        table.transact([Put(ITEM)])
    assert table.get("p", "s") == ITEM


def test_a_competitor_may_write_in_between() -> None:
    class Contended(MemoryTable):
        competing = False

        def before_write(self, writes: Sequence[Write]) -> None:
            if not self.competing:
                self.competing = bool(writes)
                self.write(Put({**ITEM, "owner": "the other"}))

    with pytest.raises(ConditionFailed) as failure:
        Contended().write(Put({**ITEM, "owner": "me"}, Absent()))
    assert failure.value.current == ({**ITEM, "owner": "the other"},)


def test_a_transaction_is_at_most_4_mb() -> None:
    table = MemoryTable()
    puts = [Put({"pk": "p", "sk": f"{number}", "x": "a" * 400_000}) for number in range(11)]
    with pytest.raises(Refused, match="larger than DynamoDB's 4 MB"):
        table.transact(puts)
    assert table.query("p") == []


def test_conditions_name_something() -> None:
    with pytest.raises(ValueError, match="Equals needs at least one attribute"):
        Equals({})
    with pytest.raises(ValueError, match="OneOf takes 1 to 100 values, found 0"):
        OneOf("state", [])
