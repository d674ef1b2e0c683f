"""`triggerfish demo`: every trigger's main job on a local cloud of its own, with nothing kept."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.config.load import load
from triggerfish.local.cloud import LocalCloud
from triggerfish.local.demo import audit, provision
from triggerfish.local.project import LocalProject

if TYPE_CHECKING:
    from collections.abc import Callable

    from triggerfish.local.demo.provision import Act

ACTS: dict[str, Callable[[LocalCloud, Callable[[str], None]], Act]] = {
    "provision": provision.play,
    "audit": audit.play,
}
"""One act a trigger, played in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the demo found: `data` for `--json`, `lines` for a person."""

    data: dict[str, object]
    lines: tuple[str, ...]


def run_demo(say: Callable[[str], None]) -> Shown:
    """Play every act. Raises Unavailable when something doesn't happen in time."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="triggerfish-demo-") as folder:
        project = Path(folder)
        config_file = project / "triggerfish.toml"
        config_file.write_text(_sample())
        say("starting a local cloud")
        with LocalCloud(
            project=LocalProject(project),
            config=load(config_file, "local"),
            say=say,
            real_jenkins=False,
        ) as cloud:
            if cloud.timings is None:
                raise AssertionError  # set before the context is entered
            say(f"stack {cloud.stack} is deployed")
            acts = {name: act(cloud, say) for name, act in ACTS.items()}
            timings = cloud.timings
            say("stopping")
    total_s = time.monotonic() - began
    figures = [f"ready {timings.ready_s:.1f} s", f"deployed {timings.deploy_s:.1f} s"]
    figures += [act.figures for act in acts.values()]
    lines = [line for act in acts.values() for line in act.lines]
    return Shown(
        data={
            "ready_s": timings.ready_s,
            "deploy_s": timings.deploy_s,
            "total_s": round(total_s, 3),
            **{name: act.data for name, act in acts.items()},
        },
        lines=(*lines, "", ", ".join([*figures, f"{total_s:.1f} s in all"])),
    )


def _sample() -> str:
    """The file that `triggerfish init` writes: what a newcomer begins with is what is shown."""
    return files("triggerfish.config").joinpath("sample.toml").read_text(encoding="utf-8")
