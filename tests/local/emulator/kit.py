"""What the emulator's tests share: the process, a stand-in for the sandbox, clients and waiting."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.config
import botocore.session

import triggerfish.local.emulator as folder
from triggerfish.local.environments import emulator_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LAUNCHER = Path(folder.__file__).with_name("launcher.py")
REGION = "eu-west-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/made-by-tests"
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b"null"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    function: str
    event: Any
    kind: str
    headers: Mapping[str, str]
    at: float


class Sandbox:
    """Answers as told for each function, in order; the last answer repeats."""

    def __init__(self) -> None:
        self.seen: queue.Queue[Invocation] = queue.Queue()
        self._answers: dict[str, list[Answer | Callable[[Any], Answer]]] = {}
        self._kept: dict[str, list[Invocation]] = {}
        self._changed = threading.Condition()
        self.connections = 0
        sandbox = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                sandbox.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = sandbox.take(dict(self.headers), body)
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """A killed emulator resets its connections."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, function: str, *answers: Answer | Callable[[Any], Answer]) -> None:
        self._answers[function] = list(answers)

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        function = headers["X-Amzn-Lambda-Function-Name"]
        invocation = Invocation(
            function=function,
            event=json.loads(body),
            kind=headers["X-Amz-Invocation-Type"],
            headers=headers,
            at=time.time(),
        )
        with self._changed:
            self._kept.setdefault(function, []).append(invocation)
            answers = self._answers.get(function) or [Answer()]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self._changed.notify_all()
        return answer(invocation.event) if callable(answer) else answer

    def of(self, function: str) -> list[Invocation]:
        with self._changed:
            return list(self._kept.get(function, []))

    def wait(self, function: str, count: int, within_s: float = PATIENCE_S) -> list[Invocation]:
        """The invocations of `function`, once there are at least `count`."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._kept.get(function, [])) >= count, within_s)
        found = self.of(function)
        assert len(found) >= count, f"{len(found)} invocations of {function}, wanted {count}"
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def function_error(error: str, message: str) -> Answer:
    body = json.dumps({"errorMessage": message, "errorType": error}).encode()
    return Answer(body=body, headers=(("X-Amz-Function-Error", "Unhandled"),))


@dataclass(slots=True)
class Emulator:
    state: Path
    sandbox_url: str
    port: int = 0
    url: str = ""
    ready_s: float = 0.0
    process: subprocess.Popen[bytes] = field(init=False)
    _clients: dict[str, Any] = field(default_factory=dict)

    def start(self, *more: str) -> Emulator:
        started = time.perf_counter()
        words = ["--port", str(self.port), "--state", str(self.state), "--region", REGION]
        log = (self.state.parent / f"{self.state.name}.log").open("ab")
        self.process = subprocess.Popen(
            [emulator_python(), LAUNCHER, *words, "--sandbox-url", self.sandbox_url, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={"PATH": os.environ["PATH"]},
        )
        log.close()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready_s = time.perf_counter() - started
        if not line:
            self._close()
            raise AssertionError(self.log())
        told = json.loads(line)
        assert told["ready"] is True
        self.url = told["url"]
        self._clients.clear()
        self.port = int(self.url.rpartition(":")[2])
        return self

    def log(self) -> str:
        return (self.state.parent / f"{self.state.name}.log").read_text(encoding="utf-8")

    def client(self, service: str, **changes: Any) -> Any:
        """Kept, as making one costs more than most calls."""
        key = f"{self.url} {service} {changes}"
        if key not in self._clients:
            self._clients[key] = self._make_client(service, **changes)
        return self._clients[key]

    def _make_client(self, service: str, **changes: Any) -> Any:
        session = botocore.session.get_session()
        settings = {"retries": {"max_attempts": 0}, "max_pool_connections": 50, **changes}
        return session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=botocore.config.Config(**settings),
        )

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self._close()

    def stop(self) -> float:
        """Ask it to leave as a dying parent does; the seconds it took."""
        started = time.perf_counter()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        took = time.perf_counter() - started
        self._close()
        return took

    def _close(self) -> None:
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def until(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """What `condition` gives once it is true."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def name(prefix: str = "t") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def code(text: str = "def handler(event, context): return event\n") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("app.py", text)
    return held.getvalue()


def make_function(emulator: Emulator, called: str, **changes: Any) -> str:
    settings: dict[str, Any] = {
        "FunctionName": called,
        "Runtime": "python3.13",
        "Role": ROLE,
        "Handler": "app.handler",
        "Timeout": 5,
        "Code": {"ZipFile": code()},
        **changes,
    }
    client = emulator.client("lambda", parameter_validation=False)
    arn: str = client.create_function(**settings)["FunctionArn"]
    return arn


def make_queue(emulator: Emulator, called: str, **attributes: str) -> tuple[str, str]:
    """Its URL and its ARN."""
    url: str = emulator.client("sqs").create_queue(QueueName=called, Attributes=attributes)[
        "QueueUrl"
    ]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{called}"


def deploy(
    emulator: Emulator, stack: str, resources: dict[str, Any], **sections: Any
) -> dict[str, Any]:
    """The stack once it stands still."""
    cloudformation = emulator.client("cloudformation")
    body = json.dumps({"Resources": resources, **sections})
    cloudformation.create_stack(
        StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    return settled(emulator, stack)


def settled(emulator: Emulator, stack: str) -> dict[str, Any]:
    cloudformation = emulator.client("cloudformation")

    def still() -> Any:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

    found: dict[str, Any] = until(still)
    return found


def reasons(emulator: Emulator, stack: str) -> dict[str, str]:
    """Why each resource of the stack failed, by logical id."""
    events = emulator.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return {
        event["LogicalResourceId"]: event["ResourceStatusReason"]
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
    }
