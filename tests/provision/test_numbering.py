from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from tests.provision.conftest import MINUTE, NOW_MS, S, make_machine, make_member, make_seen
from tests.provision.world import make_group
from triggerfish.durations import Duration
from triggerfish.provision.instructions import Assign, Change, Save
from triggerfish.provision.members import Slot
from triggerfish.provision.numbering import free_numbers, plan_numbers
from triggerfish.templates import Template

if TYPE_CHECKING:
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.members import Member
    from triggerfish.provision.observation import Machine

WEB = make_group(ttl=Duration(60))
SEARCH = make_group(group="search", mode="stateful", size=3)


def newcomer(instance: str = "i-1", **changes: Any) -> tuple[None, Member]:
    waiting = {"phase": "seen", "number": None, "name": "", "domain": "", "version": 0}
    return None, make_member(instance, **{**waiting, **changes})


def held(number: int, **changes: Any) -> Slot:
    return Slot(**{"number": number, "instance": f"i-old{number}", "generation": 1, **changes})


def given(
    *newcomers: tuple[None, Member],
    group: ProvisionGroup = WEB,
    slots: tuple[Slot, ...] = (),
    machines: dict[str, Machine] | None = None,
) -> dict[str, int | None]:
    """Who gets which number."""
    seen = make_seen({}, machines=machines or {})
    plan = plan_numbers(group, newcomers, {slot.number: slot for slot in slots}, seen)
    return {i.change.after.instance: i.change.after.number for i in plan}


def test_the_first_member_gets_number_1() -> None:
    assert given(newcomer()) == {"i-1": 1}


def test_the_lowest_free_number_comes_first() -> None:
    assert given(newcomer(), slots=(held(1), held(2))) == {"i-1": 3}


def test_a_gap_is_filled_before_the_end() -> None:
    slots = (held(1), held(2, instance=""), held(3))
    assert given(newcomer(), slots=slots) == {"i-1": 2}


def test_several_newcomers_fill_the_gaps_and_go_on_behind() -> None:
    slots = (held(1), held(3), held(5))
    machines = {f"i-{n}": make_machine(launched_ms=NOW_MS + n) for n in (1, 2, 3)}
    numbers = given(
        newcomer("i-1"), newcomer("i-2"), newcomer("i-3"), slots=slots, machines=machines
    )
    assert numbers == {"i-1": 2, "i-2": 4, "i-3": 6}


def test_a_burst_is_numbered_in_the_order_of_launch() -> None:
    machines = {
        "i-a": make_machine(launched_ms=NOW_MS),
        "i-b": make_machine(launched_ms=NOW_MS - 2 * S),
        "i-c": make_machine(launched_ms=NOW_MS - S),
    }
    numbers = given(newcomer("i-a"), newcomer("i-b"), newcomer("i-c"), machines=machines)
    assert numbers == {"i-b": 1, "i-c": 2, "i-a": 3}


def test_those_launched_at_one_moment_are_numbered_by_instance() -> None:
    """AWS gives a second, not less: without a second key two runs would decide differently."""
    machines = {name: make_machine() for name in ("i-b", "i-a")}
    assert given(newcomer("i-b"), newcomer("i-a"), machines=machines) == {"i-a": 1, "i-b": 2}


def test_an_instance_that_ec2_does_not_show_yet_is_numbered_after_the_others() -> None:
    numbers = given(newcomer("i-a"), newcomer("i-b"), machines={"i-b": make_machine()})
    assert numbers == {"i-b": 1, "i-a": 2}


@pytest.mark.parametrize(
    ("free_ms", "number"),
    [(NOW_MS + 1, 2), (NOW_MS, 1), (NOW_MS - MINUTE, 1)],
    ids=["it still rests", "its rest just ended", "its rest is over"],
)
def test_a_freed_number_is_given_again_only_after_its_rest(free_ms: int, number: int) -> None:
    assert given(newcomer(), slots=(Slot(number=1, free_ms=free_ms),)) == {"i-1": number}


def test_number_and_holder_are_written_as_one() -> None:
    before, member = newcomer(zone="eu-west-1b")
    free = Slot(number=1, free_ms=NOW_MS - S, zone="eu-west-1a", version=4)
    (assign,) = plan_numbers(WEB, [(before, member)], {1: free}, make_seen({}))
    after = make_member(phase="numbered", zone="eu-west-1b", number=1, since_ms=NOW_MS, version=0)
    assert assign == Assign(
        Change(None, after, "number 1 was the lowest free"),
        free,
        Slot(number=1, instance="i-1", generation=1, zone="eu-west-1b", version=4),
    )


def test_name_and_domain_are_made_from_the_number() -> None:
    group = make_group(
        name=Template("{group}-{number:03}"),
        domain=Template("n{number}-{az}-{instance}.internal.example.com"),
    )
    (assign,) = plan_numbers(group, [newcomer("i-0abc")], {}, make_seen({}))
    assert assign.change.after.name == "web-001"
    assert assign.change.after.domain == "n1-eu-west-1a-i-0abc.internal.example.com"


def test_an_address_that_a_forced_release_left_behind_goes_to_the_new_holder() -> None:
    """The new owner replaces just that address, and nobody else's."""
    left = Slot(number=1, recorded="192.0.2.99", version=2)
    (assign,) = plan_numbers(WEB, [newcomer()], {1: left}, make_seen({}))
    assert isinstance(assign, Assign)
    assert assign.change.after.recorded == "192.0.2.99"
    assert assign.slot_after.recorded is None


# --- stateful ----------------------------------------------------------------------------------


