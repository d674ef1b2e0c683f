"""What AWS sends, as files: read with `event("sqs/sns_launch")`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NAMES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.json"))


def event(name: str) -> dict[str, Any]:
    """Load one sample; each call gives a fresh copy to change."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def text(name: str) -> str:
    """Load one sample as the compact JSON text it travels as inside another message."""
    return json.dumps(event(name), separators=(",", ":"))
