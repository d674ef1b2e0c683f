"""SES keeps every mail whole: the message as it was sent, and over a restart.

MiniStack keeps of a raw message only what it parsed, without its attachments and, for the second
API, without From and To; and it forgets all sent mail when it stops.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import json
from typing import Any

from . import guard

Answer = tuple[int, dict[str, str], bytes]


def mend() -> None:
    from ministack import app  # noqa: PLC0415
    from ministack.services import ses, ses_v2  # noqa: PLC0415

    _mend_sending(ses, ses_v2)
    _mend_reading(app, ses)
    _mend_state(ses)


def _mend_sending(ses: Any, ses_v2: Any) -> None:
    gap = "a raw message is kept as it was sent"
    send_raw = guard.replace(ses, "_send_raw_email", ("params",), lambda *_: None, gap=gap)
    handle = guard.replace(
        ses_v2,
        "handle_request",
        ("method", "path", "headers", "body", "query_params"),
        lambda *_: None,
        gap=gap,
    )

    def send_raw_email(params: dict[str, Any]) -> Any:
        before = len(ses._sent_emails_list())
        answer = send_raw(params)
        for record in ses._sent_emails_list()[before:]:
            record["Raw"] = ses._p(params, "RawMessage.Data")
            record["Destinations"] = ses._collect_list(params, "Destinations.member")
        return answer

    async def handle_request(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
    ) -> Any:
        before = len(ses._sent_emails_list())
        answer = await handle(method, path, headers, body, query_params)
        sent = ses._sent_emails_list()[before:]
        if sent and path.rstrip("/").endswith("/outbound-emails"):
            raw = (json.loads(body).get("Content") or {}).get("Raw") or {}
            for record in sent:
                record["Raw"] = raw.get("Data", "")
        return answer

    ses._send_raw_email = send_raw_email
    ses_v2.handle_request = handle_request


def _mend_reading(app: Any, ses: Any) -> None:
    gap = "the mailbox reads the messages as they were sent"
    read = guard.replace(
        app,
        "_handle_ses_messages_request",
        ("method", "path", "headers", "query_params"),
        lambda *_: None,
        gap=gap,
    )

    async def handle_messages(*request: Any) -> Answer | None:
        answer: Answer | None = await read(*request)
        if answer is None or answer[0] != 200:
            return answer
        told = json.loads(answer[2])
        kept = {
            record["MessageId"]: record
            for _key, records in ses._sent_emails.all_items()
            for record in records
        }
        for messages in told["messages"].values():
            for message in messages:
                record = kept.get(message["MessageId"], {})
                message["Raw"] = record.get("Raw", "")
                message["Destinations"] = record.get("Destinations", [])
        return answer[0], answer[1], json.dumps(told).encode()

    app._handle_ses_messages_request = handle_messages


def _mend_state(ses: Any) -> None:
    gap = "sent mail outlives a restart"
    read_state = guard.replace(ses, "get_state", (), lambda: None, gap=gap)
    restore = guard.replace(ses, "load_persisted_state", ("data",), lambda *_: None, gap=gap)

    def get_state() -> dict[str, Any]:
        return {**read_state(), "_sent_emails": ses._sent_emails}

    def load_persisted_state(data: dict[str, Any]) -> None:
        restore({name: value for name, value in data.items() if name != "_sent_emails"})
        ses._sent_emails.update(data.get("_sent_emails", {}))

    ses.get_state = get_state
    ses.load_persisted_state = load_persisted_state
