"""The Runtime API, spoken to by the portable client in the place of AWS's."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triggerfish.local.sandbox import portable_client
from triggerfish.local.sandbox.http import Connection, Request
from triggerfish.local.sandbox.runtime_api import Exited, Invocation, Reply, RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

INVOCATION = Invocation(
    request_id="id-1", arn="arn:x", deadline_ms=123, trace_id="Root=1", payload=b'{"a":1}'
)


def fresh_client() -> Any:
    """The module as a new process has it."""
    spec = importlib.util.spec_from_file_location("fresh", Path(portable_client.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def converse(
    monkeypatch: pytest.MonkeyPatch, client: Callable[[Any], None]
) -> tuple[object, object]:
    """Run a client's side in a thread; what the API says of init and of the invocation."""

    async def run() -> tuple[object, object]:
        api = RuntimeApi()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(api.handle), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", f"{host}:{port}")
        module = fresh_client()
        answer = api.offer(INVOCATION)
        thread = threading.Thread(target=client, args=(module,))
        thread.start()
        found = (await api.initialised, await answer)
        await asyncio.to_thread(thread.join)
        module._connection.close()
        server.close()
        await asyncio.sleep(0.01)  # the connection's end is seen
        return found

    return asyncio.run(run())


def test_an_event_is_taken_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def client(module: Any) -> None:
        module.initialize_client("agent")
        body, headers = module.next()
        seen.extend([body, headers["Lambda-Runtime-Aws-Request-Id"]])
        seen.append(headers["Lambda-Runtime-Deadline-Ms"])
        module.post_invocation_result("id-1", b"2", "application/json", None)

    assert converse(monkeypatch, client) == (None, Reply(body=b"2"))
    assert seen == [b'{"a":1}', "id-1", 123]


def test_an_error_is_passed_on_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    def client(module: Any) -> None:
        module.next()
        module.post_error("id-1", '{"errorType":"E"}', "", None)

    _, reply = converse(monkeypatch, client)
    assert reply == Reply(body=b'{"errorType":"E"}', error_type="Runtime.Unknown")


def test_an_answer_to_another_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def client(module: Any) -> None:
        module.next()
        try:
            module.post_invocation_result("id-0", b"1", "application/json")
        except RuntimeError as error:
            refused.append(str(error))
        module.post_invocation_result("id-1", b"2", "application/json")

    assert converse(monkeypatch, client)[1] == Reply(body=b"2")
    assert refused == ["Runtime API answered 400 to POST id-0/response"]


def test_an_exit_answers_whoever_waits() -> None:
    async def run() -> list[object]:
        api = RuntimeApi()
        answer = api.offer(INVOCATION)
        api.exited(9)
        return [await api.initialised, await answer]

    assert asyncio.run(run()) == [Exited(9), Exited(9)]


def test_an_unknown_path_is_not_found() -> None:
    async def run() -> int:
        request = Request(method="GET", path="/2018-06-01/runtime/x", headers={}, body=b"")
        return (await RuntimeApi().handle(request)).status

    assert asyncio.run(run()) == 404
