from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.provision.conftest import make_build, make_member, make_named
from triggerfish.notice import Notice
from triggerfish.provision.describe import describe
from triggerfish.provision.instructions import (
    Assign,
    Beat,
    Cancel,
    Change,
    Complete,
    Instruction,
    Point,
    Release,
    Remember,
    Save,
    Tag,
    Tell,
    Terminate,
    Trigger,
    Unpoint,
)
from triggerfish.provision.members import Memory, Slot

MEMBER = make_member()
CHANGE = Change(MEMBER, replace(MEMBER, phase="named"), "it has a name")
DOMAIN = "web-01.internal.example.com"
NOTICE = Notice(key="k", severity="warning", title="web-01 of web was kept")
SLOT = Slot(number=1, instance="i-1", generation=1)


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        (Assign(CHANGE, None, SLOT), "give i-1 number 1"),
        (Point(CHANGE, DOMAIN, "192.0.2.4", None), f"point {DOMAIN} at 192.0.2.4"),
        (
            Point(CHANGE, DOMAIN, "192.0.2.4", "192.0.2.9"),
            f"point {DOMAIN} at 192.0.2.4 instead of 192.0.2.9",
        ),
        (Unpoint(CHANGE, DOMAIN, "192.0.2.4"), f"remove {DOMAIN}, which points at 192.0.2.4"),
        (Tag(CHANGE, {"Name": "web-01", "Role": "web"}), "tag i-1 with Name, Role"),
        (Trigger(CHANGE, make_build(), {}), "ask Jenkins for infra/provision on i-1"),
        (Cancel(CHANGE, make_build(), 17, None), "cancel infra/provision, queue item 17"),
        (Cancel(CHANGE, make_build(), None, 7), "cancel infra/provision, build #7"),
        (Complete(CHANGE, "ABANDON"), "end the lifecycle action of i-1: ABANDON"),
        (Beat(CHANGE), "restart the hook's timer of i-1"),
        (Terminate(CHANGE), "terminate i-1"),
        (Release(CHANGE, SLOT, Slot(number=1)), "free number 1 of i-1"),
        (Release(CHANGE, None, None), "free i-1"),
        (Tell(CHANGE, NOTICE), "tell people: web-01 of web was kept"),
        (Save(CHANGE), "i-1 becomes named: it has a name"),
        (Save(Change(None, make_named(), "born")), "i-1 becomes named: born"),
        (Remember(Memory(), Memory(failures=2)), "remember 2 failures in a row"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else None,
)
def test_every_instruction_is_said_in_words(instruction: Instruction, words: str) -> None:
    assert describe(instruction) == words
