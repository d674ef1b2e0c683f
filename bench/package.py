"""How large each function's artifact is, and how long it takes to build.

    python bench/package.py

For Lambda itself, from the config `triggerfish init` writes. "Cold" is with an empty cache of ours
(uv's own stays), "unchanged" a second build.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import triggerfish
from triggerfish.config.load import load
from triggerfish.deploy import blueprints
from triggerfish.deploy.package import Artifact, Target, package
from triggerfish.local.environments import lambda_python

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.blueprint import Function

SAMPLE = Path(triggerfish.__file__).parent / "config" / "sample.toml"
BUDGET_BYTES = 1024 * 1024
REPEATS = 5


def timed(
    functions: Sequence[Function], target: Target, cache: Path
) -> tuple[float, list[Artifact]]:
    began = time.perf_counter()
    artifacts = package(functions, target, cache=cache)
    return time.perf_counter() - began, artifacts


def main() -> None:
    config = load(SAMPLE, "prod")
    functions = [
        function
        for _, blueprint in blueprints.collect(config, "prod")
        for function in blueprint.functions
    ]
    python = lambda_python(config.functions.runtime)
    target = Target.of_lambda(config.functions, python.path if python.exact else None)
    with tempfile.TemporaryDirectory() as folder:
        cold, artifacts = timed(functions, target, Path(folder))
        warm = min(timed(functions, target, Path(folder))[0] for _ in range(REPEATS))
    print(f"{platform.platform()}, {os.cpu_count()} processors, uv and Python {python.version}")
    for artifact in artifacts:
        largest = ", ".join(f"{name} {size:,}" for name, size in artifact.largest)
        verdict = "within" if artifact.zip_bytes <= BUDGET_BYTES else "OVER"
        print(
            f"{artifact.function:<24} {artifact.zip_bytes:>9,} bytes zipped ({verdict} "
            f"{BUDGET_BYTES:,}), {artifact.unzipped_bytes:,} unzipped: {largest}"
            f"{'' if artifact.compiled else '; without bytecode'}"
        )
    print(f"cold {cold:.3f} s, unchanged {warm:.3f} s (best of {REPEATS})")


if __name__ == "__main__":
    main()