def test_an_elastic_group_has_endless_numbers_and_a_stateful_one_its_size() -> None:
    assert list(islice(free_numbers(WEB, {}, NOW_MS), 4)) == [1, 2, 3, 4]
    assert list(free_numbers(SEARCH, {2: held(2)}, NOW_MS)) == [1, 3]


def test_in_a_stateful_group_one_more_than_its_size_waits() -> None:
    before, member = newcomer("i-9")
    slots = {number: held(number) for number in (1, 2, 3)}
    (save,) = plan_numbers(SEARCH, [(before, member)], slots, make_seen({}))
    reason = (
        "waits for a free number of 1..3: "
        "1 is held by i-old1, 2 is held by i-old2, 3 is held by i-old3"
    )
    waiting = make_member(
        "i-9", phase="seen", number=None, name="", domain="", version=0, reason=reason
    )
    assert save == Save(Change(None, waiting, reason))


def test_a_replacement_takes_number_and_name_of_the_dead() -> None:
    slots = {1: held(1), 2: Slot(number=2, zone="eu-west-1a", version=5), 3: held(3)}
    (assign,) = plan_numbers(SEARCH, [newcomer("i-9")], slots, make_seen({}))
    after = assign.change.after
    assert (after.number, after.name, after.domain) == (
        2,
        "web-02",
        "web-02.internal.example.com",
    )
    assert assign.change.cause == "number 2 was free and last lived in eu-west-1a"


def test_a_replacement_prefers_the_number_that_last_lived_in_its_zone() -> None:
    slots = (Slot(number=1, zone="eu-west-1b"), Slot(number=2, zone="eu-west-1a"))
    assert given(newcomer(zone="eu-west-1a"), group=SEARCH, slots=slots) == {"i-1": 2}


def test_a_replacement_in_a_new_zone_takes_the_lowest_free_number() -> None:
    slots = (Slot(number=1, zone="eu-west-1b"), Slot(number=2, zone="eu-west-1a"))
    assert given(newcomer(zone="eu-west-1c"), group=SEARCH, slots=slots) == {"i-1": 1}


def test_no_number_is_taken_from_the_replacement_whose_zone_it_is() -> None:
    """The older launch has no number in its zone: it leaves those that others can use."""
    slots = (Slot(number=1, zone="eu-west-1b"), Slot(number=2, zone="eu-west-1a"))
    machines = {
        "i-old": make_machine(launched_ms=NOW_MS - S),
        "i-new": make_machine(launched_ms=NOW_MS),
    }
    newcomers = (newcomer("i-old", zone="eu-west-1c"), newcomer("i-new", zone="eu-west-1b"))
    numbers = given(*newcomers, group=SEARCH, slots=slots, machines=machines)
    assert numbers == {"i-new": 1, "i-old": 2}


def test_an_elastic_group_gives_the_lowest_number_whatever_the_zone() -> None:
    slots = (Slot(number=1, zone="eu-west-1b"), Slot(number=2, zone="eu-west-1a"))
    assert given(newcomer(zone="eu-west-1a"), slots=slots) == {"i-1": 1}


# --- rebuilding a lost table from the tags -----------------------------------------------------


def tagged(text: str, **changes: Any) -> Machine:
    return make_machine(tags={"triggerfish:member": text}, **changes)


def test_a_lost_table_is_rebuilt_from_the_tags() -> None:
    machines = {"i-a": tagged("web/7"), "i-b": tagged("web/1"), "i-c": make_machine()}
    numbers = given(newcomer("i-a"), newcomer("i-b"), newcomer("i-c"), machines=machines)
    assert numbers == {"i-a": 7, "i-b": 1, "i-c": 2}


def test_a_lost_assignment_is_rebuilt_although_a_lower_number_is_free_by_now() -> None:
    """Number 3 was free before it was given: its slot is there, and says so."""
    slots = (held(1), Slot(number=2, version=3), Slot(number=3, version=3))
    assert given(newcomer(), slots=slots, machines={"i-1": tagged("web/3")}) == {"i-1": 3}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "web/",
        "web/0",
        "web/-3",
        "web/3.0",
        "web/٣",
        "web/123456",
        "api/3",
        "3",
        "web/3/4",
    ],
)
def test_a_tag_that_is_not_a_number_of_this_group_counts_for_nothing(text: str) -> None:
    """Whoever may tag instances writes it."""
    assert given(newcomer(), machines={"i-1": tagged(text)}) == {"i-1": 1}


def test_a_tag_takes_no_number_from_its_holder() -> None:
    machines = {"i-1": tagged("web/1")}
    assert given(newcomer(), slots=(held(1),), machines=machines) == {"i-1": 2}


def test_a_tag_does_not_shorten_the_rest_of_a_number() -> None:
    slots = (Slot(number=4, free_ms=NOW_MS + 1),)
    assert given(newcomer(), slots=slots, machines={"i-1": tagged("web/4")}) == {"i-1": 1}


def test_a_tag_beyond_the_size_of_a_stateful_group_counts_for_nothing() -> None:
    machines = {"i-1": tagged("search/4")}
    assert given(newcomer(), group=SEARCH, machines=machines) == {"i-1": 1}


@pytest.mark.parametrize("number", [1, 9])
def test_two_instances_with_one_tag_get_two_numbers(number: int) -> None:
    """Somebody launched "more like this", and the tags came along."""
    machines = {"i-a": tagged(f"web/{number}"), "i-b": tagged(f"web/{number}")}
    numbers = given(newcomer("i-a"), newcomer("i-b"), machines=machines)
    assert numbers == {"i-a": number, "i-b": 2 if number == 1 else 1}
