from __future__ import annotations

import asyncio

import pytest

from triggerfish.errors import Unavailable
from triggerfish.local.fakes.lambda_api import FakeLambdaApi
from triggerfish.local.sandbox.http import (
    BadRequest,
    Connection,
    EmulatorClient,
    Request,
    Response,
    take_request,
)

POST = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX-A:  b \r\n\r\n"


def test_a_request_is_taken_when_it_is_whole() -> None:
    data, buffer = POST + b"{}GET", bytearray()
    for at in range(len(POST) + 1):
        buffer += data[at : at + 1]
        assert take_request(buffer)[0] is None
    buffer += data[len(POST) + 1 :]
    request, _ = take_request(buffer)
    assert request == Request(
        method="POST",
        path="/a?b",
        headers={"host": "x", "content-length": "2", "x-a": "b"},
        body=b"{}",
    )
    assert buffer == b"GET"


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        take_request(bytearray(head))


def test_requests_of_one_connection_are_answered_in_turn() -> None:
    async def handle(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(status=200, body=request.body.upper())

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(handle), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        ending = POST.replace(b"Host: x", b"Connection: close")
        writer.write(POST + b"ab" + POST + b"cd" + ending + b"ef")
        answer = await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
        return answer

    one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    assert asyncio.run(run()) == (
        one + b"\r\nAB" + one + b"\r\nCD" + one + b"Connection: close\r\n\r\nEF"
    )


def test_nonsense_is_answered_and_the_connection_closed() -> None:
    async def handle(request: Request) -> Response:
        raise AssertionError(request)

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(handle), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"nonsense\r\n\r\n")
        answer = await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
        return answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_the_client_keeps_its_connection_and_notices_a_lost_one() -> None:
    async def run(url: str) -> list[int]:
        client = EmulatorClient(url, access_key="test")
        path = "/2015-03-31/functions/absent"
        found = [(await client.get(path, service="lambda", region="eu-west-1"))[0]]
        kept = client._idle[0][1]
        kept.close()
        await kept.wait_closed()
        found.append((await client.get(path, service="lambda", region="eu-west-1"))[0])
        client.close()
        return found

    with FakeLambdaApi() as api:
        assert asyncio.run(run(api.url)) == [404, 404]


def test_chunked_answers_are_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        writer.close()

    async def run() -> tuple[int, bytes]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = EmulatorClient(f"http://127.0.0.1:{port}", access_key="test")
        answer = await client.get("/", service="s3", region="eu-west-1")
        client.close()
        server.close()
        await server.wait_closed()
        return answer

    assert asyncio.run(run()) == (200, b"abcde")


def test_an_emulator_that_is_away_is_unavailable() -> None:
    client = EmulatorClient("http://127.0.0.1:9", access_key="test")
    with pytest.raises(Unavailable, match=r"the emulator at 127\.0\.0\.1:9: "):
        asyncio.run(client.get("/", service="lambda", region="eu-west-1"))
