"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# A shell that starts the tests in its background has them ignore Ctrl-C, and so their children.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile(
    "triggerfish", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("triggerfish")
