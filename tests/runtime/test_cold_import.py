"""What a cold start pays for the runtime beyond the SDK and msgspec, which every function loads."""

from __future__ import annotations

import subprocess
import sys

MODULES = "entry, envelopes, table, log, settings, secrets, clock, aws, pace, dead_letters"

WITHOUT_SDK = f"""
import sys
from triggerfish.runtime import {MODULES}
print(sorted({{"boto3", "botocore", "asyncio", "urllib3", "typer"}} & {{*sys.modules}}))
"""


def printed(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={}
    )
    return run.stdout.strip()


def test_the_sdk_is_loaded_at_the_first_call_only() -> None:
    assert printed(WITHOUT_SDK) == "[]"
