"""State that survives `kill -9`: what changed is on disk a fraction of a second later.

MiniStack writes its state only when it stops in peace. Here the services that a request touched
are marked, and 0.1 s after the first mark all marked ones are turned into bytes in one turn of the
event loop, so they are of one instant: a message is never gone from its queue in a checkpoint whose
table lacks what its function wrote. A thread of its own then writes them.

A forked child would do without the pause, but a fork of a process with threads may inherit a held
lock, and copying page tables costs as much as the 1-5 ms that the bytes take. Bytes may take a
twentieth of the loop's time: after a turn that took 10 ms nothing is taken for 190 ms. Logs and
metrics only grow, so they have a lane, and a pace, of their own.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from . import guard, snapshot
from .loop import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .store import Store

logger = logging.getLogger("checkpoint")

GATHER_S = 0.1
SHARE_OF_LOOP = 0.05
LONGEST_PAUSE_S = 10.0

RECORDS = frozenset({"cloudwatch_logs", "cloudwatch"})

SPARING = (
    "cloudformation",
    "cloudwatch",
    "cloudwatch_logs",
    "dynamodb",
    "route53",
    "s3",
    "ses",
    "sqs",
)
"""Services whose `get_state` copies and changes nothing of the copy (read for this release)."""

IN_DOUBT = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
}
"""What a stack is after a kill in the middle of an operation: nobody carries it on."""


class Checkpoints:
    """Marks in, checkpoints out."""

    def __init__(
        self, store: Store, sources: Callable[[], Mapping[str, Callable[[], Any]]]
    ) -> None:
        self._store = store
        self._sources = sources
        self._copy = snapshot.SparingCopy()
        self._state = Lane(self, records=False)
        self._records = Lane(self, records=True)
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")

    def mark(self, *services: str) -> None:
        """These services may have changed. From any thread."""
        for service in services:
            lane = self._records if service in RECORDS else self._state
            lane.mark(service)

    def mark_all(self) -> None:
        self.mark(*self._sources())

    async def run(self) -> None:
        await asyncio.gather(self._state.run(), self._records.run())

    def take(self, services: Iterable[str]) -> dict[str, bytes]:
        """The bytes of `services` at this instant; one that can't be read keeps its last ones."""
        sources = self._sources()
        taken = {}
        with self._copy:
            for service in services:
                try:
                    state = sources[service]()
                    if state is not None:
                        taken[service] = snapshot.encode(state)
                except Exception:
                    logger.exception("no checkpoint of %s", service)
        return taken

    async def write(self, states: dict[str, bytes]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._store.write, states)

    def finish(self) -> None:
        """Everything, now: the process is about to stop."""
        states = self.take(self._sources())
        self._writer.submit(self._store.write, states).result()

    def spare_copies(self, modules: Mapping[str, Any]) -> None:
        for service in SPARING:
            guard.attribute(modules[service], "copy", "a checkpoint must not copy the state first")
            modules[service].copy = self._copy


class Lane:
    """Services that are written together, at a pace that spares the loop."""

    def __init__(self, checkpoints: Checkpoints, *, records: bool) -> None:
        self._checkpoints = checkpoints
        self._records = records
        self._marked: set[str] = set()
        self._any: asyncio.Event | None = None

    def mark(self, service: str) -> None:
        self._marked.add(service)
        if self._any is not None:
            OWNER.soon(self._any.set)

    async def run(self) -> None:
        self._any = asyncio.Event()
        if self._marked:
            self._any.set()
        while True:
            await self._any.wait()
            await asyncio.sleep(GATHER_S)
            self._any.clear()
            marked, self._marked = self._marked, set()
            started = time.perf_counter()
            states = self._checkpoints.take(marked)
            spent = time.perf_counter() - started
            logger.info(
                "%d bytes of %d services in %.1f ms",
                sum(map(len, states.values())),
                len(states),
                spent * 1000,
            )
            try:
                await self._checkpoints.write(states)
            except OSError:
                logger.exception("the checkpoint can't be written; it is tried again")
                self._marked |= marked
            await asyncio.sleep(min(max(spent / SHARE_OF_LOOP - GATHER_S, 0.0), LONGEST_PAUSE_S))


