"""Parameter Store keeps secrets secret and standard parameters small.

MiniStack shows the clear text of a SecureString, in Base64, to who asks without decryption, and
takes a standard parameter of any size.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import base64
import secrets
from typing import Any

from . import guard

STANDARD_BYTES = 4096
CIPHERTEXT_HEAD = "AQICAHh"
"""How every ciphertext of KMS begins, in Base64."""


def mend() -> None:
    from ministack.services import ssm  # noqa: PLC0415

    gap = "a SecureString is shown only when decrypted, and a standard value has 4 KB at most"
    put = guard.replace(ssm, "_put_parameter", ("data",), lambda *_: None, gap=gap)
    for name in ("_parameters", "_parameter_history"):
        guard.attribute(ssm, name, gap)

    def put_parameter(data: dict[str, Any]) -> Any:
        tier = data.get("Tier") or ssm._default_tier(
            data, str(data.get("Value", "")), ssm._parameters.get(data.get("Name", ""))
        )
        if tier == "Standard" and len(str(data.get("Value", "")).encode()) > STANDARD_BYTES:
            return ssm.error_response_json("ValidationException", TOO_LARGE, 400)
        answer = put(data)
        _hide(ssm._parameters.get(data.get("Name", "")))
        for entry in ssm._parameter_history.get(data.get("Name", "")) or []:
            _hide(entry)
        return answer

    ssm._put_parameter = put_parameter


TOO_LARGE = (
    "Standard tier parameters support a maximum parameter value of 4096 characters. To create a "
    "larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more "
    "information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "parameter-store-advanced-parameters.html"
)


def _hide(record: dict[str, Any] | None) -> None:
    if record and str(record.get("Value", "")).startswith("ENCRYPTED:"):
        record["Value"] = CIPHERTEXT_HEAD + base64.b64encode(secrets.token_bytes(150)).decode()
