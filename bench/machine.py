"""The machine a figure was measured on, and how samples are summed up.

python bench/machine.py
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGES = ("triggerfish", "msgspec", "botocore", "moto", "urllib3")


def describe(*packages: str) -> str:
    """Cores, processor, Python, versions, load and the command: what a figure is worth nothing
    without."""
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    versions = ", ".join(f"{name} {_version(name)}" for name in (*PACKAGES, *packages))
    return "\n".join(
        (
            f"{os.cpu_count()} cores, {_processor()}, {platform.platform()}",
            f"Python {platform.python_version()}, {versions}",
            f"load average {load}; python {' '.join(sys.argv)}",
        )
    )


@contextmanager
def bytecode() -> Iterator[None]:
    """Let the processes that are measured keep their bytecode, as an installed program does.

    Where `PYTHONDONTWRITEBYTECODE` forbids it they keep it in a folder that goes away afterwards;
    the first run of each script fills it and isn't counted.
    """
    if not sys.dont_write_bytecode:
        yield
        return
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="triggerfish-bench-") as folder:
        del os.environ["PYTHONDONTWRITEBYTECODE"]
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def line(what: str, samples: Sequence[float], unit: str, budget: float | None = None) -> str:
    """Median and spread of the samples, and whether the median is within its budget."""
    middle = statistics.median(samples)
    verdict = ""
    if budget is not None:
        verdict = f"   {'within' if middle <= budget else 'OVER'} {budget:g} {unit}"
    spread = f"{min(samples):.1f} to {max(samples):.1f}, n={len(samples)}"
    if unit == "s":
        spread = f"{min(samples):.2f} to {max(samples):.2f}, n={len(samples)}"
    digits = 2 if unit == "s" else 1
    return f"{what:<44} {middle:8.{digits}f} {unit:<2} ({spread}){verdict}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [one.partition(":")[2].strip() for one in text.splitlines() if "model name" in one]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    print(describe())
