from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.recorder import Recorder, eventually
from triggerfish.local.fleet import outbox
from triggerfish.local.fleet.messages import Message
from triggerfish.local.fleet.outbox import Publisher, SnsDoor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.fleet.harness import Local

MESSAGE = Message(
    topic_arn="arn:aws:sns:eu-west-1:123456789012:changes",
    subject='Auto Scaling: launch for group "shop"',
    body='{"Event":"autoscaling:EC2_INSTANCE_LAUNCH"}',
)


@pytest.fixture
def sns() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def publisher(local: Local, url: str) -> Publisher:
    return Publisher(
        local.fleet,
        SnsDoor(url, "eu-west-1"),
        durable_version=lambda: local.service.journal.durable,
        delivered=local.service.journal.tidy,
    )


def put(local: Local) -> None:
    with local.fleet.lock:
        outbox.put(local.fleet, MESSAGE)


def test_a_message_is_published_as_sns_takes_it(local: Local, sns: Recorder) -> None:
    put(local)
    with local.fleet.lock:
        version = local.fleet.changed()
    local.service.journal.wait(version)
    sending = publisher(local, sns.url)
    sending.start()
    eventually(lambda: sns.requests)
    sending.stop()
    assert sns.requests == [
        {
            "Action": "Publish",
            "Version": "2010-03-31",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:changes",
            "Subject": 'Auto Scaling: launch for group "shop"',
            "Message": '{"Event":"autoscaling:EC2_INSTANCE_LAUNCH"}',
        }
    ]
    assert "/eu-west-1/sns/aws4_request" in sns.authorizations[0]
    assert local.fleet.state.outbox == {}
    assert local.fleet.state.published == 1


def test_a_message_waits_until_its_change_is_on_disk(local: Local, sns: Recorder) -> None:
    put(local)
    sending = publisher(local, sns.url)
    sending.start()
    sending.wake()
    with local.fleet.lock:
        assert sns.requests == []
        version = local.fleet.changed()
    local.service.journal.wait(version)
    sending.wake()
    eventually(lambda: sns.requests)
    sending.stop()


@pytest.mark.parametrize("answer", [404, 500])
def test_a_message_sns_refuses_is_tried_again(
    local: Local, sns: Recorder, answer: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sns.answers = [answer, 200]
    put(local)
    with local.fleet.lock:
        version = local.fleet.changed()
    local.service.journal.wait(version)
    sending = publisher(local, sns.url)
    sending.start()
    eventually(lambda: len(sns.requests) == 1)
    eventually(lambda: any(one.attempts for one in local.fleet.state.outbox.values()))
    local.pass_s(1)
    sending.wake()
    eventually(lambda: len(sns.requests) == 2)
    sending.stop()
    assert local.fleet.state.outbox == {}
    assert f"fleet: SNS did not take a message, trying again: HTTP {answer}" in (
        capsys.readouterr().err
    )


def test_a_message_is_kept_while_sns_cannot_be_reached(
    local: Local, sns: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    port = nobody.server_port
    nobody.server_close()
    put(local)
    with local.fleet.lock:
        version = local.fleet.changed()
    local.service.journal.wait(version)
    sending = publisher(local, f"http://127.0.0.1:{port}")
    sending.start()
    eventually(lambda: "ConnectionRefusedError" in capsys.readouterr().err)
    sending.stop()
    assert len(local.fleet.state.outbox) == 1
    assert sns.requests == []


def test_a_message_nobody_took_for_an_hour_is_given_up(
    local: Local, sns: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    sns.answers = [500] * 100
    put(local)
    with local.fleet.lock:
        version = local.fleet.changed()
    local.service.journal.wait(version)
    local.pass_s(3601)
    sending = publisher(local, sns.url)
    sending.start()
    eventually(lambda: not local.fleet.state.outbox)
    sending.stop()
    assert local.fleet.state.published == 0
    assert "HTTP 500" in capsys.readouterr().err


def test_stopping_leaves_no_thread(local: Local, sns: Recorder) -> None:
    before = threading.active_count()
    sending = publisher(local, sns.url)
    sending.start()
    sending.stop()
    assert threading.active_count() == before
