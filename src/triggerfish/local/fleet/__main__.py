"""`python -m triggerfish.local.fleet`: the fleet as a child process of the local cloud."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

gc.disable()  # nothing imported below is garbage: 60 ms less to start

from triggerfish.local import child  # noqa: E402
from triggerfish.local.fleet import (  # noqa: E402
    lean_moto,  # noqa: F401 - before whatever imports moto
    mending,
    snapshot,
)
from triggerfish.local.fleet.fleet import Fleet  # noqa: E402
from triggerfish.local.fleet.service import Service, serve  # noqa: E402
from triggerfish.local.fleet.state import Delays  # noqa: E402


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m triggerfish.local.fleet")
    parser.add_argument("--port", type=int, required=True, help="0 for any free port")
    parser.add_argument("--state", type=Path, required=True, help="folder of the durable state")
    parser.add_argument("--sns-url", required=True, help="where SNS answers")
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--seed", type=int, help="makes ids and injected faults repeatable")
    for field in fields(Delays):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=float, default=field.default, metavar="SECONDS")
    return parser.parse_args()


def _restore(fleet: Fleet, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fleet.snapshot"
    problem = snapshot.restore(fleet, path)
    if problem is not None:
        aside = path.with_suffix(".unread")
        path.replace(aside)
        sys.stderr.write(
            f"fleet: starting empty: the snapshot was set aside as {aside}, because {problem}\n"
        )


def main() -> None:
    arguments = _arguments()
    delays = Delays(**{field.name: getattr(arguments, field.name) for field in fields(Delays)})
    fleet = Fleet(
        account=arguments.account,
        region=arguments.region,
        clock=SystemClock(),
        delays=delays,
        seed=arguments.seed,
    )
    mending.install(fleet)
    _restore(fleet, arguments.state)
    service = Service(fleet, state=arguments.state, sns_url=arguments.sns_url)
    service.start()
    url, stop = serve(service, arguments.port)
    gc.enable()
    gc.freeze()
    threading.Thread(target=mending.warm_up, daemon=True).start()
    child.announce(url)
    child.serve_until_parent_exits(stop)


main()
