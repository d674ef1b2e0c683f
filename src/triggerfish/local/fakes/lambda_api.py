"""A fake of the emulator as the sandbox sees it: GetFunction, function code, CloudWatch Logs."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import uuid
import zipfile
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ACCOUNT = "123456789012"
REGION = "eu-west-1"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A deterministic zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6)), content)
    return buffer.getvalue()


class FakeLambdaApi:
    """Use as a context manager. `logs` holds every event that arrived, by group and stream."""

    def __init__(self) -> None:
        self._functions: dict[str, dict[str, object]] = {}
        self._code: dict[str, bytes] = {}
        self._reserved: dict[str, int] = {}
        self._lock = threading.Lock()
        self.logs: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.asked = 0
        """How often GetFunction was called."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def put(
        self,
        name: str,
        code: bytes | str,
        *,
        reserved: int | None = None,
        variables: Mapping[str, str] | None = None,
        **configuration: object,
    ) -> str:
        """Make or replace a function; a string is the source of `app.py`. Returns its ARN."""
        archive = zipped({"app.py": code}) if isinstance(code, str) else code
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        with self._lock:
            self._code[name] = archive
            self._reserved.pop(name, None)
            if reserved is not None:
                self._reserved[name] = reserved
            self._functions[name] = {
                "FunctionName": name,
                "FunctionArn": arn,
                "Runtime": "python3.13",
                "Handler": "app.handler",
                "Timeout": 5,
                "MemorySize": 256,
                "Environment": {"Variables": dict(variables or {})},
                "CodeSha256": base64.b64encode(hashlib.sha256(archive).digest()).decode(),
                "RevisionId": str(uuid.uuid4()),
                **configuration,
            }
        return arn

    def answer(self, path: str) -> tuple[int, bytes]:
        parts = urlsplit(path).path.strip("/").split("/")
        with self._lock:
            if parts[0] == "code":
                return 200, self._code[parts[1]]
            self.asked += 1
            found = self._functions.get(parts[-1])
            if found is None:
                return 404, b"{}"
            version = parse_qs(urlsplit(path).query).get("Qualifier", ["$LATEST"])[0]
            answer: dict[str, object] = {
                "Configuration": {**found, "Version": version},
                "Code": {"Location": f"http://localhost:1/code/{parts[-1]}?X-Amz-Expires=600"},
            }
            if parts[-1] in self._reserved:
                reserved = self._reserved[parts[-1]]
                answer["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
            return 200, json.dumps(answer).encode()

    def take_logs(self, action: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        if action == "PutLogEvents":
            events = body["logEvents"]
            assert isinstance(events, list)  # noqa: S101  a fake: what it's sent is ours
            key = (str(body["logGroupName"]), str(body["logStreamName"]))
            with self._lock:
                self.logs[key] += [event["message"] for event in events]
        return 200, b"{}"


def _handler(api: FakeLambdaApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write for a response
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._send(*api.answer(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.headers["X-Amz-Target"].partition(".")[2]
            self._send(*api.take_logs(action, body))

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
