from __future__ import annotations

import pytest

from triggerfish.local.fleet.world import target_group_name


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("shop", "shop"),
        ("search_nodes", "search-nodes-2908c615"),
        ("a-name-that-is-much-too-long-for-a-target-group", "a-name-that-is-much-too-44c7ec0d"),
    ],
)
def test_a_target_group_has_a_name_of_its_own_that_elb_takes(group: str, name: str) -> None:
    assert target_group_name(group) == name
