"""One thread owns the emulator's state.

MiniStack changes queues from its event loop and from worker threads at once: a message that arrives
between a worker's reading and its writing of a queue's list is lost. Workers therefore hand their
changes to the loop, which also lets a checkpoint read all services at one instant.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Taken = ParamSpec("Taken")
Given = TypeVar("Given")

SECONDS_TO_ANSWER = 30.0


class Owner:
    """The event loop's thread; before it runs, whoever calls."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def adopt(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def run(
        self, function: Callable[Taken, Given], *args: Taken.args, **named: Taken.kwargs
    ) -> Given:
        """What `function` returns, run in the loop's thread in the caller's account and region."""
        loop = self._loop
        if loop is None or threading.get_ident() == self._thread:
            return function(*args, **named)
        context = contextvars.copy_context()
        answer: concurrent.futures.Future[Given] = concurrent.futures.Future()

        def settle() -> None:
            try:
                answer.set_result(context.run(function, *args, **named))
            except BaseException as error:  # noqa: BLE001 the caller's thread raises it
                answer.set_exception(error)

        loop.call_soon_threadsafe(settle)
        return answer.result(SECONDS_TO_ANSWER)

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Run `function` in the loop's thread when it gets to it, if there is a loop yet."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)


OWNER = Owner()
