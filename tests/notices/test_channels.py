"""Apprise itself, against a server on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.notices.test_mail import make_message
from triggerfish.errors import Refused, Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.notices.channels import AppriseChannel
from triggerfish.notices.config import Channel
from triggerfish.notices.deliver import Outgoing
from triggerfish.runtime.aws import Clients
from triggerfish.runtime.secrets import Secrets
from triggerfish.secret_reference import SecretReference

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTGOING = Outgoing(
    message=make_message(chat_title="[high] Title", chat="User: bob\n| SELECT 1"),
    thread="",
    number=0,
    mail_ids=(),
)


def channel(url: str | None) -> AppriseChannel:
    environment = {} if url is None else {"CHAT_URL": url}
    secrets = Secrets(Clients(), ManualClock(), environment=environment)
    return AppriseChannel(Channel(name="chat", url=SecretReference.parse("env:CHAT_URL")), secrets)


pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""A plug-in of Apprise's uses it where Python has it."""


@contextmanager
def chat(status: int = 200) -> Iterator[tuple[str, list[dict[str, object]]]]:
    got: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"json://127.0.0.1:{server.server_port}/secret-token", got
        finally:
            server.shutdown()
            thread.join()


def test_a_message_reaches_the_channel() -> None:
    with chat() as (url, got):
        assert channel(url).send(OUTGOING) == "sent"
    assert [(one["title"], one["message"], one["type"]) for one in got] == [
        ("[high] Title", "User: bob\n| SELECT 1", "failure")
    ]


def test_a_channel_that_says_no_is_tried_later_and_its_url_is_not_told() -> None:
    with chat(503) as (url, _), pytest.raises(Unavailable) as raised:
        channel(url).send(OUTGOING)
    assert str(raised.value).startswith("not taken: ")
    assert "secret-token" not in str(raised.value)


def test_a_channel_that_is_not_there_is_tried_later() -> None:
    with chat() as (url, _):
        pass
    with pytest.raises(Unavailable, match=r"^not taken: "):
        channel(url).send(OUTGOING)


def test_a_url_that_apprise_does_not_know_is_refused_and_not_told() -> None:
    with pytest.raises(Refused) as raised:
        channel("hunter2").send(OUTGOING)
    assert str(raised.value) == "the secret at env:CHAT_URL is no URL that Apprise knows"


def test_a_secret_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match=r"^there is no secret at env:CHAT_URL$"):
        channel(None).send(OUTGOING)


def test_apprise_is_imported_by_the_first_message_only() -> None:
    code = (
        "import sys; import triggerfish.notices.handler;"
        " print(sorted({'apprise', 'requests', 'botocore', 'asyncio'} & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"
