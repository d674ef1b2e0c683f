"""Runs Lambda functions on this machine in AWS's own runtime client, under Lambda's limits.

For the supervisor: `Options` and `command` say how to start it as a child process.
`triggerfish.local.sandbox.__main__` documents its flags, `triggerfish.local.sandbox.server` the
wire format of invocations.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from triggerfish.local.sandbox.options import Options, to_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Options", "command"]


def command(options: Options) -> Sequence[str]:
    """The command line of the child process."""
    return [sys.executable, "-m", "triggerfish.local.sandbox", *to_arguments(options)]
