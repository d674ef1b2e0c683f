"""A stand-in to test against: in this process, or as the child process it is in the local cloud."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import urllib3

from triggerfish.local.jenkins.access import Access
from triggerfish.local.jenkins.core import Core
from triggerfish.local.jenkins.server import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

USER = "provisioner"
TOKEN = "11f0e1b6c7d24a5e9a"
PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    http: urllib3.PoolManager

    def control(self, method: str, what: str, body: object = None) -> dict[str, Any]:
        response = self.http.request(
            method,
            f"{self.url}_stand-in/{what}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert response.status == 200, response.data
        found: dict[str, Any] = json.loads(response.data)
        return found

    def job(self, name: str, **fields: object) -> None:
        declared = {"parameters": ["REQUEST_ID", "NAME"], "duration_s": 0.05}
        self.control("PUT", "jobs", {"name": name, **declared, **fields})

    def call(
        self,
        method: str,
        path: str,
        *,
        user: str | None = USER,
        secret: str = TOKEN,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        sent = dict(headers or {})
        if user is not None:
            sent |= urllib3.make_headers(basic_auth=f"{user}:{secret}")
        body = None
        if fields is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(fields)
        return self.http.request(
            method, self.url + path, body=body, headers=sent, redirect=False, retries=False
        )

    def json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", path).json()
        return found

    def trigger(self, job: str, **fields: str) -> urllib3.BaseHTTPResponse:
        path = "".join(f"job/{part}/" for part in job.split("/"))
        return self.call("POST", f"{path}buildWithParameters", fields=fields)


@contextlib.contextmanager
def standing(
    state: Path, *, secured: bool = True, executors: int = 8, prefix: str = ""
) -> Iterator[Running]:
    """A stand-in in this process."""
    core = Core(executors=executors, now=time.time())
    access = Access(USER, TOKEN, PASSWORD) if secured else Access(None, None, None)
    stand_in = StandIn(core, access, state=state, prefix=prefix)
    stand_in.start()
    http = urllib3.PoolManager()
    try:
        yield Running(stand_in.url, http)
    finally:
        http.clear()
        stand_in.stop()


@contextlib.contextmanager
def child(state: Path, *options: str) -> Iterator[tuple[Running, subprocess.Popen[str]]]:
    """A stand-in as a process of its own, ended when its standard input closes."""
    command = [sys.executable, "-m", "triggerfish.local.jenkins", "--state", str(state), *options]
    http = urllib3.PoolManager()
    with subprocess.Popen(
        [*command, "--user", USER, "--token", TOKEN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Running(json.loads(process.stdout.readline())["url"], http), process
        finally:
            http.clear()
            process.stdin.close()
            process.wait(timeout=10)


def eventually(check: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it didn't become true"
        time.sleep(0.01)
