from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from triggerfish.errors import Refused
from triggerfish.local.fakes.lambda_api import zipped
from triggerfish.local.sandbox import code
from triggerfish.local.sandbox.code import CodeStore, unpack

if TYPE_CHECKING:
    from pathlib import Path


def sha256(archive: bytes) -> str:
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()


def add(store: CodeStore, archive: bytes) -> Path:
    return asyncio.run(store.add(archive, sha256(archive)))


def test_code_is_unpacked_once_and_is_read_only(tmp_path: Path) -> None:
    archive = zipped({"app.py": "x = 1", "package/data": b"\x00"})
    store = CodeStore(tmp_path)
    assert store.find(sha256(archive)) is None
    folder = add(store, archive)
    assert folder.name == hashlib.sha256(archive).hexdigest()
    assert store.find(sha256(archive)) == folder == add(store, archive)
    assert (folder / "package/data").read_bytes() == b"\x00"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "app.py")] == [
        "0o555",
        "0o444",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_files_keep_the_time_they_have_in_the_zip(tmp_path: Path) -> None:
    """A .pyc is valid for a source of one time."""
    unpack(zipped({"app.py": ""}), tmp_path)
    assert (tmp_path / "app.py").stat().st_mtime == 1_767_323_046  # 2026-01-02T03:04:06Z


def test_what_may_be_executed_still_may(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("tool", (2026, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "#!/bin/sh")
    folder = tmp_path / "code"
    folder.mkdir()
    unpack(path.read_bytes(), folder)
    assert oct((folder / "tool").stat().st_mode & 0o777) == "0o555"


def test_a_path_can_not_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    unpack(zipped({"../../outside": "x", "/absolute": "x"}), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["absolute", "outside"]
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^Could not unzip uploaded file\."):
        add(CodeStore(tmp_path), b"nonsense")
    assert list(tmp_path.iterdir()) == []


def test_code_of_another_hash_is_refused(tmp_path: Path) -> None:
    """The emulator has one zip for all versions of a function."""
    store = CodeStore(tmp_path)
    with pytest.raises(Refused, match=r"^code has SHA-256 .+, the function says .+$"):
        asyncio.run(store.add(zipped({"a": ""}), sha256(b"other")))


def test_more_than_250_mb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(2):
            archive.writestr(str(number), bytes(131_072_001))
    with pytest.raises(Refused, match=r"^Unzipped size must be smaller than 262144000 bytes$"):
        unpack(path.read_bytes(), tmp_path)


def test_the_newest_and_no_unfinished_code_outlive_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "KEPT", 2)
    store = CodeStore(tmp_path)
    folders = [add(store, zipped({"app.py": str(number)})) for number in range(4)]
    for age, folder in enumerate(folders):
        os.utime(folder, (1000 - age, 1000 - age))
    (tmp_path / "new-unfinished").mkdir()
    CodeStore(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {folder.name for folder in folders[:2]}
