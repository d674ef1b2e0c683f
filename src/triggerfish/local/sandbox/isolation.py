"""What this machine lets the sandbox enforce, found out once at start and said loudly."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from triggerfish.errors import Unavailable

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
TASK_ROOT = "/var/task"
SECONDS_TO_PROBE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    mode: Literal["namespaces", "user-namespaces", "none"]
    refusals: tuple[str, ...] = ()
    """Why the better modes don't work here."""
    counts_processes: bool = False

    @property
    def task_root(self) -> str | None:
        """Where a function's code appears; None where that's the folder it lies in."""
        return None if self.mode == "none" else TASK_ROOT

    def missing(self) -> tuple[str, ...]:
        """A line for each thing that AWS enforces and this machine can't."""
        lines = []
        if self.mode == "none":
            why = "; ".join(self.refusals)
            lines += [
                f"NOT ENFORCED: the size of /tmp; functions share this machine's /tmp ({why})",
                "NOT ENFORCED: a read-only file system; code runs where it lies, not at /var/task",
                "NOT ENFORCED: processes a function moved to a session of their own may outlive it",
            ]
        if not self.counts_processes:
            lines.append(
                "DIFFERS: the 1024 processes and threads of an environment: one more fails on AWS; "
                "here the environment is killed"
            )
        return tuple(lines)


def probe(python: Path) -> Isolation:
    """Ask the interpreter that functions run on. Raises: Unavailable where it doesn't run."""
    command = [str(python), "-s", str(BOOTSTRAP), "probe"]
    try:
        done = subprocess.run(
            command, capture_output=True, check=True, timeout=SECONDS_TO_PROBE, env={}
        )
        return msgspec.convert(json.loads(done.stdout), Isolation)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(f"{python}: can't start functions: {error}") from error
