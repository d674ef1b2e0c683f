from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import make_local
from tests.local.fleet.recorder import eventually
from triggerfish.local.fleet import snapshot
from triggerfish.local.fleet.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


class Store:
    """What a journal writes: a version that grows."""

    def __init__(self) -> None:
        self.version = 0
        self.commits = 0

    def dump(self) -> tuple[int, bytes]:
        return self.version, str(self.version).encode()

    def committed(self) -> None:
        self.commits += 1


def test_a_waiter_returns_once_its_version_is_on_disk(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(tmp_path / "state", store.dump, committed=store.committed)
    journal.start()
    store.version = 7
    journal.wait(7)
    assert (tmp_path / "state").read_bytes() == b"7"
    journal.stop()


def test_changes_that_come_together_share_a_snapshot(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(tmp_path / "state", store.dump, committed=store.committed)
    store.version = 50
    waiting = [threading.Thread(target=journal.wait, args=(one + 1,)) for one in range(50)]
    for thread in waiting:
        thread.start()
    journal.start()
    for thread in waiting:
        thread.join()
    journal.stop()
    assert journal.commits == 1


def test_stopping_writes_what_nobody_waited_for(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(tmp_path / "state", store.dump, committed=store.committed)
    journal.start()
    store.version = 3
    journal.want(3)
    journal.stop()
    assert (tmp_path / "state").read_bytes() == b"3"


def test_tidying_is_written_when_there_is_time(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(tmp_path / "state", store.dump, committed=store.committed)
    journal.start()
    journal.tidy()
    eventually(lambda: journal.commits == 1)
    journal.stop()


def test_a_disk_that_refuses_fails_the_waiter_and_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store()
    folder = tmp_path / "later"
    journal = Journal(folder / "state", store.dump, committed=store.committed)
    journal.start()
    store.version = 1
    with pytest.raises(FileNotFoundError):
        journal.wait(1)
    folder.mkdir()
    eventually(lambda: journal.durable == 1)
    journal.wait(1)
    journal.stop()
    assert "the state can't be written" in capsys.readouterr().err


def test_stopping_ends_even_when_the_disk_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store()
    journal = Journal(tmp_path / "none" / "state", store.dump, committed=store.committed)
    journal.start()
    store.version = 1
    journal.want(1)
    eventually(lambda: capsys.readouterr().err)
    before = threading.active_count()
    journal.stop()
    assert threading.active_count() == before - 1


def test_everything_comes_back_from_a_snapshot(tmp_path: Path) -> None:
    first = make_local(tmp_path)
    first.make_group(2)
    first.pass_s(1)
    first.control("provisioned", {"instance": first.in_service()[0]})
    first.set_desired(3)
    before = first.control("describe")[1]
    first.service.journal.stop()

    second = make_local(tmp_path)
    second.clock.at = first.clock.at
    second.target_group = first.target_group
    assert second.control("describe")[1] == before
    second.pass_s(1)
    assert second.states() == ["InService"] * 3
    addresses = {one["address"] for one in second.control("describe")[1]["instances"]}
    assert addresses == {"10.0.0.4", "10.0.16.4", "10.0.32.4"}
    second.set_desired(6)
    second.pass_s(1)
    addresses = {one["address"] for one in second.control("describe")[1]["instances"]}
    assert addresses >= {"10.0.0.5", "10.0.16.5", "10.0.32.5"}
    second.service.journal.stop()


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"moto": "5.0.0"}, "it was written as"), ({"format": 0}, "it was written as")],
    ids=["moto", "format"],
)
def test_a_snapshot_of_another_kind_is_not_read(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    local = make_local(tmp_path)
    local.make_group()
    local.service.journal.stop()
    path = tmp_path / "fleet.snapshot"
    header, _, body = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(header), **change}).encode() + b"\n" + body)
    assert str(snapshot.restore(local.fleet, path)).startswith(reason)


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"half"])
def test_a_damaged_snapshot_is_not_read(tmp_path: Path, damage: bytes) -> None:
    local = make_local(tmp_path)
    local.make_group()
    local.service.journal.stop()
    path = tmp_path / "fleet.snapshot"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == b"half" else damage)
    assert str(snapshot.restore(local.fleet, path)).startswith("it can't be read: ")


def test_no_snapshot_is_no_problem(tmp_path: Path) -> None:
    local = make_local(tmp_path)
    local.service.journal.stop()
    assert snapshot.restore(local.fleet, tmp_path / "none") is None
