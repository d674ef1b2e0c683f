"""The folder that holds the checkpoints: a file for each service, and a manifest that names them.

A checkpoint exists once the manifest that names its files has replaced the one before, in one step.
Whatever instant the process is killed at, the manifest names whole files of one moment.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from .guard import KNOWN_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MANIFEST = "manifest.json"
SUFFIX = ".state"
FORMAT = 1


class Unreadable(Exception):
    """The folder holds a state that this release can't take up."""


class Store:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files = self._read_manifest()
        self._digests: dict[str, bytes] = {}
        self._count = max((int(name.split("-")[-1]) for name in self._names()), default=0)
        self._sweep()

    def load(self) -> Iterator[tuple[str, bytes]]:
        for service, name in self._files.items():
            data = (self._folder / (name + SUFFIX)).read_bytes()
            self._digests[service] = hashlib.sha256(data).digest()
            yield service, data

    def write(self, states: Mapping[str, bytes]) -> None:
        """Keep `states` as one checkpoint; what hasn't changed since the last one isn't written."""
        digests = {service: hashlib.sha256(data).digest() for service, data in states.items()}
        changed = [name for name in states if digests[name] != self._digests.get(name)]
        if not changed:
            return
        files = dict(self._files)
        self._count += 1
        for service in changed:
            files[service] = f"{service}-{self._count}"
            (self._folder / (files[service] + SUFFIX)).write_bytes(states[service])
        self._write_manifest(files)
        for service in changed:
            old = self._files.get(service)
            if old is not None:
                (self._folder / (old + SUFFIX)).unlink(missing_ok=True)
            self._digests[service] = digests[service]
        self._files = files

    def _write_manifest(self, files: Mapping[str, str]) -> None:
        manifest = {"format": FORMAT, "ministack": KNOWN_VERSION, "files": files}
        written = self._folder / (MANIFEST + ".new")
        written.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        os.replace(written, self._folder / MANIFEST)  # noqa: PTH105 said in the docs to be atomic

    def _read_manifest(self) -> dict[str, str]:
        path = self._folder / MANIFEST
        if not path.exists():
            return {}
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if (manifest["format"], manifest["ministack"]) != (FORMAT, KNOWN_VERSION):
            raise Unreadable(
                f"{self._folder} was written by ministack {manifest['ministack']} in format "
                f"{manifest['format']}, wanted {KNOWN_VERSION} in format {FORMAT}: delete the "
                "folder to start with an empty local cloud"
            )
        files: dict[str, str] = manifest["files"]
        return files

    def _names(self) -> list[str]:
        return [path.stem for path in self._folder.glob("*" + SUFFIX)]

    def _sweep(self) -> None:
        for name in set(self._names()) - set(self._files.values()):
            (self._folder / (name + SUFFIX)).unlink()
