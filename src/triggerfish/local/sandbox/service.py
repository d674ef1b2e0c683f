"""The sandbox put together, and the thread it runs in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from triggerfish.local.sandbox.code import CodeStore
from triggerfish.local.sandbox.environ import Injected
from triggerfish.local.sandbox.environment import Host
from triggerfish.local.sandbox.functions import Catalogue
from triggerfish.local.sandbox.http import Connection, EmulatorClient
from triggerfish.local.sandbox.isolation import Isolation, probe
from triggerfish.local.sandbox.logs import CloudWatch, LogFiles, LogWriter
from triggerfish.local.sandbox.pool import Pools
from triggerfish.local.sandbox.server import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from triggerfish.local.sandbox.options import Options

REAP_EVERY_S = 1.0
SECONDS_FOR_LOGS = 1.0
SECONDS_TO_DIE = 0.5
BACKLOG = 512


class Service:
    """Runs in a thread of its own, which also starts every process and so must outlive them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.isolation = choose(options)
        for line in self.isolation.missing():
            _say(line)
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._url = ""
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run_loop, name="sandbox")

    def start(self) -> str:
        """Serve; the URL to post invocations to. Raises: OSError where the port is taken."""
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self._url

    def stop(self) -> None:
        """End every environment, write the last logs, stop serving."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._error = error
        finally:
            self._loop.close()
            self._started.set()

    async def _serve(self) -> None:
        options = self.options
        key = options.credentials.access_key
        emulator = EmulatorClient(options.aws_url, access_key=key)
        cloud = CloudWatch(options.aws_url, access_key=key)
        logs = LogWriter(LogFiles(options.state / "logs"), cloud)
        host = Host(
            isolation=self.isolation,
            injected=Injected(
                endpoints=options.endpoints,
                credentials=options.credentials,
                secrets={name: os.environ[name] for name in options.secrets if name in os.environ},
            ),
            logs=logs,
            python=interpreter(options, _say),
        )
        pools = Pools(host, most=options.environments)
        catalogue = Catalogue(emulator, CodeStore(options.state / "code"))
        endpoint = Endpoint(catalogue, pools, self.isolation)
        server = await self._loop.create_server(
            lambda: Connection(endpoint.handle), "127.0.0.1", options.port, backlog=BACKLOG
        )
        logs.start()
        self._url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._reap_until_stopped(pools)
        server.close()
        end(pools)
        await cancel_all()
        await asyncio.to_thread(logs.stop, SECONDS_FOR_LOGS)
        emulator.close()
        cloud.close()

    async def _reap_until_stopped(self, pools: Pools) -> None:
        while not self._stopping.is_set():
            pools.reap(idle_before=time.monotonic() - self.options.idle_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), REAP_EVERY_S)


def choose(options: Options) -> Isolation:
    """The best isolation that works here, or the one asked for. Raises: Unavailable."""
    if options.isolation == "best":
        return probe(options.default_python)
    return Isolation(mode=options.isolation, refusals=("asked for by --isolation",))


async def cancel_all() -> None:
    """Invocations under way end without an answer."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def end(pools: Pools) -> None:
    environments = pools.all()
    for environment in environments:
        environment.kill()
    for environment in environments:
        environment.wait(SECONDS_TO_DIE)


def interpreter(options: Options, say: Callable[[str], None]) -> Callable[[str], Path]:
    """The interpreter for a runtime; says once for each that runs on another version."""
    said: set[str] = set()

    def find(runtime: str) -> Path:
        exact = options.pythons.get(runtime)
        if exact is None and options.pythons and runtime not in said:
            said.add(runtime)
            say(f"no interpreter for {runtime}: its functions run on {options.default_python}")
        return exact or options.default_python

    return find


def _say(text: str) -> None:
    sys.stderr.write(f"sandbox: {text}\n")
    sys.stderr.flush()
