"""One artifact a function: a zip with only what the function imports, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.deploy import bytecode, dependencies, limits
from triggerfish.deploy.imports import closure, missing_problems
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from triggerfish.blueprint import Function
    from triggerfish.deploy.compute import FunctionSettings

SETTINGS = "triggerfish_settings.json"
SOURCE = Path(__file__).parents[2]
"""The folder that holds our package."""

_PROCESSORS = {"arm64": "aarch64", "x86_64": "x86_64"}
_AMAZON_LINUX_2 = frozenset({"3.11"})
"""The runtimes that still run on it, with glibc 2.26; the others have Amazon Linux 2023 and 2.34.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
"""
_LAYOUT = "1"
"""Part of the cache key: raise it when artifacts are made differently."""
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold
_PERMISSIONS = 0o100644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an artifact is made for."""

    python: str
    """Major and minor: `3.13`."""
    platform: str | None
    """As uv names it; None for this machine's own, which `interpreter` then is of."""
    interpreter: Path | None
    """Compiles the sources, and has to be a `python`; None to ship sources alone."""

    @classmethod
    def of_lambda(cls, functions: FunctionSettings, interpreter: Path | None = None) -> Target:
        """Lambda itself, compiled by `interpreter` or by a Python of this machine, if it has it."""
        version = functions.runtime.removeprefix("python")
        processor = _PROCESSORS.get(functions.architecture)
        if processor is None:
            raise Refused(f"architecture {functions.architecture!r}: wanted arm64 or x86_64")
        system = "manylinux2014" if version in _AMAZON_LINUX_2 else "manylinux_2_34"
        return cls(
            python=version,
            platform=f"{processor}-{system}",
            interpreter=interpreter or bytecode.interpreter_for(version),
        )

    @classmethod
    def of_this_machine(cls, python: Path, version: str) -> Target:
        """The local cloud, whose functions run on the interpreter `python` of this machine."""
        return cls(python=version, platform=None, interpreter=python)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    id: str
    """The function's id in its blueprint."""
    function: str
    """Its name."""
    path: Path
    sha256: str
    zip_bytes: int
    unzipped_bytes: int
    largest: tuple[tuple[str, int], ...]
    """Unzipped bytes by package, the largest first."""
    compiled: bool
    """Whether bytecode is in it. If not, each cold start compiles what it imports."""

    @property
    def key(self) -> str:
        """Where it lies in the code bucket: by its content, so equal code is never sent twice."""
        return f"functions/{self.function}/{self.sha256}.zip"


def package(
    functions: Iterable[Function], target: Target, *, cache: Path, source: Path = SOURCE
) -> list[Artifact]:
    """The artifact of each function, from `cache` where nothing changed.

    Raises:
        Refused: something can't run on Lambda (a missing module, a size), with every reason.
        Unavailable: requirements have to be fetched and can't be.

    """
    return [_build(function, target, cache=cache, source=source) for function in functions]


def _build(function: Function, target: Target, *, cache: Path, source: Path) -> Artifact:
    module, _, _ = function.handler.rpartition(".")
    found = closure(module, source)
    tree = dependencies.tree(function.requirements, target, cache)
    limits.refuse(missing_problems(found, dependencies.top_level_names(tree)))
    own = {file.relative_to(source).as_posix(): file.read_bytes() for _, file in found.modules}
    key = _key(function, own, tree, target)
    folder = cache / "artifacts" / function.name
    kept = _read(folder, key)
    if kept is not None:
        return kept
    files = own | _files_in(tree)
    if target.interpreter is not None:
        python = {path: text for path, text in files.items() if path.endswith(".py")}
        files |= bytecode.compiled(python, target.interpreter)
    files[SETTINGS] = function.settings
    content = zipped(files)
    artifact = Artifact(
        id=function.id,
        function=function.name,
        path=folder / f"{key}.zip",
        sha256=hashlib.sha256(content).hexdigest(),
        zip_bytes=len(content),
        unzipped_bytes=sum(len(text) for text in files.values()),
        largest=_sizes(files),
        compiled=target.interpreter is not None,
    )
    limits.refuse(limits.artifact_problems(function.name, artifact.unzipped_bytes))
    _write(folder, key, content, artifact)
    return artifact


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of `files` whose bytes depend on nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, text in sorted(files.items()):
            entry = zipfile.ZipInfo(path, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is made: the permissions are read
            entry.external_attr = _PERMISSIONS
            archive.writestr(entry, text)
    return buffer.getvalue()


def _files_in(tree: Path | None) -> dict[str, bytes]:
    if tree is None:
        return {}
    files = (file for file in tree.rglob("*") if file.is_file())
    return {file.relative_to(tree).as_posix(): file.read_bytes() for file in files}


def _sizes(files: Mapping[str, bytes]) -> tuple[tuple[str, int], ...]:
    sizes: Counter[str] = Counter()
    for path, text in files.items():
        if path != SETTINGS and ".dist-info/" not in path:
            sizes[path.partition("/")[0].partition(".")[0]] += len(text)
    return tuple(sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0])))


def _key(function: Function, own: Mapping[str, bytes], tree: Path | None, target: Target) -> str:
    """The hash of all that an artifact is made from."""
    digest = hashlib.sha256()
    compiler = target.interpreter
    stamp = (str(compiler), str(compiler.stat().st_mtime_ns)) if compiler else ("sources",)
    parts: Sequence[str] = (_LAYOUT, target.python, *stamp, tree.name if tree else "")
    for text in (*(part.encode() for part in parts), function.settings):
        digest.update(len(text).to_bytes(8, "big") + text)
    for path, text in sorted(own.items()):
        digest.update(path.encode() + b"\0" + hashlib.sha256(text).digest())
    return digest.hexdigest()[:32]


def _read(folder: Path, key: str) -> Artifact | None:
    """What `_write` kept, if it is whole."""
    path = folder / f"{key}.zip"
    try:
        known = json.loads((folder / f"{key}.json").read_text())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if known["sha256"] != sha256:
            return None
        largest = tuple((str(name), int(size)) for name, size in known.pop("largest"))
        return Artifact(path=path, largest=largest, **known)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(folder: Path, key: str, content: bytes, artifact: Artifact) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    known = asdict(artifact)
    del known["path"]
    for name, text in ((f"{key}.zip", content), (f"{key}.json", json.dumps(known).encode())):
        handle, making = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        Path(making).replace(folder / name)
