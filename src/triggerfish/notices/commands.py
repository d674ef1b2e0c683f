"""What the command line shows of notices. `triggerfish mail` and `send notice` are common ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import typer

    from triggerfish.cli.context import Context
    from triggerfish.cli.stage import OpenStage


def register(app: typer.Typer) -> None:
    """Notices have no command of their own: `mail`, `send notice` and `status` show them."""
    del app


def status_lines(part: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    if not part:
        return
    held = f", {part['held']} held back by the hourly limit" if part["held"] else ""
    yield f"{part['waiting']} notices of {part['matters']} matters wait for their digest{held}"
    for parcel in part["on_the_way"]:
        for name, attempt in parcel["attempts"].items():
            yield f"{name} did not take a message, tried {attempt['count']}: {attempt['reason']}"


def status(context: Context, stage: OpenStage) -> dict[str, object]:
    """The trigger's part of `triggerfish status`: what waits, and what a channel didn't take."""
    if context.config.notices is None:
        return {}
    from triggerfish.notices.store import NoticeStore  # noqa: PLC0415  `--help` doesn't pay for it
    from triggerfish.runtime.clock import SystemClock  # noqa: PLC0415

    store = NoticeStore(stage.table, SystemClock())
    due, parcels = store.due(), store.parcels()
    return {
        "waiting": sum(one.count for one in due),
        "matters": len(due),
        "held": sum(one.count for one in due if one.held_since_ms),
        "on_the_way": [
            {
                "channels": list(parcel.open),
                "failed": dict(parcel.failed),
                "attempts": {
                    name: {"count": attempt.count, "reason": attempt.reason}
                    for name, attempt in parcel.attempts.items()
                },
            }
            for parcel in parcels
        ],
    }
