"""The requirements of a function as a folder of files for the target platform, made once by uv.

What may be required is pinned with hashes in `requirements-functions.txt`. A made folder is kept in
the project's cache by the hash of all that went into it, so the next build needs no network.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from triggerfish.deploy.package import Target

PINNED = Path(__file__).parent / "requirements-functions.txt"

_PRUNING = "1"
"""Part of the cache key: raise it when `_is_needed` changes."""
_UNNEEDED_SUFFIXES = (".pyi", ".pyc", ".c", ".h", ".pyx", ".pxd")
_UNNEEDED_FOLDERS = frozenset({"__pycache__", "bin", "tests", "test", "include", "share"})
_KEPT_METADATA = re.compile(
    r"METADATA|entry_points\.txt|.*(LICEN[CS]E|NOTICE|COPYING).*", re.IGNORECASE
)
"""Of `*.dist-info`: what `importlib.metadata` reads and what the licence asks to be passed on."""

_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*==")
_VIA = re.compile(r"^\s+#\s+(?:via\s+)?([A-Za-z0-9][A-Za-z0-9._-]*)$", re.MULTILINE)
_SYSTEM_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def pinned(text: str | None = None) -> dict[str, str]:
    """The entry of each distribution in a compiled requirement file: its lines, hashes included."""
    entries: dict[str, str] = {}
    name = ""
    for line in (PINNED.read_text() if text is None else text).splitlines(keepends=True):
        start = _NAME.match(line)
        if start:
            name = _normal(start[1])
            entries[name] = ""
        if name and line.strip():
            entries[name] += line
    return entries


def required(names: Iterable[str], entries: Mapping[str, str]) -> list[str]:
    """`names` and all they require in turn, sorted. Each entry says what it is there for.

    Raises:
        Refused: a name that isn't pinned.

    """
    wanted = {_normal(name) for name in names}
    unknown = sorted(wanted - entries.keys())
    if unknown:
        raise Refused(
            f"requirement {', '.join(unknown)} isn't pinned in {PINNED.name}",
            hint=f"pinned are: {', '.join(sorted(entries))}",
        )
    grown = True
    while grown:
        via = {
            name
            for name, entry in entries.items()
            if wanted & {_normal(parent) for parent in _VIA.findall(entry)}
        }
        grown = not via <= wanted
        wanted |= via
    return sorted(wanted)


def tree(names: Sequence[str], target: Target, cache: Path) -> Path | None:
    """The folder with `names` and what they require, pruned. None where nothing is required."""
    if not names:
        return None
    entries = pinned()
    text = "".join(entries[name] for name in required(names, entries))
    parts = (_PRUNING, target.python, target.platform or str(target.interpreter), text)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    made = cache / "trees" / key
    if made.is_dir():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".making-") as folder:
        requirements, files = Path(folder, "requirements.txt"), Path(folder, "files")
        requirements.write_text(text)
        _install(requirements, files, target)
        _prune(files)
        try:
            files.rename(made)
        except OSError:
            if not made.is_dir():  # another build made the same meanwhile
                raise
    return made


def top_level_names(folder: Path | None) -> list[str]:
    """What can be imported from a folder made by `tree`."""
    if folder is None:
        return []
    return sorted(
        {entry.name.partition(".")[0] for entry in folder.iterdir() if _importable(entry)}
    )


def uv_executable() -> str:
    from uv import find_uv_bin  # noqa: PLC0415 - only a build that isn't cached needs it

    try:
        return str(find_uv_bin())
    except FileNotFoundError as error:
        found = shutil.which("uv")
        if found is None:
            raise Unavailable("uv is missing", hint="`python -m pip install uv`") from error
        return found


def run_uv(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run uv with the machine's certificates, as pip has them: a proxy's is known to them alone."""
    certificates = any(Path(path).exists() for path in _SYSTEM_CERTIFICATES)
    defaults = {"UV_SYSTEM_CERTS": "1"} if certificates else {}
    return subprocess.run(
        [uv_executable(), "--quiet", "--no-progress", "--no-config", *arguments],
        env=defaults | os.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def _install(requirements: Path, folder: Path, target: Target) -> None:
    arguments = ["pip", "install", "--target", str(folder), "--requirement", str(requirements)]
    arguments += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--link-mode", "copy"]
    if target.platform is None:
        arguments += ["--python", str(target.interpreter)]
    else:
        arguments += ["--python", sys.executable, "--python-version", target.python]
        arguments += ["--python-platform", target.platform]
    run = run_uv(arguments)
    if run.returncode:
        said = "\n".join(run.stderr.strip().splitlines()[-8:])
        where = target.platform or "this machine"
        kind = Refused if "no wheels" in said.lower() or "hash" in said.lower() else Unavailable
        raise kind(
            f"uv can't install the requirements for Python {target.python} on {where}:\n{said}",
            hint="the package index must be reachable the first time; then the cache is used",
        )


def _prune(folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if not file.is_dir() and not _is_needed(file.relative_to(folder)):
            file.unlink()


def _is_needed(file: Path) -> bool:
    *folders, name = file.parts
    if folders and folders[0].endswith(".dist-info"):
        return _KEPT_METADATA.fullmatch(name) is not None
    if _UNNEEDED_FOLDERS.intersection(folders) or (not folders and name.startswith(".")):
        return False
    return not name.endswith(_UNNEEDED_SUFFIXES) and name != "py.typed"


def _importable(entry: Path) -> bool:
    return (entry.is_dir() and not entry.name.endswith(".dist-info")) or entry.suffix in {
        ".py",
        ".so",
    }


def _normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
