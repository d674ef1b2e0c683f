"""What a cold start pays for the runtime beyond the SDK and msgspec, which every function loads."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODULES = "entry, envelopes, table, log, settings, secrets, clock, aws, pace, dead_letters"
BUDGET_MS = 12

WITHOUT_SDK = f"""
import sys
from triggerfish.runtime import {MODULES}
print(sorted({{"boto3", "botocore", "asyncio", "urllib3", "typer"}} & {{*sys.modules}}))
"""
TIMED = f"""
import time
import botocore.config, botocore.session, msgspec, msgspec.json
began = time.process_time()
from triggerfish.runtime import {MODULES}
print((time.process_time() - began) * 1000)
"""


def printed(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    return run.stdout.strip()


def test_the_sdk_is_loaded_at_the_first_call_only() -> None:
    assert printed(WITHOUT_SDK) == "[]"


def test_the_runtime_is_imported_within_its_budget(tmp_path: Path) -> None:
    """Compiled, as functions are packaged: the first run compiles and the best of five counts.

    The processor's time and not the clock's: another process's load is not ours.
    """
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    assert min(float(printed(TIMED, **compiled)) for _ in range(5)) < BUDGET_MS
