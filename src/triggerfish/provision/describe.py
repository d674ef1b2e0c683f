"""The executor of a dry run: says what carrying a plan out would do, and does nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.provision.instructions import (
    Assign,
    Beat,
    Cancel,
    Complete,
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

if TYPE_CHECKING:
    from triggerfish.provision.instructions import Instruction


def describe(instruction: Instruction) -> str:  # noqa: C901, PLR0911, PLR0912 - one case each
    """What carrying it out would do, in words."""
    match instruction:
        case Assign(change, _, slot):
            return f"give {change.after.instance} number {slot.number}"
        case Point(_, domain, address, previous):
            return f"point {domain} at {address}" + (f" instead of {previous}" if previous else "")
        case Unpoint(_, domain, address):
            return f"remove {domain}, which points at {address}"
        case Tag(change, tags):
            return f"tag {change.after.instance} with {', '.join(tags)}"
        case Trigger(change, build, _):
            return f"ask Jenkins for {build.job} on {change.after.instance}"
        case Cancel(_, build, queue_id, number):
            what = f"build #{number}" if number else f"queue item {queue_id}"
            return f"cancel {build.job}, {what}"
        case Complete(change, result):
            return f"end the lifecycle action of {change.after.instance}: {result}"
        case Beat(change):
            return f"restart the hook's timer of {change.after.instance}"
        case Terminate(change):
            return f"terminate {change.after.instance}"
        case Release(change, held, _):
            return f"free {f'number {held.number} of ' if held else ''}{change.after.instance}"
        case Tell(_, notice):
            return f"tell people: {notice.title}"
        case Save(change):
            return f"{change.after.instance} becomes {change.after.phase}: {change.cause}"
        case Remember(_, memory):
            return f"remember {memory.failures} failures in a row"
