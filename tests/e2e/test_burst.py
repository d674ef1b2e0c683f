"""500 launches at once, every notification delivered twice and in no order."""

from __future__ import annotations

import io
import json
import pickle
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.configs import HEAD, group, jenkins
from triggerfish.local.follow import Follower

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Start

pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.timeout(400)]

BURST = 500
TAGS_AT_ONCE, TAGS_A_SECOND = 100, 10


class _Held:
    """An object of the emulator's, of which only the fields matter here."""


class _Fields(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Held if module.startswith("ministack.") else super().find_class(module, name)


def route53_changes(aws: Path) -> int:
    """How many changes Route 53 accepted, from the emulator's own state on disk."""
    (folder,) = [path.parent for path in aws.rglob("manifest.json")]
    manifest = json.loads((folder / "manifest.json").read_text())
    data = (folder / f"{manifest['files']['route53']}.state").read_bytes()
    state = _Fields(io.BytesIO(data)).load()
    return len(re.findall("PENDING|INSYNC", repr(vars(state["changes"]))))


def test_burst_of_duplicated_and_shuffled_launches(start: Start) -> None:
    up = start(HEAD + jenkins("main") + group("web", more='tags = { role = "web" }')).ready()
    up.fleet("notifications", {"duplicate": 2, "shuffle": True})
    assert up.command("send", "launch", "--group", "web", "--count", str(BURST)).returncode == 0
    members = up.wait_for("web", BURST, within_s=300)

    assert [one["number"] for one in members] == list(range(1, BURST + 1))
    requests = Counter(one["parameters"]["REQUEST_ID"] for one in up.builds())
    assert requests == {f"{one['instance']}.g1.web/job-1.a1": 1 for one in members}
    described = up.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])
    assert len(described["AutoScalingGroups"][0]["Instances"]) == BURST
    assert up.data("status")["dead_letters"] == {"provision": 0}

    assert up.stop() == 0
    state = up.project.state
    creation_of_the_zone = 1
    assert 1 <= route53_changes(state / "aws") - creation_of_the_zone <= 2
    told = list(Follower(state / "sandbox" / "logs").read())
    tagged_s = [_second(one) for one in told if one.get("cause") == "tagged"]
    assert len(tagged_s) == BURST
    # Every call was made between the first member's name and the last member's tag.
    began_s = min(_second(one) for one in told if one.get("phase") == "named")
    assert max(tagged_s) - began_s >= (BURST - TAGS_AT_ONCE) / TAGS_A_SECOND - 1
    troubles = [one for one in told if re.search(r"(?i)throttl|rate exceeded", json.dumps(one))]
    assert troubles == []
    assert [one for one in told if one.get("level") == "error"] == []


def _second(told: dict[str, object]) -> float:
    return datetime.fromisoformat(str(told["time"])).timestamp()
