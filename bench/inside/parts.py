"""One `up` in a process of its own, with a clock on each of its parts; prints them as JSON.

    python bench/inside/parts.py PROJECT

The clocks are put around the functions that `LocalCloud` calls; what runs is the product.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import json  # noqa: E402  the imports are a part that is measured
import select  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from triggerfish.config.load import load  # noqa: E402
from triggerfish.local import cloud  # noqa: E402
from triggerfish.local.project import LocalProject  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

parts: dict[str, float] = {}


def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            parts[name] = time.perf_counter() - began

    return run


class ClockedChild(cloud.Child):
    """Notes when the child's first words can be read, whoever is waited for meanwhile."""

    def __init__(self, name: str, *given: Any, **named: Any) -> None:
        self._began = time.perf_counter()
        super().__init__(name, *given, **named)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        select.select([self._process.stdout], [], [])
        self._note()

    def wait_until_ready(self, *given: float) -> Mapping[str, object]:
        announced = super().wait_until_ready(*given)
        self._note()
        return announced

    def _note(self) -> None:
        parts.setdefault(f"child {self.name} ready", time.perf_counter() - self._began)


def put_clocks() -> None:
    places = (
        (cloud.environments, "ensure_environments", "environments checked"),
        (cloud.ProvisionWorld, "stand_ins", "jenkins probed"),
        (cloud.ProvisionWorld, "make", "world made"),
        (cloud.LocalCloud, "_plan", "template and package (beside the world)"),
        (cloud, "deploy", "stack deployed"),
        (cloud.ProvisionWorld, "connect", "groups connected"),
        (cloud.ProvisionWorld, "function_parameters", "parameters read"),
        (cloud.LocalCloud, "_start", "all processes ready"),
    )
    for holder, attribute, name in places:
        setattr(holder, attribute, clocked(name, getattr(holder, attribute)))
    cloud.Child = ClockedChild  # type: ignore[misc]


def main() -> None:
    parts["imports"] = time.perf_counter() - BEGAN
    put_clocks()
    project = Path(sys.argv[1])
    config = load(project / "triggerfish.toml", "local")
    with cloud.LocalCloud(
        project=LocalProject(project), config=config, say=lambda _: None, fresh=True
    ):
        parts["whole"] = time.perf_counter() - BEGAN
    print(json.dumps(parts))


if __name__ == "__main__":
    main()
