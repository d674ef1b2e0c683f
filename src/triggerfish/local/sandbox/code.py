"""Function code, unpacked once for each hash and never changed after."""

from __future__ import annotations

import asyncio
import base64
import binascii
import calendar
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from triggerfish.errors import Refused
from triggerfish.local.sandbox.limits import UNZIPPED_BYTES

KEPT = 32


class CodeStore:
    """Shape: `ROOT/<hex sha256 of the zip>/...`, read-only. The newest `KEPT` outlive a start."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        self._adding: dict[str, asyncio.Task[Path]] = {}
        self._prune()

    def find(self, sha256: str) -> Path | None:
        """Raises: Refused for what is no hash: a function that was made without code."""
        folder = self._folder(sha256)
        return folder if folder.is_dir() else None

    async def add(self, archive: bytes, sha256: str) -> Path:
        """Unpack beside running invocations, once, however many wait for it. Raises: Refused."""
        task = self._adding.get(sha256)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(self._unpack, archive, sha256))
            self._adding[sha256] = task
            task.add_done_callback(lambda _: self._adding.pop(sha256, None))
        return await asyncio.shield(task)

    def _folder(self, sha256: str) -> Path:
        try:
            return self._root / base64.b64decode(sha256, validate=True).hex()
        except binascii.Error as error:
            raise Refused(f"the emulator holds no code (CodeSha256 is {sha256!r})") from error

    def _unpack(self, archive: bytes, sha256: str) -> Path:
        folder = self._folder(sha256)
        if folder.is_dir():
            return folder
        found = base64.b64encode(hashlib.sha256(archive).digest()).decode()
        if found != sha256:
            raise Refused(f"code has SHA-256 {found}, the function says {sha256}")
        work = Path(tempfile.mkdtemp(dir=self._root, prefix="new-"))
        try:
            unpack(archive, work)
            work.rename(folder)
        finally:
            _remove(work)
        return folder

    def _prune(self) -> None:
        unfinished = set(self._root.glob("new-*"))
        finished = sorted(
            set(self._root.iterdir()) - unfinished, key=lambda each: each.stat().st_mtime
        )
        for folder in (*unfinished, *finished[:-KEPT]):
            _remove(folder)


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack as Lambda does: modes and times kept, nothing writable. Raises: Refused."""
    try:
        source = zipfile.ZipFile(io.BytesIO(archive))
    except zipfile.BadZipFile as error:
        raise Refused("Could not unzip uploaded file. Please check your file.") from error
    with source:
        if sum(entry.file_size for entry in source.infolist()) > UNZIPPED_BYTES:
            raise Refused(f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes")
        for entry in source.infolist():
            path = Path(source.extract(entry, folder))
            if not entry.is_dir():
                path.chmod(0o444 | (entry.external_attr >> 16 & 0o111))
            # A .pyc is valid for a source of one time: without this every cold start compiles.
            written = calendar.timegm((*entry.date_time, 0, 0, 0))
            os.utime(path, (written, written))
    for parent, _, _ in os.walk(folder, topdown=False):
        Path(parent).chmod(0o555)


def _remove(folder: Path) -> None:
    if not folder.is_dir():
        return
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
