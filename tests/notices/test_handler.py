"""The function, called as Lambda calls it, on the emulator: its queue, its table and its SES."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.events import event
from tests.local.emulator import kit
from tests.notices.world import make_notice, make_settings
from triggerfish.codec import encode
from triggerfish.errors import Unavailable
from triggerfish.local.mailbox import Mail, Mailbox
from triggerfish.local.notices import NoticesWorld
from triggerfish.notices import handler as function
from triggerfish.notices.config import NoticesSettings
from triggerfish.notices.handler import WAKE
from triggerfish.notices.store import NoticeStore
from triggerfish.runtime.aws import ANY_SERVICE, Clients, Credentials
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.notices import to_message
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.local.emulator.kit import Emulator
    from triggerfish.notice import Notice

pytestmark = pytest.mark.cloud

DONE: dict[str, list[object]] = {"batchItemFailures": []}


@dataclass
class Context:
    aws_request_id: str = field(default_factory=kit.name)
    remaining_ms: int = 100_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Config:
    """What `NoticesWorld` reads of the config."""

    notices: object


@dataclass
class Deployed:
    emulator: Emulator
    sender: str
    store: NoticeStore
    queue: str
    dead: str

    def invoke(self, event: object, context: Context | None = None) -> Any:
        return function.handler(event, context or Context())

    def tell(self, *notices: Notice) -> Any:
        return self.messages(*map(to_message, notices))

    def messages(self, *bodies: str) -> Any:
        (sample,) = event("sqs/sns_launch")["Records"]
        records = [{**sample, "messageId": kit.name(), "body": body} for body in bodies]
        return self.invoke({"Records": records})

    def mails(self) -> list[Mail]:
        found = Mailbox(self.emulator.url).read()
        return [mail for mail in found if mail.sender == self.sender]

    def take(self, queue: str) -> list[tuple[str, str]]:
        """Bodies and reasons of the messages in a queue."""
        answer = self.emulator.client("sqs").receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [
            (
                one["Body"],
                one.get("MessageAttributes", {}).get("reason", {}).get("StringValue", ""),
            )
            for one in answer.get("Messages", [])
        ]

    def delayed(self) -> int:
        answer = self.emulator.client("sqs").get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessagesDelayed"])


def make_table(emulator: Emulator) -> str:
    name = kit.name("state")
    emulator.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def deployed(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployed]:
    table = make_table(emulator)
    queue, _ = kit.make_queue(emulator, kit.name("notices"))
    dead, _ = kit.make_queue(emulator, kit.name("dead"))
    sender = f"{kit.name('triggerfish')}@example.com"
    settings = make_settings(sender=sender)
    (tmp_path / "triggerfish_settings.json").write_bytes(encode(NoticesSettings(notices=settings)))
    environment = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": kit.REGION,
        "AWS_ENDPOINT_URL": emulator.url,
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "TRIGGERFISH_STACK": "shop-local",
        "TRIGGERFISH_TABLE": table,
        "TRIGGERFISH_QUEUE_URL": queue,
        "TRIGGERFISH_DEAD_LETTER_QUEUE_URL": dead,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    forget()
    clients = Clients(
        region=kit.REGION,
        endpoints={ANY_SERVICE: emulator.url},
        credentials=Credentials("local", "local"),
    )
    world = NoticesWorld(Config(settings))  # type: ignore[arg-type]
    world.make(clients)
    world.make(clients)  # a second `up` finds it
    clients.close()
    store = NoticeStore(DynamoTable(emulator.client("dynamodb"), table), SystemClock())
    yield Deployed(emulator, sender, store, queue, dead)
    if function.clients.cache_info().currsize:
        function.clients().close()
    forget()


def forget() -> None:
    for made in (function.clients, function.dead_letters, function.outbox):
        made.cache_clear()


def test_a_notice_is_a_mail_with_text_html_and_data(deployed: Deployed) -> None:
    assert deployed.tell(make_notice()) == DONE
    (mail,) = deployed.mails()
    assert mail.subject == "[high] A login to shop failed"
    assert mail.to == ("ops@example.com",)
    assert "User:    bob\n" in mail.text.replace("\r\n", "\n")
    assert mail.html is not None
    assert mail.attachments == ("notice.json",)
    assert deployed.store.due() == []


def test_repeats_wait_and_an_earlier_wake_up_is_not_needed(deployed: Deployed) -> None:
    deployed.tell(make_notice())
    deployed.tell(make_notice(), make_notice())
    assert len(deployed.mails()) == 1
    assert [due.count for due in deployed.store.due()] == [2]
    assert deployed.delayed() == 0  # in an hour: the schedule finds it


def test_a_message_that_is_no_notice_is_a_dead_letter(deployed: Deployed) -> None:
    assert deployed.messages('{"hello": 1}', to_message(make_notice())) == DONE
    assert deployed.take(deployed.dead) == [('{"hello": 1}', "the message holds no notice")]
    assert len(deployed.mails()) == 1


def test_a_wake_up_only_wakes(deployed: Deployed) -> None:
    assert deployed.messages(WAKE) == DONE
    assert deployed.take(deployed.dead) == []


def test_the_schedule_tells_what_is_due(deployed: Deployed) -> None:
    deployed.store.keep(make_notice(), "m-1", 0)
    assert deployed.invoke({"schedule": "notices-outbox"}) == {"again_s": None}
    assert len(deployed.mails()) == 1


def test_a_mail_that_ses_refuses_is_tried_again_soon(deployed: Deployed, tmp_path: Path) -> None:
    settings = make_settings(sender="nobody@unverified.example.org")
    (tmp_path / "triggerfish_settings.json").write_bytes(encode(NoticesSettings(notices=settings)))
    assert deployed.tell(make_notice()) == DONE
    (parcel,) = deployed.store.parcels()
    assert "Email address is not verified" in parcel.attempts["mail"].reason
    assert deployed.delayed() == 1


def test_the_canary_goes_through_the_queue(deployed: Deployed) -> None:
    deployed.invoke({"schedule": "notices-canary", "time": "2026-11-23T08:00:00Z"})
    ((body, _),) = deployed.take(deployed.queue)
    deployed.messages(body, body)
    (mail,) = deployed.mails()
    assert mail.subject == "[info] Notices of shop-local reach you"


def test_an_event_of_another_kind_is_a_dead_letter(deployed: Deployed) -> None:
    answer = deployed.invoke(event("s3/put"))
    assert answer["error"]["message"] == "the notices function takes no S3Batch"
    assert len(deployed.take(deployed.dead)) == 1


def test_what_is_kept_is_acknowledged_though_it_can_not_be_told_yet(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise Unavailable("dynamodb:PutItem: Throttling")

    monkeypatch.setattr(function, "tell", away)
    assert deployed.tell(make_notice()) == DONE
    assert [due.count for due in deployed.store.due()] == [1]


def test_without_time_nothing_is_begun_and_it_comes_again(deployed: Deployed) -> None:
    deployed.store.keep(make_notice(), "m-1", 0)
    late = Context(remaining_ms=30_000)
    assert deployed.invoke({"schedule": "notices-outbox"}, late) == {"again_s": 0}
    assert deployed.mails() == []
    ((body, _),) = deployed.take(deployed.queue)
    assert json.loads(body) == {"event": "triggerfish:wake"}
