from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import threading
from collections import OrderedDict, defaultdict, deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from triggerfish.local.emulator import checkpoint, guard, snapshot
from triggerfish.local.emulator.store import Store, Unreadable

if TYPE_CHECKING:
    from pathlib import Path

PLAIN: dict[str, Any] = {
    "text": "ä",
    "bytes": b"\x00",
    "numbers": [1, 2.5, None, True],
    "tuple": ("a", ("b",)),
    "set": {"x"},
    "ordered": OrderedDict(a=1),
    "default": defaultdict(dict, {"k": {}}),
    "queue": deque([1, 2], maxlen=5),
    "at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
}


def test_plain_state_comes_back_equal() -> None:
    back = snapshot.decode(snapshot.encode(PLAIN))
    assert back == PLAIN
    assert back["default"]["new"] == {}


@pytest.mark.parametrize("value", [SimpleNamespace(a=1), threading.Lock(), print, os.system])
def test_what_is_no_state_is_not_written(value: object) -> None:
    with pytest.raises((pickle.PicklingError, TypeError)):
        snapshot.encode({"state": value})


def test_a_state_file_cannot_name_code() -> None:
    """The class below would run a command when read by an ordinary unpickler."""

    class Bad:
        def __reduce__(self) -> Any:
            return os.system, ("false",)

    with pytest.raises(pickle.UnpicklingError, match=r"may not hold a (posix|os)\.system"):
        snapshot.decode(pickle.dumps(Bad()))


def test_copies_are_spared_in_one_thread_only() -> None:
    sparing = snapshot.SparingCopy()
    value = {"a": [1]}
    assert sparing.deepcopy(value) is not value
    elsewhere: list[bool] = []
    with sparing:
        assert sparing.deepcopy(value) is value
        thread = threading.Thread(target=lambda: elsewhere.append(sparing.deepcopy(value) is value))
        thread.start()
        thread.join()
    assert elsewhere == [False]
    assert sparing.deepcopy(value) is not value
    assert sparing.copy(value) == value


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write({"sqs": b"1", "sns": b"2"})
    store.write({"sqs": b"3"})
    assert dict(Store(tmp_path).load()) == {"sqs": b"3", "sns": b"2"}
    assert files(tmp_path) == ["manifest.json", "sns-1.state", "sqs-2.state"]


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write({"sqs": b"1"})
    written = (tmp_path / "manifest.json").stat().st_mtime_ns
    store.write({"sqs": b"1"})
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == written
    again = Store(tmp_path)
    assert dict(again.load()) == {"sqs": b"1"}
    again.write({"sqs": b"1"})
    assert files(tmp_path) == ["manifest.json", "sqs-1.state"]


def test_files_of_an_unfinished_checkpoint_are_swept(tmp_path: Path) -> None:
    """As a kill between writing a file and replacing the manifest leaves them."""
    Store(tmp_path).write({"sqs": b"1"})
    (tmp_path / "sqs-2.state").write_bytes(b"half")
    (tmp_path / "manifest.json.new").write_text("{")
    store = Store(tmp_path)
    assert dict(store.load()) == {"sqs": b"1"}
    store.write({"sqs": b"2"})
    assert dict(Store(tmp_path).load()) == {"sqs": b"2"}


def test_another_releases_state_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).write({"sqs": b"1"})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(Unreadable, match="delete the folder to start with an empty local cloud"):
        Store(tmp_path)


def test_a_service_that_cannot_be_read_keeps_its_last_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> object:
        raise RuntimeError("dictionary changed size during iteration")

    sources = {"sqs": lambda: {"a": 1}, "sns": broken, "ec2": lambda: None}
    checkpoints = checkpoint.Checkpoints(Store(tmp_path), lambda: sources)
    taken = checkpoints.take(sources)
    assert list(taken) == ["sqs"]
    assert "no checkpoint of sns" in caplog.text
    checkpoints.finish()
    assert list(dict(Store(tmp_path).load())) == ["sqs"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (("GET", "/zone", {}, b""), True),
        (("POST", "/", {"x-amz-target": "DynamoDB_20120810.GetItem"}, b"{}"), True),
        (("POST", "/", {"x-amz-target": "DynamoDB_20120810.Query"}, b"{}"), True),
        (("POST", "/", {"x-amz-target": "DynamoDB_20120810.PutItem"}, b"{}"), False),
        (("POST", "/", {"x-amz-target": "AmazonSQS.ReceiveMessage"}, b"{}"), False),
        (("POST", "/", {}, b"Action=ListTopics&Version=2010-03-31"), True),
        (("POST", "/", {}, b"Version=2010-03-31&Action=Publish"), False),
        (("POST", "/", {}, b"\xff\xfe"), False),
        (("POST", "/2015-03-31/functions/f/invocations", {}, b"{}"), True),
        (("PUT", "/bucket/key", {}, b"body"), False),
    ],
)
def test_reading_requests_are_told_from_changing_ones(
    request_: tuple[str, str, dict[str, str], bytes],
    expected: bool,  # noqa: FBT001 a row of the table above
) -> None:
    assert checkpoint.reads(*request_) is expected


def known(first: int, second: int = 2) -> int:
    return first + second


def test_a_mend_replaces_what_it_knows() -> None:
    owner = SimpleNamespace(__name__="ministack.x", known=known)
    original = guard.replace(owner, "known", ("first", "second"), lambda *_: 7, gap="g")
    assert original is known
    assert owner.known(1) == 7


def test_a_mend_of_something_gone_names_the_gap() -> None:
    owner = SimpleNamespace(__name__="ministack.x")
    with pytest.raises(guard.Unknown) as caught:
        guard.replace(owner, "gone", (), lambda: None, gap="queues lose messages")
    assert str(caught.value) == (
        "this Triggerfish knows ministack 1.5.33: ministack.x has no gone, so this can't be "
        "mended: queues lose messages"
    )


def test_a_mend_of_something_changed_names_the_gap() -> None:
    owner = SimpleNamespace(__name__="ministack.x", known=known)
    with pytest.raises(guard.Unknown) as caught:
        guard.replace(owner, "known", ("first",), lambda _: None, gap="queues lose messages")
    assert str(caught.value) == (
        "this Triggerfish knows ministack 1.5.33: ministack.x.known takes ('first', 'second'), "
        "wanted ('first',), so this can't be mended: queues lose messages"
    )
