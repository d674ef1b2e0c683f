"""Everything is killed in the middle of a burst and started again: nothing is lost or repeated."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.configs import HEAD, group, jenkins
from tests.e2e.running import TRIGGERFISH, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Start

pytestmark = pytest.mark.cloud

BURST = 30
CONFIG = HEAD + jenkins("main") + group("web", jobs=2, more='tags = { role = "web" }')

Members = list[dict[str, Any]]

MOMENTS: dict[str, Callable[[Members], bool]] = {
    "numbered": bool,
    "asked": lambda members: any(one["builds"] for one in members),
    "built": lambda members: any(b["result"] for one in members for b in one["builds"]),
}
"""Once come, a moment stays: it can't be missed by looking too late."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_burst_survives_the_death_of_everything(start: Start, moment: str) -> None:
    up = start(CONFIG).ready()
    with subprocess.Popen(
        [TRIGGERFISH, "send", "launch", "--group", "web", "--count", str(BURST)],
        cwd=up.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        eventually(lambda: MOMENTS[moment](up.members("web")), f"a member is {moment}")
        up.kill()
    up = start(CONFIG).ready()
    members = up.wait_for("web", BURST)
    assert [one["number"] for one in members] == list(range(1, BURST + 1))
    requests = Counter(one["parameters"]["REQUEST_ID"] for one in up.builds(GROUP="web"))
    assert requests == {
        f"{one['instance']}.g1.web/job-{number}.a1": 1 for one in members for number in (1, 2)
    }
    assert all(build["result"] == "SUCCESS" for one in members for build in one["builds"])
    assert up.stop() == 0
    assert up.left() == []
