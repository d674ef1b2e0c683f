"""How much memory an environment uses, and how many processes and threads it has.

Read from /proc where there is one, else through psutil (slower, so less often).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
HAS_PROC = (PROC / "self/statm").exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    memory_bytes: int
    tasks: int
    """Processes and threads."""


def measure(root: int, *, counts_root: bool) -> Usage:
    """Everything that descends from `root`. Pages shared after a fork count once where it matters.

    `counts_root` is False where the root is the environment's `init`, which is ours.
    """
    if not HAS_PROC:
        return _measure_by_psutil(root)
    processes = _descendants(root)
    if not counts_root:
        processes.pop(root, None)
    resident = sum(_resident_bytes(pid) for pid in processes)
    return Usage(memory_bytes=resident, tasks=sum(processes.values()))


def measure_exactly(root: int, *, counts_root: bool) -> int:
    """Bytes, with pages that processes share counted once. Far slower than `measure`."""
    if not HAS_PROC:
        return _measure_by_psutil(root).memory_bytes
    processes = _descendants(root)
    if not counts_root:
        processes.pop(root, None)
    return sum(_proportional_bytes(pid) for pid in processes)


def peak_bytes(root: int, *, counts_root: bool) -> int:
    """The most that the runtime's own process ever used; 0 where nothing tells."""
    if not HAS_PROC:
        return 0
    pids = [root] if counts_root else sorted(_children(root))[:1]
    return sum(_status_bytes(pid, b"VmHWM:") for pid in pids)


def _descendants(root: int) -> dict[int, int]:
    """Process to number of its threads."""
    found: dict[int, int] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        threads = _threads(pid)
        if threads:
            found[pid] = len(threads)
            waiting += _children(pid, threads)
    return found


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  a hot path: every 5 ms
    except OSError:
        return []


def _children(pid: int, threads: list[str] | None = None) -> list[int]:
    children: list[int] = []
    for thread in _threads(pid) if threads is None else threads:
        children += [int(each) for each in _read(f"/proc/{pid}/task/{thread}/children").split()]
    return children


def _resident_bytes(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE if fields else 0


def _proportional_bytes(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _resident_bytes(pid)


def _status_bytes(pid: int, name: bytes) -> int:
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: str) -> bytes:
    try:
        opened = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(opened, 8192)
    except OSError:
        return b""
    finally:
        os.close(opened)


def _measure_by_psutil(root: int) -> Usage:
    import psutil  # noqa: PLC0415  only needed where there is no /proc

    memory = tasks = 0
    try:
        process = psutil.Process(root)
        for each in (process, *process.children(recursive=True)):
            memory += each.memory_info().rss
            tasks += each.num_threads()
    except psutil.Error:
        pass
    return Usage(memory_bytes=memory, tasks=tasks)