def mend(store: Store) -> Checkpoints:
    from ministack import app  # noqa: PLC0415
    from ministack.services import cloudformation, lambda_svc  # noqa: PLC0415

    gap = "state survives a kill"
    names = guard.attribute(app, "_state_map", gap)
    modules = {key: app._get_module(module) for key, module in names.items()}
    checkpoints = Checkpoints(store, lambda: {k: m.get_state for k, m in modules.items()})
    checkpoints.spare_copies(modules)

    def load() -> None:
        for service, data in store.load():
            modules[service].load_persisted_state(snapshot.decode(data))
        for (_account, _region, _name), stack in cloudformation._stacks.all_items():
            status = stack["StackStatus"]
            stack["StackStatus"] = IN_DOUBT.get(status, status)

    guard.replace(app, "_load_persisted_state", (), load, gap=gap)
    guard.replace(app, "save_all", ("services",), lambda _services: checkpoints.finish(), gap=gap)
    _mend_code(lambda_svc)
    return checkpoints


def _mend_code(lambda_svc: Any) -> None:
    """A function's code is hashed once, and stays on disk while a checkpoint may name it."""
    gap = "a checkpoint never names code that is gone"
    write = guard.replace(lambda_svc, "_write_code_blob", ("code_zip",), lambda _: "", gap=gap)
    guard.replace(
        lambda_svc, "_prune_orphan_code_blobs", ("referenced",), lambda _referenced: None, gap=gap
    )
    written: dict[int, tuple[bytes, str]] = {}

    def write_code_blob(code: bytes) -> str:
        known = written.get(id(code))
        if known is not None and known[0] is code:
            return known[1]
        name: str = write(code)
        if len(written) > 64:
            written.clear()
        written[id(code)] = (code, name)
        return name

    lambda_svc._write_code_blob = write_code_blob


def track(checkpoints: Checkpoints) -> None:
    """Mark what each request changes, as it is answered."""
    from ministack import app  # noqa: PLC0415

    handlers = guard.attribute(app, "SERVICE_HANDLERS", "requests are tracked for checkpoints")
    registry = guard.attribute(app, "SERVICE_REGISTRY", "requests are tracked for checkpoints")
    for service, handler in list(handlers.items()):
        entry = registry[service]
        keys = (entry.get("state_key", entry["module"]), *entry.get("sub_modules", ()))
        handlers[service] = _tracked(checkpoints, service, keys, handler)


CONSEQUENCES: Mapping[str, tuple[str, ...]] = {
    "sns": ("sqs",),
    "events": ("sqs", "sns"),
    "s3": ("sqs", "sns"),
    "lambda": ("sqs", "sns"),
    "monitoring": ("sns", "sqs"),
    "cloudcontrol": (),
}

READING = (
    "Get",
    "List",
    "Describe",
    "Query",
    "Scan",
    "BatchGet",
    "TransactGet",
    "Head",
    "Validate",
)
LATER_S = (1.0, 3.0)
"""Lambda makes a function Active in a thread, a while after it answered."""


def _tracked(checkpoints: Checkpoints, service: str, keys: tuple[str, ...], handler: Any) -> Any:
    touched = (*keys, *CONSEQUENCES.get(service, ()))
    everything = service in {"cloudformation", "cloudcontrol"}

    def mark() -> None:
        if everything:
            checkpoints.mark_all()
        else:
            checkpoints.mark(*touched)

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        try:
            return await handler(method, path, headers, body, query_params)
        finally:
            if not reads(method, path, headers, body):
                mark()
                if everything or service == "lambda":
                    loop = asyncio.get_running_loop()
                    for delay in LATER_S:
                        loop.call_later(delay, mark)

    return handle


def reads(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a request leaves the state as it was, going by the name of its action."""
    if method in {"GET", "HEAD", "OPTIONS"} or path.endswith("/invocations"):
        return True
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    if not action:
        with contextlib.suppress(UnicodeDecodeError):
            found = [part for part in body[:2048].decode().split("&") if part.startswith("Action=")]
            action = found[0][len("Action=") :] if found else ""
    return action.startswith(READING)
