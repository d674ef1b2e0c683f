"""The emulator of AWS: MiniStack, started as a child process and mended where it differs from AWS.

This folder runs in the emulator's own environment, which holds `ministack` alone, so nothing here
imports `triggerfish`: `launcher.py` is a script that loads the folder as a package of its own name.
What stays different from AWS is listed, and held by tests, in `docs/reference/local-parity.md`.
"""
