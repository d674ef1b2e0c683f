"""The emulator's process: environment, mends, state, and one loopback port."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from . import environment, guard
from .loop import OWNER

if TYPE_CHECKING:
    import argparse

    from .sources import Wake

SECONDS_TO_STOP = 2.0
HEARTBEAT_S = 30.0
"""Everything is looked at this often, for changes that no request announced."""

BACKLOG = 2048


def run(options: argparse.Namespace) -> None:
    """Serve until standard input ends or a signal arrives."""
    listener = socket.create_server(("127.0.0.1", options.port), backlog=BACKLOG, reuse_port=False)
    port = listener.getsockname()[1]
    environment.apply(options, port)
    logging.basicConfig(level=options.log_level, stream=sys.stderr)
    guard.check_version()
    asyncio.run(serve(options, listener, f"http://127.0.0.1:{port}"))
    # Threads that wait for a function would keep the interpreter for as long as it runs.
    sys.stderr.flush()
    os._exit(0)


async def serve(options: argparse.Namespace, listener: socket.socket, url: str) -> None:
    from . import sources  # noqa: PLC0415 ministack reads the environment when imported

    wake = sources.install_wake()
    background, checkpoints = mend(options, wake)

    from hypercorn.asyncio import serve as serve_http  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack import app  # noqa: PLC0415

    from .gateway import Gateway  # noqa: PLC0415

    stop = asyncio.Event()
    stop_when_told(stop)
    OWNER.adopt()
    tasks: list[asyncio.Task[None]] = []

    def ready() -> None:
        tasks.extend(asyncio.create_task(each()) for each in background)
        sys.stdout.write(json.dumps({"ready": True, "url": url}) + "\n")
        sys.stdout.flush()

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.2
    config.shutdown_timeout = 1.0
    config.loglevel = options.log_level
    config.accesslog = None
    gateway: Any = Gateway(app.app, ready, checkpoints.mark)
    await serve_http(gateway, config, shutdown_trigger=stop.wait)


def mend(options: argparse.Namespace, wake: Wake) -> tuple[list[Any], Any]:
    """Apply every mend; the coroutines to run while serving, and the checkpoints."""
    from . import (  # noqa: PLC0415 ministack reads the environment when imported
        checkpoint,
        elsewhere,
        functions,
        invocations,
        mail,
        parameters,
        schedules,
        sources,
        tables,
        templates,
        topics,
        zones,
    )
    from .sandbox import Sandbox  # noqa: PLC0415
    from .store import Store  # noqa: PLC0415

    mail.mend()
    checkpoints = checkpoint.mend(Store(options.state / "checkpoint"))
    invocations.mend(Sandbox(options.sandbox_url), checkpoints.mark)
    functions.mend()
    templates.mend()
    tables.mend()
    zones.mend()
    schedules.mend(checkpoints.mark)
    topics.mend()
    parameters.mend()
    elsewhere.mend()
    checkpoint.track(checkpoints)
    poller = sources.mend(wake, checkpoints.mark)

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            checkpoints.mark_all()

    return [poller.run, checkpoints.run, heartbeat], checkpoints


def stop_when_told(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def begin() -> None:
        stop.set()
        watchdog = threading.Timer(SECONDS_TO_STOP, os._exit, args=(1,))
        watchdog.daemon = True
        watchdog.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin)

    def wait_for_parent() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(begin)

    threading.Thread(target=wait_for_parent, daemon=True).start()
