"""How fast the Lambda sandbox runs functions: cold, warm, in parallel.

    python bench/sandbox.py [--lambda-python PATH] [--count N]

Measured from outside by HTTP, a new connection for each invocation, as the emulator makes them. The
emulator itself is a fake here (0.4 ms for GetFunction), so what it costs is not in the figures.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from triggerfish.local.environments import lambda_python
from triggerfish.local.fakes.lambda_api import FakeLambdaApi
from triggerfish.local.sandbox import Options, command

SOURCE = "def handler(event, context):\n    return event\n"
COLD = 15


def invoke(url: str, arn: str) -> float:
    headers = {"X-Amzn-Lambda-Function-Arn": arn}
    request = urllib.request.Request(url, data=b'{"a": 1}', headers=headers)  # noqa: S310  our own
    began = time.perf_counter()
    with urllib.request.urlopen(request) as response:  # noqa: S310  our own
        response.read()
    return (time.perf_counter() - began) * 1000


def show(what: str, samples: list[float]) -> None:
    ordered = sorted(samples)
    p95 = ordered[int(len(ordered) * 0.95)]
    print(f"{what:<34} p50 {statistics.median(ordered):6.2f} ms   p95 {p95:6.2f} ms")


def measure(url: str, api: FakeLambdaApi, count: int) -> None:
    arns = [api.put(f"cold{number}", SOURCE) for number in range(COLD)]
    invoke(url, arns[0])
    show("cold, code known", [invoke(url, arn) for arn in arns[1:]])
    show("warm, one at a time", [invoke(url, arns[0]) for _ in range(count)])
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: invoke(url, arns[0]), range(40)))
        began = time.perf_counter()
        list(threads.map(lambda _: invoke(url, arns[0]), range(count)))
        print(f"{'warm, 4 callers':<34} {count / (time.perf_counter() - began):6.0f} a second")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lambda-python", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    given = parser.parse_args()
    python = given.lambda_python or lambda_python("python3.13").path
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout
    cpus = len(Path("/proc/cpuinfo").read_text(encoding="utf-8").split("processor\t")) - 1
    print(f"{platform.platform()}, {cpus} CPUs, functions on {version.strip()}")
    with tempfile.TemporaryDirectory() as state, FakeLambdaApi() as api:
        options = Options(state=Path(state), aws_url=api.url, default_python=python)
        began = time.perf_counter()
        with subprocess.Popen(
            command(options), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            stdin, stdout = child.stdin, child.stdout
            if stdin is None or stdout is None:
                raise RuntimeError("no pipes")
            url = json.loads(stdout.readline())["url"]
            print(f"{'sandbox started':<34} {(time.perf_counter() - began) * 1000:10.2f} ms")
            try:
                measure(url, api, given.count)
            finally:
                stdin.close()


if __name__ == "__main__":
    main()
