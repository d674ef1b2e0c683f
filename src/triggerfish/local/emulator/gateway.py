"""What stands in front of the emulator: only programs of this machine that mean it are let in.

MiniStack answers anyone and allows every web page to read its answers. A page that a developer
visits could thus read the local cloud's secrets, so requests that a browser sends for a page are
refused, and so are names that don't stand for this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Message = dict[str, Any]

REFUSED = b'{"message": "the local cloud answers programs of this machine, not web pages"}'


class Gateway:
    def __init__(self, app: Any, ready: Callable[[], None], changed: Callable[[str], None]) -> None:
        self._app = app
        self._ready = ready
        self._changed = changed

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._announcing(send))
        elif not allowed(dict(scope["headers"])):
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, send)
            # These don't pass the services' handlers.
            if scope["path"].startswith("/v2/email") and scope["method"] != "GET":
                self._changed("ses")

    def _announcing(
        self, send: Callable[[Message], Awaitable[None]]
    ) -> Callable[[Message], Awaitable[None]]:
        async def forward(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._ready()

        return forward


def allowed(headers: dict[bytes, bytes]) -> bool:
    """Names of headers are in lower case, as ASGI gives them."""
    if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") != b"none":
        return False
    host = headers.get(b"host", b"").decode("latin-1").lower()
    host = host.rpartition(":")[0] if ":" in host else host
    return host in {"127.0.0.1", "localhost"} or host.endswith(".localhost")


async def _refuse(scope: Message, send: Callable[[Message], Awaitable[None]]) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSED})
