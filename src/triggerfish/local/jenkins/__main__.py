"""`python -m triggerfish.local.jenkins --port N --state DIR`: the stand-in as a child process."""

from __future__ import annotations

import argparse
import logging
import os
import time
from pathlib import Path

from triggerfish.local import child
from triggerfish.local.jenkins import TOKEN_VARIABLE
from triggerfish.local.jenkins.access import Access
from triggerfish.local.jenkins.core import Core
from triggerfish.local.jenkins.model import QUIET_PERIOD_S
from triggerfish.local.jenkins.server import StandIn


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.WARNING)
    core = Core(executors=options.executors, quiet_period_s=options.quiet_period, now=time.time())
    access = Access(options.user, options.token, options.password)
    stand_in = StandIn(
        core, access, state=options.state, port=options.port, prefix=options.prefix.rstrip("/")
    )
    stand_in.start()
    child.announce(stand_in.url)
    child.serve_until_parent_exits(stand_in.stop)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m triggerfish.local.jenkins")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--user")
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE),
        help=f"the user's API token; needs no crumb; by default from {TOKEN_VARIABLE}",
    )
    parser.add_argument("--password", help="the user's password; needs a crumb")
    parser.add_argument("--executors", type=int, default=8)
    parser.add_argument("--quiet-period", type=float, default=QUIET_PERIOD_S)
    parser.add_argument("--prefix", default="", help="a context path such as /jenkins")
    return parser.parse_args()


if __name__ == "__main__":
    main()
