"""How long `triggerfish up` takes, part by part.

    python bench/up.py

`up` is measured from before the process starts to the line that says the stack is up, with the
caches warm (environments made, artifact packaged) and no state; runs of the command and runs with a
clock on each part alternate. Children start at the same moment, so their times overlap.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import machine
from inside.project import CLI, project

UPS = 4


def up(folder: Path, *options: str) -> float:
    """Seconds until `up` said that the stack is up; stops it then."""
    began = time.perf_counter()
    with subprocess.Popen(
        [CLI, "up", *options], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        stderr = process.stderr
        if stderr is None:
            raise AssertionError
        for said in stderr:
            if " is up in " in said:
                break
        took_s = time.perf_counter() - began
        process.send_signal(signal.SIGINT)
        stderr.read()
    if process.returncode not in {0, 128 + signal.SIGINT}:  # by what it was doing just then
        raise SystemExit(f"up ended with exit status {process.returncode}")
    return took_s


def measure_up(folder: Path) -> None:
    up(folder, "--fresh")
    whole: list[float] = []
    again: list[float] = []
    parts: dict[str, list[float]] = defaultdict(list)
    inside = Path(__file__).parent / "inside" / "parts.py"
    for _ in range(UPS):
        whole.append(up(folder, "--fresh"))
        again.append(up(folder))
        run = subprocess.run(
            [sys.executable, inside, folder], stdout=subprocess.PIPE, text=True, check=True
        )
        for name, took_s in json.loads(run.stdout).items():
            parts[name].append(took_s)
    print(machine.line("up, from nothing but warm caches", whole, "s", 5))
    print(machine.line("up again, with the state of the last run", again, "s", 5))
    for name, samples in parts.items():
        print(machine.line(f"  {name}", samples, "s"))


def main() -> None:
    print(machine.describe())
    with machine.bytecode(), project() as folder:
        measure_up(folder)
    print(f"load average {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
