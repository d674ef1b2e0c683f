"""Python sources compiled for the interpreter that will run them.

`/var/task` is read-only, so a function without bytecode compiles all it imports at every cold
start. The files are "unchecked hash" ones: they hold no time, and Python doesn't look at the source
before it uses them. The sources go along, for tracebacks.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.deploy.dependencies import run_uv
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

TASK_ROOT = "/var/task"
"""Where Lambda unpacks an artifact: the file names inside the bytecode."""

_COMPILE = """
import json, py_compile, sys
jobs = json.load(sys.stdin)
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, target, shown in jobs:
    py_compile.compile(source, target, shown, doraise=True, invalidation_mode=unchecked)
print(sys.implementation.cache_tag)
"""


@functools.cache
def interpreter_for(version: str) -> Path | None:
    """An interpreter of this machine with this minor version (`3.13`), never a downloaded one."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable)
    run = run_uv(["python", "find", "--no-python-downloads", "--system", version])
    found = run.stdout.strip()
    return Path(found) if run.returncode == 0 and found else None


def compiled(sources: Mapping[str, bytes], interpreter: Path) -> dict[str, bytes]:
    """The bytecode of `sources` (path in the artifact to text), by path in the artifact.

    The same sources and interpreter give the same bytes: all are compiled in one fresh process,
    always in the same order, with a fixed hash seed.
    """
    with tempfile.TemporaryDirectory(prefix="triggerfish-") as folder:
        jobs = []
        for number, (path, text) in enumerate(sorted(sources.items())):
            source, target = Path(folder, f"{number}.py"), Path(folder, f"{number}.pyc")
            source.write_bytes(text)
            jobs.append((str(source), str(target), f"{TASK_ROOT}/{path}"))
        tag = _run(interpreter, jobs)
        return {
            cached_name(path, tag): Path(job[1]).read_bytes()
            for path, job in zip(sorted(sources), jobs, strict=True)
        }


def cached_name(path: str, tag: str) -> str:
    """`a/b.py` as `a/__pycache__/b.cpython-313.pyc`. Source: PEP 3147."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def _run(interpreter: Path, jobs: list[tuple[str, str, str]]) -> str:
    run = subprocess.run(
        [interpreter, "-S", "-c", _COMPILE],
        input=json.dumps(jobs),
        env={"PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        said = run.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Refused(f"{interpreter} can't compile a function's source: {said[0]}")
    return run.stdout.strip()
