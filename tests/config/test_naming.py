"""Two groups clash when some member of each could get one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.provision.naming import may_render_the_same
from triggerfish.templates import Template


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("web-{number}", "web-{number}"),
        ("web-{number}", "web-{number:02}"),
        ("web-{number}", "web-1{number}"),
        ("{group}-{number}", "a-{number}"),
        ("web-{az}-{number}", "web-eu-central-1a-{number}"),
        ("{instance}", "i-0{number}"),
        ("{number}{number}", "{number}"),
    ],
)
def test_templates_that_may_meet(one: str, other: str) -> None:
    assert may_render_the_same(Template(one), "a", Template(other), "i-0")
    assert may_render_the_same(Template(other), "i-0", Template(one), "a")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("web-{number}", "app-{number}"),
        ("web-{number}", "web-{number}.a"),
        ("web-{number}", "web-0{number}"),
        ("{group}-{number}", "{group}-{number}"),
        ("{instance}", "web-{number}"),
        ("web-{number}", "web-a{number}"),
        ("a-{number}", "a-{instance}"),
        ("", "{number}"),
    ],
)
def test_templates_that_never_meet(one: str, other: str) -> None:
    assert not may_render_the_same(Template(one), "a", Template(other), "b")
    assert not may_render_the_same(Template(other), "b", Template(one), "a")


PARTS = st.sampled_from(["a", "1", "-", "{number}", "{number:02}", "{group}", "{az}", "{instance}"])
TEXTS = st.lists(PARTS, min_size=1, max_size=4).map("".join)


@given(
    TEXTS,
    TEXTS,
    st.sampled_from(["a", "1", "a1"]),
    st.sampled_from(["a", "1"]),
    st.integers(1, 120),
    st.integers(1, 120),
)
def test_what_meets_is_always_found(
    one: str, other: str, one_group: str, other_group: str, one_number: int, other_number: int
) -> None:
    left, right = Template(one), Template(other)
    where = {"instance": "i-0a1b2c3d", "az": "eu-central-1a"}
    same = left.render(number=one_number, group=one_group, **where) == right.render(
        number=other_number, group=other_group, **where
    )
    if same:
        assert may_render_the_same(left, one_group, right, other_group)
