"""A project in a folder that goes away: the config `triggerfish init` writes, and perhaps more."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLI = Path(sys.executable).with_name("triggerfish")
GROUP = """
[[provision]]
group = "{name}"
name = "{name}-{{number}}"
domain = "{name}-{{number}}.internal.example.com"
zone = "internal.example.com"
jenkins = "main"
jobs = [{jobs}]
finish = "{finish}"
"""


@contextmanager
def project(*groups: str) -> Iterator[Path]:
    """A new project's folder, with these `[[provision]]` tables added."""
    sample = files("triggerfish.config").joinpath("sample.toml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="triggerfish-bench-") as folder:
        path = Path(folder)
        (path / "triggerfish.toml").write_text(sample + "".join(groups), encoding="utf-8")
        yield path


def group(name: str, *jobs: str, finish: str = "built") -> str:
    return GROUP.format(name=name, jobs=", ".join(f'"{job}"' for job in jobs), finish=finish)
