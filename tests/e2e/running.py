"""`triggerfish up` as a person runs it: a process of its own in a project's folder."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from triggerfish.config.load import load
from triggerfish.local.clients import clients_of
from triggerfish.local.project import LocalProject, Running
from triggerfish.provision import report
from triggerfish.provision.store import GroupStore, history
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from triggerfish.runtime.aws import Clients

TRIGGERFISH = Path(sys.prefix) / "bin" / "triggerfish"
PATIENCE_S = 60.0

WITH_SIGNALS = (
    "import os, signal, sys\n"
    "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
    "    signal.signal(number, signal.SIG_DFL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
"""A shell starts what runs in its background deaf to Ctrl-C, and this suite may run in one."""


def eventually(condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """What `condition` gives once it is true."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"it never came true that {what}"
        time.sleep(0.02)


class Up:
    """One run of `triggerfish up`."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.project = LocalProject(folder)
        self._heard = folder / "up.stderr"
        with self._heard.open("ab") as heard:
            self._from = heard.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-c", WITH_SIGNALS, str(TRIGGERFISH), "up", *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=heard,
            )
        self._clients: Clients | None = None
        self._parts: list[psutil.Process] = []

    def ready(self) -> Up:
        """Wait until it serves."""

        def served() -> bool:
            assert self.process.poll() is None, self.said()
            running = self.project.running()
            return running is not None and running.pid == self.process.pid

        eventually(served, "the local cloud is up")
        self.parts()
        return self

    def said(self) -> str:
        """What it told the person; not that this machine lacks Lambda's Python, where it does."""
        told = self._heard.read_bytes()[self._from :].decode()
        lines = told.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("no Python 3."))

    # --- processes

    def parts(self) -> list[psutil.Process]:
        """All processes below it, also of earlier looks."""
        if self.process.poll() is None:
            now = psutil.Process(self.process.pid).children(recursive=True)
            self._parts += [one for one in now if one not in self._parts]
        return self._parts

    def part(self, module: str) -> psutil.Process:
        """The direct child whose command line names the module."""
        children = psutil.Process(self.process.pid).children()
        (found,) = [one for one in children if any(module in word for word in one.cmdline())]
        return found

    def left(self) -> list[psutil.Process]:
        """What still runs of it."""
        return [one for one in self._parts if one.is_running() and not _is_dead(one)]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.parts()
        self.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        """Kill it and everything below it, as the kernel does when memory is short."""
        for one in [psutil.Process(self.process.pid), *self.parts()]:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()
        self.close()
        eventually(lambda: not self.left(), "everything killed is dead")

    def close(self) -> None:
        if self._clients is not None:
            self._clients.close()
            self._clients = None

    # --- what it serves

    @property
    def running(self) -> Running:
        return self.project.expect_running()

    @property
    def clients(self) -> Clients:
        if self._clients is None:
            running = self.running
            self._clients = clients_of(running.addresses, running.region)
        return self._clients

    @property
    def table(self) -> DynamoTable:
        return DynamoTable(self.clients.dynamodb, f"{self.running.stack}-state")

    def members(self, group: str) -> list[dict[str, Any]]:
        """As `members --json` gives them."""
        store = GroupStore(self.table, group, SystemClock())
        found = report.in_order(store.read().members.values())
        return [report.member_data(member) for member in found]

    def wait_for(
        self, group: str, count: int, phase: str = "ready", within_s: float = PATIENCE_S
    ) -> list[dict[str, Any]]:
        """The group's members once there are so many and all are there."""

        def there() -> list[dict[str, Any]] | None:
            members = self.members(group)
            done = len(members) == count and all(one["phase"] == phase for one in members)
            return members if done else None

        found: list[dict[str, Any]] = eventually(
            there, f"{count} members of {group} are {phase}", within_s
        )
        return found

    def causes(self, instance: str) -> list[str]:
        """The story of an instance."""
        return [entry.cause for entry in history(self.table, instance)]

    def builds(self, jenkins: str = "main", **parameters: str) -> list[dict[str, Any]]:
        """The builds of a stand-in that were given these parameters, oldest first."""
        found = request(self.running.addresses[f"jenkins-{jenkins}"], "GET", "/_stand-in/builds")
        return [one for one in found["builds"] if parameters.items() <= one["parameters"].items()]

    def jenkins(self, jenkins: str, method: str, what: str, body: object) -> dict[str, Any]:
        """Speak to the stand-in itself."""
        url = self.running.addresses[f"jenkins-{jenkins}"]
        return request(url, method, f"/_stand-in/{what}", body)

    def fleet(self, what: str, body: object) -> dict[str, Any]:
        return request(self.running.addresses["fleet"], "POST", f"/_fleet/{what}", body)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(self.folder, *words)

    def data(self, *words: str) -> Any:
        """What a command prints with `--json`."""
        done = self.command(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the command line, to its end."""
    return subprocess.run(
        [str(TRIGGERFISH), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def request(url: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, text
    told: dict[str, Any] = json.loads(text)
    return told


def make_project(folder: Path, text: str, cache: Path | None = None) -> Path:
    """A project that may share what is built with others: the same is built in all of them."""
    (folder / ".triggerfish").mkdir(parents=True, exist_ok=True)
    if cache is not None and not (folder / ".triggerfish/cache").exists():
        (folder / ".triggerfish/cache").symlink_to(cache)
    config = folder / "triggerfish.toml"
    config.write_text(text)
    load(config)
    return folder


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
