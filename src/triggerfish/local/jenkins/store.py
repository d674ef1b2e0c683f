"""The state of the stand-in on disk. What was answered survives `kill -9`."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar

import msgspec

from triggerfish.local.jenkins.model import Build, Item, Job, Notification, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.local.jenkins.core import Core
    from triggerfish.local.jenkins.model import Key

T = TypeVar("T")

_CREATE = """
create table if not exists state (
  kind text not null, name text not null, number integer not null, value blob not null,
  primary key (kind, name, number)
) without rowid
"""


class Store:
    """One SQLite file in WAL mode. Used under the lock that guards the core.

    A commit reaches the operating system before the answer is sent, so it survives the process;
    it isn't flushed to the disk, which only a power cut would notice.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            folder / "jenkins.sqlite3", isolation_level=None, check_same_thread=False
        )
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.execute(_CREATE)

    def load(self, core: Core) -> None:
        """Take up what an earlier process left, as Jenkins does when it starts."""
        settings = self._values("settings", Settings)
        core.load(
            settings=settings[0] if settings else Settings(),
            jobs=self._values("job", Job),
            items=self._values("item", Item),
            builds=self._values("build", Build),
            notifications=self._values("notification", Notification),
        )

    def save(self, core: Core) -> None:
        """Store what changed since the last call, all of it or nothing."""
        if not core.changes:
            return
        self._database.execute("begin immediate")
        for key in core.changes:
            value = _value(core, key)
            if value is None:
                self._database.execute(
                    "delete from state where kind = ? and name = ? and number = ?", key
                )
            else:
                self._database.execute(
                    "insert or replace into state values (?, ?, ?, ?)",
                    (*key, msgspec.json.encode(value)),
                )
        self._database.execute("commit")
        core.changes.clear()

    def close(self) -> None:
        self._database.close()

    def _values(self, kind: str, type_: type[T]) -> list[T]:
        rows = self._database.execute("select value from state where kind = ?", (kind,))
        return [msgspec.json.decode(value, type=type_) for (value,) in rows.fetchall()]


def _value(core: Core, key: Key) -> object | None:
    kind, name, number = key
    if kind == "job":
        return core.jobs.get(name)
    if kind == "item":
        return core.item(number)
    if kind == "build":
        return core.build(name, number)
    if kind == "notification":
        return core.outbox.get((name, number))
    return core.settings
