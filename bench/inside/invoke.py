"""The function's own invocations, one for each line of input, and what each cost.

    lambda-python bench/inside/invoke.py ARTIFACT < EVENTS

It runs where the function does: Lambda's Python and packages, the artifact, the function's
environment. Of the process's CPU time that of all AWS calls is taken away: each is one call of
`BaseClient._make_api_call`, with the signing, sending, waiting and parsing that botocore does.
Prints, for each event, a line of JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import awslambdaric.bootstrap  # noqa: F401 - as on Lambda

sys.path.insert(0, sys.argv[1])

from botocore.client import BaseClient

from triggerfish.provision.handler import handler

calls: list[tuple[str, float]] = []
lock = threading.Lock()
call = BaseClient._make_api_call  # noqa: SLF001 - every call of every client goes through it


def timed_call(client: BaseClient, operation: str, arguments: object) -> object:
    began = time.thread_time()
    try:
        return call(client, operation, arguments)
    finally:
        took = (time.thread_time() - began) * 1000
        with lock:
            calls.append((operation, took))


class Context:
    def __init__(self, number: int) -> None:
        self.aws_request_id = f"bench-{number}"
        self._end = time.monotonic() + 60

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


BaseClient._make_api_call = timed_call  # noqa: SLF001
out, sys.stdout = sys.stdout, sys.stderr
for number, text in enumerate(sys.stdin):
    event = json.loads(text)
    calls.clear()
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = handler(event, Context(number))
    cpu_ms = (time.process_time() - began_cpu) * 1000
    wall_ms = (time.perf_counter() - began) * 1000
    aws_ms = sum(took for _, took in calls)
    told = {"own": cpu_ms - aws_ms, "aws": aws_ms, "wall": wall_ms, "calls": len(calls)}
    out.write(json.dumps({**told, "answer": answer}) + "\n")
    out.flush()
