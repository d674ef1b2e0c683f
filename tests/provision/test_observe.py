"""A run asks only for what the state at hand makes worth asking for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.provision.conftest import NOW_MS, make_build, make_member, make_named, make_state
from tests.provision.world import AutoScalingSide, JenkinsSide, World, make_group
from triggerfish.errors import Refused, Unavailable
from triggerfish.provision.observation import HookView
from triggerfish.provision.observe import observe

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.members import Build, Member
    from triggerfish.provision.observation import GroupView, JenkinsView, Machine, Observation

ONE, TWO = "i-00000000000000001", "i-00000000000000002"


class Asked(World):
    """A world that remembers what it was asked."""

    def __init__(self, group: ProvisionGroup | None = None, *, target_groups: int = 1) -> None:
        super().__init__(group, target_groups=target_groups)
        self.described: list[list[str]] = []
        self.checked: list[list[str]] = []
        self.searched: list[tuple[list[str], list[str]]] = []
        self.hooks = 0

    def describe(self, instances: Collection[str]) -> dict[str, Machine]:
        self.described.append(sorted(instances))
        return super().describe(instances)

    def health(
        self, target_groups: Sequence[str], instances: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        self.checked.append(sorted(instances))
        return super().health(target_groups, instances)

    def look(self, *members: Member, **ports: Any) -> Observation:
        world = self

        class Jenkins(JenkinsSide):
            def look(self, jobs: Sequence[str], builds: Sequence[Build]) -> JenkinsView:
                world.searched.append((list(jobs), [build.request_id for build in builds]))
                return super().look(jobs, builds)

        class AutoScaling(AutoScalingSide):
            def hook(self, group: str, name: str) -> HookView | None:
                world.hooks += 1
                return super().hook(group, name)

        settings = {"auto_scaling": AutoScaling(self), "jenkins": lambda _: Jenkins(self), **ports}
        return observe(self.group, make_state(*members), replace(self.ports(), **settings), "run-1")


def test_of_a_group_at_rest_only_the_group_is_asked_for() -> None:
    world = Asked(make_group(hook="provision"))
    world.launch(2)
    seen = world.look(make_named(ONE, phase="ready"), make_named(TWO, phase="failed", number=2))
    assert (world.described, world.checked, world.searched, world.hooks) == ([], [], [], 0)
    assert (seen.machines, seen.asked, seen.jenkins, seen.hook) == ({}, frozenset(), None, None)
    assert sorted(seen.group.instances) == [ONE, TWO]
    assert (seen.now_ms, seen.run) == (NOW_MS, "run-1")


@pytest.mark.parametrize(
    ("phase", "lifecycle"),
    [
        ("numbered", "InService"),
        ("leaving", "InService"),
        ("ready", "Terminating"),
        ("ready", None),
        ("ready", "Warmed:Stopped"),
        ("failed", "Pending:Wait"),
    ],
)
def test_ec2_is_asked_about_members_that_are_not_at_rest(phase: str, lifecycle: str | None) -> None:
    world = Asked()
    server, _ = world.launch(2)
    server.lifecycle = lifecycle
    seen = world.look(make_member(ONE, phase=phase), make_named(TWO, phase="ready", number=2))
    assert world.described == [[ONE]]
    assert seen.asked == {ONE}


def test_ec2_is_asked_about_newcomers() -> None:
    world = Asked()
    world.launch(2)
    seen = world.look(make_named(ONE, phase="ready"))
    assert world.described == [[TWO]]
    assert seen.machines[TWO].address == "10.0.0.6"


def test_a_member_in_standby_is_at_rest() -> None:
    world = Asked()
    (server,) = world.launch()
    server.lifecycle = "Standby"
    world.look(make_named(ONE, phase="ready"))
    assert world.described == []


def test_health_is_asked_for_members_on_their_way_only() -> None:
    world = Asked()
    world.launch(2)
    seen = world.look(make_named(ONE, phase="verifying"), make_named(TWO, phase="ready", number=2))
    assert world.checked == [[ONE]]
    assert seen.health == {ONE: ("unhealthy",)}


@pytest.mark.parametrize(
    ("group", "target_groups"), [(make_group(finish="built"), 1), (make_group(), 0)]
)
def test_health_that_does_not_matter_is_not_asked_for(
    group: ProvisionGroup, target_groups: int
) -> None:
    world = Asked(group, target_groups=target_groups)
    world.launch()
    world.look(make_named(ONE, phase="verifying"))
    assert world.checked == []


def test_jenkins_is_searched_for_the_builds_that_are_under_way() -> None:
    world = Asked()
    world.launch(2)
    world.look(
        make_named(ONE, phase="building", builds=(make_build(result="FAILURE", request_id="old"),)),
        make_named(TWO, phase="building", number=2, builds=(make_build(request_id="now"),)),
    )
    assert world.searched == [(["infra/provision", "app/deploy"], ["now"])]


def test_jenkins_is_searched_for_the_build_of_a_member_that_leaves() -> None:
    world = Asked()
    world.launch()
    world.look(make_named(ONE, phase="leaving", builds=(make_build(),)))
    assert len(world.searched) == 1


@pytest.mark.parametrize(
    "error", [Unavailable("jenkins: restarting"), Refused("jenkins: no such user and token")]
)
def test_a_jenkins_that_cannot_be_read_is_part_of_the_look(error: Exception) -> None:
    class Broken(JenkinsSide):
        def look(self, jobs: Sequence[str], builds: Sequence[Build]) -> JenkinsView:
            raise error

    world = Asked()
    world.launch()
    seen = world.look(jenkins=lambda _: Broken(world))
    assert (seen.jenkins, seen.jenkins_fault) == (None, str(error))
    assert list(seen.machines) == [ONE]


def test_a_jenkins_that_is_configured_wrongly_is_part_of_the_look() -> None:
    def broken(_: ProvisionGroup) -> JenkinsSide:
        raise Refused("there is no secret at ssm:/jenkins/token")

    world = Asked()
    world.launch()
    assert world.look(jenkins=broken).jenkins_fault == "there is no secret at ssm:/jenkins/token"


def test_an_auto_scaling_that_cannot_be_read_ends_the_look() -> None:
    class Away(AutoScalingSide):
        def view(self, group: str) -> GroupView:
            raise Unavailable("autoscaling:DescribeAutoScalingGroups: Throttling")

    world = Asked()
    with pytest.raises(Unavailable, match="Throttling"):
        world.look(auto_scaling=Away(world))


def test_the_hook_is_asked_for_where_one_is_configured_and_somebody_is_on_the_way() -> None:
    world = Asked(make_group(hook="provision"))
    world.hook = HookView(heartbeat_timeout_s=300)
    world.launch()
    assert world.look().hook == HookView(heartbeat_timeout_s=300)
    assert Asked().look().hook is None
