"""What a state table promises: the same tests on the one in memory and on DynamoDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triggerfish.errors import Conflict, InputError, Refused
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.runtime.table import (
    Absent,
    And,
    AtMost,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    DynamoTable,
    Equals,
    Item,
    Lacks,
    OneOf,
    Or,
    Present,
    Put,
    Table,
    Update,
    Value,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(params=["memory", pytest.param("dynamo", marks=pytest.mark.cloud)])
def table(request: pytest.FixtureRequest) -> Table:
    if request.param == "memory":
        return MemoryTable()
    dynamo: DynamoTable = request.getfixturevalue("dynamo_table")
    return dynamo


def item(sk: str = "s", **fields: Value) -> Item:
    return {"pk": "p", "sk": sk, **fields}


def test_an_item_that_is_not_there_is_none(table: Table) -> None:
    assert table.get("p", "s") is None
    assert table.query("p") == []


def test_what_is_put_is_what_is_read(table: Table) -> None:
    written = item(
        text="Grüße 🐠",
        empty="",
        number=-7,
        huge=10**37,
        zero=0,
        yes=True,
        nothing=None,
        raw=b"\x00\xff",
        listed=["a", 1, None, [], {"deep": {"er": False}}],
        mapped={},
    )

    table.write(Put(written))

    assert table.get("p", "s") == written
    assert table.query("p") == [written]


def test_a_tuple_is_read_as_a_list(table: Table) -> None:
    table.write(Put(item(pair=(1, "two"))))
    assert table.get("p", "s") == item(pair=[1, "two"])


def test_truth_and_one_are_not_confused(table: Table) -> None:
    table.write(Put(item(truth=True, one=1)))
    read = table.get("p", "s") or {}
    assert read["truth"] is True
    assert type(read["one"]) is int


def test_put_replaces_the_whole_item(table: Table) -> None:
    table.write(Put(item(old=1)))
    table.write(Put(item(new=2)))
    assert table.get("p", "s") == item(new=2)


def test_what_is_read_is_not_what_is_stored(table: Table) -> None:
    table.write(Put(item(builds=[1])))
    read = table.get("p", "s") or {}
    read["builds"] = "changed"
    assert table.get("p", "s") == item(builds=[1])


def test_query_orders_by_sk_and_keeps_to_its_partition(table: Table) -> None:
    for sk in ("slot#2", "slot#10", "inst#a", "é", "z"):
        table.write(Put(item(sk)))
    table.write(Put({"pk": "other", "sk": "slot#1"}))

    assert [each["sk"] for each in table.query("p")] == ["inst#a", "slot#10", "slot#2", "z", "é"]
    assert [each["sk"] for each in table.query("p", "slot#")] == ["slot#10", "slot#2"]
    assert table.query("p", "nothing#") == []


def test_query_returns_all_pages(table: Table) -> None:
    """DynamoDB answers at most 1 MB at a time."""
    for number in range(6):
        table.write(Put(item(f"{number}", text="x" * 300_000)))
    assert [each["sk"] for each in table.query("p")] == ["0", "1", "2", "3", "4", "5"]


HELD: Item = {"state": "held", "version": 3, "until": 100, "on": True, "null": None}

CONDITIONS: list[tuple[Condition, bool, bool]] = [
    # condition, holds for HELD, holds where there is no item
    (Absent(), False, True),
    (Present(), True, False),
    (Equals({"state": "held"}), True, False),
    (Equals({"state": "held", "version": 3}), True, False),
    (Equals({"state": "held", "version": 4}), False, False),
    (Equals({"version": "3"}), False, False),
    (Equals({"on": 1}), False, False),
    (Equals({"null": None}), True, False),
    (Equals({"missing": None}), False, False),
    (OneOf("state", ("free", "held")), True, False),
    (OneOf("state", ("free",)), False, False),
    (OneOf("missing", (None,)), False, False),
    (AtMost("until", 100), True, False),
    (AtMost("until", 99), False, False),
    (AtMost("state", 1000), False, False),
    (AtMost("missing", 1000), False, False),
    (Lacks("missing"), True, True),
    (Lacks("until"), False, True),
    (Or(Absent(), Equals({"state": "held"})), True, True),
    (Or(Absent(), OneOf("state", ("free", "gone"))), False, True),
    (And(Present(), AtMost("until", 500)), True, False),
    (And(Or(Absent(), Present()), Equals({"version": 9})), False, False),
    (Or(Lacks("until"), AtMost("until", 50)), False, True),
    (And(Equals({"on": True}), Or(Equals({"version": 1}), Equals({"version": 3}))), True, False),
]


@pytest.mark.parametrize(("condition", "on_item", "on_nothing"), CONDITIONS, ids=str)
def test_conditions(
    table: Table,
    condition: Condition,
    on_item: bool,  # noqa: FBT001 - a table of cases
    on_nothing: bool,  # noqa: FBT001 - a table of cases
) -> None:
    table.write(Put(item("held", **HELD)))

    assert happens(table, Put(item("held", won=True), condition)) is on_item
    assert happens(table, Put(item("nothing", won=True), condition)) is on_nothing


def happens(table: Table, write: Put) -> bool:
    try:
        table.write(write)
    except ConditionFailed:
        return False
    return True


def test_a_lost_condition_says_what_is_there_now(table: Table) -> None:
    table.write(Put(item(owner="i-1")))

    with pytest.raises(ConditionFailed) as failure:
        table.write(Put(item(owner="i-2"), Absent()))

    assert failure.value.current == (item(owner="i-1"),)
    assert failure.value.failed == (0,)
    assert str(failure.value) == "somebody else changed the state first: 'p' 's'"
    assert isinstance(failure.value, Conflict)
    assert table.get("p", "s") == item(owner="i-1")


def test_a_lost_condition_on_nothing_says_nothing_is_there(table: Table) -> None:
    with pytest.raises(ConditionFailed) as failure:
        table.write(Update("p", "s", set={"a": 1}, condition=Present()))
    assert failure.value.current == (None,)


def test_update_changes_some_attributes_and_keeps_the_rest(table: Table) -> None:
    table.write(Put(item(kept=1, changed=1, removed=1, counted=1)))

    table.write(
        Update(
            "p",
            "s",
            set={"changed": [2], "name": "reserved word"},
            remove=("removed", "never there"),
            add={"counted": 4, "begun": -2},
        )
    )

    assert table.get("p", "s") == item(
        kept=1, changed=[2], name="reserved word", counted=5, begun=-2
    )


def test_update_makes_an_item_that_is_not_there(table: Table) -> None:
    table.write(Update("p", "s", add={"count": 1}))
    assert table.get("p", "s") == item(count=1)


def test_adding_to_text_is_refused(table: Table) -> None:
    table.write(Put(item(name="web")))
    with pytest.raises(Refused):
        table.write(Update("p", "s", add={"name": 1}))


@pytest.mark.parametrize(
    ("changed", "removed"),
    [({}, ()), ({"a": 1}, ("a",)), ({"sk": "other"}, ())],
    ids=["nothing", "one attribute twice", "a key"],
)
def test_an_update_names_each_attribute_once_and_no_key(
    changed: dict[str, Value], removed: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="an update names each attribute once, and no key"):
        Update("p", "s", set=changed, remove=removed)


def test_delete_removes_and_is_content_with_nothing(table: Table) -> None:
    table.write(Put(item(owner="i-1")))
    table.write(Delete("p", "s"))
    table.write(Delete("p", "s"))
    assert table.get("p", "s") is None


def test_a_conditional_delete_spares_another_owner(table: Table) -> None:
    table.write(Put(item(owner="i-2")))
    with pytest.raises(ConditionFailed):
        table.write(Delete("p", "s", Equals({"owner": "i-1"})))
    assert table.get("p", "s") == item(owner="i-2")


def test_a_transaction_writes_all(table: Table) -> None:
    table.write(Put(item("deleted")))
    table.write(Put(item("checked", version=1)))

    table.transact(
        [
            Put(item("slot", owner="i-1"), Absent()),
            Update("p", "member", set={"slot": 1}, condition=Absent()),
            Delete("p", "deleted"),
            Check("p", "checked", Equals({"version": 1})),
        ]
    )

    assert table.query("p") == [
        item("checked", version=1),
        item("member", slot=1),
        item("slot", owner="i-1"),
    ]


def test_a_transaction_writes_nothing_when_one_condition_fails(table: Table) -> None:
    table.write(Put(item("slot", owner="i-9")))

    with pytest.raises(ConditionFailed) as failure:
        table.transact(
            [
                Put(item("member", slot=1), Absent()),
                Put(item("slot", owner="i-1"), Absent()),
                Check("p", "checked", Present()),
            ]
        )

    assert failure.value.failed == (1, 2)
    assert failure.value.current == (None, item("slot", owner="i-9"), None)
    assert table.query("p") == [item("slot", owner="i-9")]


def test_a_transaction_of_one_says_the_same(table: Table) -> None:
    table.write(Put(item(owner="i-9")))
    with pytest.raises(ConditionFailed) as failure:
        table.transact([Put(item(owner="i-1"), Absent())])
    assert (failure.value.failed, failure.value.current) == ((0,), (item(owner="i-9"),))


def test_a_check_alone_is_a_transaction_too(table: Table) -> None:
    table.transact([Check("p", "s", Absent())])
    with pytest.raises(ConditionFailed):
        table.transact([Check("p", "s", Present())])


def test_an_empty_transaction_does_nothing(table: Table) -> None:
    table.transact([])
    assert table.query("p") == []


def test_a_transaction_takes_100_writes_and_no_more(table: Table) -> None:
    puts = [Put(item(f"{number:03}")) for number in range(101)]
    table.transact(puts[:100])
    assert len(table.query("p")) == 100
    with pytest.raises(ValueError, match="101 writes, a transaction takes 100"):
        table.transact(puts)


def test_a_transaction_writes_an_item_once(table: Table) -> None:
    with pytest.raises(ValueError, match="a transaction writes one item twice"):
        table.transact([Put(item()), Check("p", "s", Absent())])


BAD_VALUES: list[tuple[str, object, str]] = [
    ("float", 1.5, "attribute 'x': a value of type float, which the table does not take"),
    ("set", {1}, "attribute 'x': a value of type set, which the table does not take"),
    ("39 digits", 10**38, "attribute 'x': a number of more than 38 digits"),
    (
        "surrogate",
        "\ud800",
        "attribute 'x': text that is not valid Unicode: surrogates not allowed",
    ),
    ("number as key", {1: 2}, "attribute 'x': a map with a key that is not text"),
]


@pytest.mark.parametrize(
    ("value", "message"), [case[1:] for case in BAD_VALUES], ids=[case[0] for case in BAD_VALUES]
)
def test_values_the_table_does_not_take_are_refused(
    table: Table, value: Value, message: str
) -> None:
    for write in (Put(item(x=value)), Update("p", "s", set={"x": value})):
        with pytest.raises(InputError) as failure:
            table.write(write)
        assert str(failure.value) == message
    assert table.get("p", "s") is None


def test_nesting_deeper_than_dynamodb_takes_is_refused(table: Table) -> None:
    deep: Value = 1
    for _ in range(31):
        deep = [deep]
    table.write(Put(item(x=deep)))
    with pytest.raises(InputError, match="nested deeper than 31 levels"):
        table.write(Put(item(x=[deep])))


@pytest.mark.parametrize(
    ("pk", "sk", "message"),
    [
        ("", "s", "the key pk is '', wanted text that is not empty"),
        ("p", "", "the key sk is '', wanted text that is not empty"),
        ("p" * 2049, "s", "the key pk is 2,049 bytes, DynamoDB takes 2,048"),
        ("p", "é" * 513, "the key sk is 1,026 bytes, DynamoDB takes 1,024"),
    ],
    ids=["empty pk", "empty sk", "long pk", "long sk"],
)
def test_keys_are_text_of_a_bounded_size(table: Table, pk: str, sk: str, message: str) -> None:
    with pytest.raises(InputError) as failure:
        table.get(pk, sk)
    assert str(failure.value) == message
    with pytest.raises(InputError) as failure:
        table.write(Put({"pk": pk, "sk": sk}))
    assert str(failure.value) == message


def test_a_put_needs_its_keys(table: Table) -> None:
    with pytest.raises(InputError, match="the key sk is None"):
        table.write(Put({"pk": "p"}))


def test_an_item_is_at_most_400_kb(table: Table) -> None:
    most = 400 * 1024 - len("pk" + "p" + "sk" + "s" + "x")
    table.write(Put(item(x="a" * most)))
    with pytest.raises(InputError) as failure:
        table.write(Put(item(x="a" * (most + 1))))
    assert str(failure.value) == "the item is 409,601 bytes, DynamoDB takes 409,600"


def test_an_update_can_not_grow_an_item_over_400_kb(table: Table) -> None:
    table.write(Put(item(x="a" * 300_000)))
    with pytest.raises(InputError):
        table.write(Update("p", "s", set={"y": "b" * 200_000}))
    with pytest.raises(InputError):
        table.transact([Update("p", "s", set={"y": "b" * 200_000}), Put(item("other"))])
    assert [each["sk"] for each in table.query("p")] == ["s"]


def test_conditional_writes_of_many_workers_lose_nothing(table: Table) -> None:
    """Ten workers each add one to a version they read: every success counts exactly once."""
    table.write(Put(item(version=0)))

    def add_one(_: int) -> None:
        while True:
            version = (table.get("p", "s") or {})["version"]
            assert isinstance(version, int)
            try:
                table.write(
                    Update(
                        "p",
                        "s",
                        set={"version": version + 1},
                        condition=Equals({"version": version}),
                    )
                )
            except ConditionFailed:
                continue
            return

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(add_one, range(30)))

    assert table.get("p", "s") == item(version=30)


# ---- the two tables agree, whatever is done to them ----

KEYS = st.sampled_from(["a", "b", "c"])
NAMES = st.sampled_from(["x", "y"])
VALUES = st.sampled_from([None, True, False, 0, 1, 7, "", "1", "free", [1], {"x": 1}])
LEAVES = st.one_of(
    st.sampled_from([Absent(), Present(), Lacks("x"), Lacks("y")]),
    st.dictionaries(NAMES, VALUES, min_size=1).map(Equals),
    st.tuples(NAMES, st.lists(VALUES, min_size=1, max_size=3)).map(lambda two: OneOf(*two)),
    st.tuples(NAMES, st.integers(-1, 8)).map(lambda two: AtMost(*two)),
)
ANY_CONDITION = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, inner).map(lambda two: And(*two))
        | st.tuples(inner, inner).map(lambda two: Or(*two))
    ),
    max_leaves=4,
)
MAYBE = st.none() | ANY_CONDITION
WRITES = st.one_of(
    st.builds(
        lambda sk, fields, condition: Put({"pk": "p", "sk": sk, **fields}, condition),
        KEYS,
        st.dictionaries(NAMES, VALUES),
        MAYBE,
    ),
    st.builds(
        lambda sk, value, condition: Update(
            "p", sk, set={"x": value}, remove=("y",), add={"n": 1}, condition=condition
        ),
        KEYS,
        VALUES,
        MAYBE,
    ),
    st.builds(lambda sk, condition: Delete("p", sk, condition), KEYS, MAYBE),
    st.builds(lambda sk, condition: Check("p", sk, condition), KEYS, ANY_CONDITION),
)
TRANSACTIONS = st.lists(
    WRITES,
    min_size=1,
    max_size=3,
    unique_by=lambda write: write.sk if not isinstance(write, Put) else write.item["sk"],
)


def outcome(table: Table, writes: Sequence[Write]) -> object:
    try:
        table.transact(writes)
    except ConditionFailed as failure:
        return failure.failed, failure.current
    return "written"


@pytest.mark.cloud
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(transactions=st.lists(TRANSACTIONS, max_size=6))
def test_memory_and_dynamodb_agree(
    dynamo_table: DynamoTable, transactions: list[list[Write]]
) -> None:
    memory = MemoryTable()
    for each in dynamo_table.query("p"):
        dynamo_table.write(Delete("p", str(each["sk"])))

    for writes in transactions:
        assert outcome(memory, writes) == outcome(dynamo_table, writes)
        assert memory.query("p") == dynamo_table.query("p")
