"""What every process of the local cloud does: say where it serves, and never outlive its parent.

A parent that is killed can't stop its children. Each child therefore holds the read end of a pipe
whose write end only the parent holds (its standard input), and leaves when that pipe closes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS_TO_STOP = 2.0

_finished = threading.Event()


def announce(url: str, **extra: object) -> None:
    """Tell the parent that `url` answers from now on: one line of JSON, the only one on stdout.

    From here on SIGTERM and SIGINT end the process in order: the parent may send one at once.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _finish)
    sys.stdout.write(json.dumps({"ready": True, "url": url, **extra}) + "\n")
    sys.stdout.flush()


def serve_until_parent_exits(stop: Callable[[], None]) -> None:
    """Block until standard input closes or SIGTERM or SIGINT arrives, then call `stop` and return.

    A `stop` that hangs can't keep the process: it's ended after `SECONDS_TO_STOP`.
    """
    threading.Thread(target=_wait_for_end_of_input, daemon=True).start()
    _finished.wait()
    watchdog = threading.Timer(SECONDS_TO_STOP, os._exit, args=(1,))
    watchdog.daemon = True
    watchdog.start()
    stop()
    watchdog.cancel()


def _finish(*_: object) -> None:
    _finished.set()


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    _finish()
