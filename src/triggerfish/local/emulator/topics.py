"""SNS notifications in the shape that SNS sends them.

MiniStack signs them "FAKE", rounds the time to a second and names an address of its own.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from . import guard

SIGNATURE_BYTES = 256


def mend() -> None:
    from ministack.core import responses  # noqa: PLC0415
    from ministack.services import sns  # noqa: PLC0415

    build = guard.replace(
        sns,
        "_build_envelope",
        ("topic_arn", "msg_id", "message", "subject", "message_attributes", "raw"),
        lambda *_: "",
        gap="a notification's time has milliseconds, and its signature and addresses SNS's shape",
    )

    def build_envelope(
        topic_arn: str,
        msg_id: str,
        message: str,
        subject: str,
        message_attributes: dict[str, Any],
        raw: bool,  # noqa: FBT001 as MiniStack calls it
    ) -> str:
        text: str = build(topic_arn, msg_id, message, subject, message_attributes, raw)
        return text if raw else shaped(text, responses.get_region())

    sns._build_envelope = build_envelope


def shaped(text: str, region: str) -> str:
    """The keys in SNS's order; a signature of the right size, which nothing can verify."""
    envelope = json.loads(text)
    now = datetime.now(UTC)
    host = f"https://sns.{region}.amazonaws.com"
    envelope |= {
        "Timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z",
        "Signature": base64.b64encode(secrets.token_bytes(SIGNATURE_BYTES)).decode(),
        "SigningCertURL": f"{host}/SimpleNotificationService-{'0' * 32}.pem",
        "UnsubscribeURL": (
            f"{host}/?Action=Unsubscribe&SubscriptionArn={envelope['TopicArn']}:{envelope['MessageId']}"
        ),
    }
    return json.dumps(envelope)
