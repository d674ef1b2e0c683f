"""Turns a fresh process of the Lambda interpreter into an environment, then runs AWS's client.

Run as a script by the interpreter that functions use (Python 3.10 or newer, none of our packages):

    python bootstrap.py STATUS_FD OPTIONS   OPTIONS is the JSON of `process.bootstrap_options`
    python bootstrap.py probe               prints {"mode": ..., "refusals": [...]}: what works here

Three processes make an environment where the kernel allows namespaces, one where it doesn't:

    sandbox -> outer (dies with the sandbox) -> init (first process of a PID namespace) -> runtime

Whatever kills `outer` or `init` makes the kernel kill every process the function ever started, also
those that left its session: nothing can outlive the sandbox, not even when it's killed itself.

The mount namespace gives what a function finds on AWS: its code at /var/task, everything read-only
but /tmp, and a /tmp of its own with the configured size. The rest of the machine stays visible:
this is parity, not security.

Lines of JSON on STATUS_FD: {"root": pid}, {"exit": wait status} or {"failed": "why"}.
"""

# A cold start pays for every module: no pathlib, no contextlib, nothing imported too early.
# ruff: noqa: PTH102, PTH103, PTH111, PTH112, PTH115, PTH118, PTH120, PTH123, PTH211, SIM105, PLC0415
# ruff: noqa: S108
from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Options = dict[str, Any]

TASK_ROOT = "/var/task"
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
USER_NAMESPACE_COUNTS_PROCESSES = (5, 14)  # "Reimplement RLIMIT_NPROC on top of ucounts"
RECURSIVE_BIND = MS_BIND | MS_REC
O_PATH = getattr(os, "O_PATH", 0)


class Libc:
    """The system calls that Python has no function for."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._check(self._libc.unshare(flags), "unshare")

    def mount(
        self, source: str, target: str, kind: str | None, flags: int, data: str | None = None
    ) -> None:
        encoded = (os.fsencode(part) if part else None for part in (source, target, kind))
        result = self._libc.mount(*encoded, ctypes.c_ulong(flags), data and data.encode())
        self._check(result, "mount on " + target)

    def make_all_read_only(self) -> None:
        attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
        result = self._libc.syscall(
            SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.c_size_t(32)
        )
        self._check(result, "mount_setattr")

    def die_with_parent(self) -> None:
        self._check(self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")

    @staticmethod
    def _check(result: int, what: str) -> None:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def main(arguments: list[str]) -> None:
    sys.path.pop(0)  # our folder: its `http` is not the library's
    if arguments == ["probe"]:
        sys.stdout.write(json.dumps(probe()))
        return
    status, options = int(arguments[0]), json.loads(arguments[1])
    try:
        lifeline = die_with_sandbox(options)
        if options["mode"] == "none":
            say(status, root=os.getpid())
        else:
            enter_namespaces(status, options)
    except (OSError, ValueError) as error:
        say(status, failed=str(error))
        os._exit(1)
    if lifeline is not None:
        watch(lifeline)
    os.close(status)
    run_client(options)


def say(status: int, **fields: object) -> None:
    os.write(status, json.dumps(fields).encode() + b"\n")


def die_with_sandbox(options: Options) -> int | None:
    """On Linux the kernel kills us with the thread that started us; else returns a pipe."""
    if sys.platform != "linux":
        return options["lifeline"]
    Libc().die_with_parent()
    if os.getppid() != options["sandbox"]:
        os._exit(1)
    return None


def watch(lifeline: int) -> None:
    import threading

    def end_with_pipe() -> None:
        os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end_with_pipe, daemon=True).start()


def enter_namespaces(status: int, options: Options) -> None:
    """Return in the runtime's process; `outer` and `init` stay behind and never return."""
    libc = Libc()
    unshare(libc, options["mode"])
    held, holder = os.pipe()
    if pid := os.fork():
        os.close(held)
        os.waitpid(pid, 0)
        os._exit(0)
    libc.die_with_parent()
    os.close(holder)
    if select.select([held], [], [], 0)[0]:
        os._exit(1)  # `outer` died before we asked to die with it
    os.close(held)
    try:
        say(status, root=int(os.readlink("/proc/self")))
        prepare_mounts(libc, options)
    except (OSError, ValueError) as error:
        say(status, failed=str(error))
        os._exit(1)
    if pid := os.fork():
        say(status, exit=reap_until(pid))
        os._exit(0)


def reap_until(pid: int) -> int:
    while True:
        found, code = os.waitpid(-1, 0)
        if found == pid:
            return code


def unshare(libc: Libc, mode: str) -> None:
    if mode == "namespaces":
        libc.unshare(CLONE_NEWNS | CLONE_NEWPID)
        return
    user, group = os.getuid(), os.getgid()
    libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)


def prepare_mounts(libc: Libc, options: Options) -> None:
    libc.mount("none", "/", None, MS_REC | MS_PRIVATE)
    code = os.open(options["code"], O_PATH)
    under_tmp = [folder for folder in interpreter_folders() if folder.startswith("/tmp/")]
    kept = [(folder, os.open(folder, O_PATH)) for folder in under_tmp]
    hide_host_settings(libc)
    place_code(libc, code)
    libc.make_all_read_only()
    size = f"size={options['tmp_bytes']},mode=1777"
    libc.mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, size)
    for folder, opened in kept:
        os.makedirs(folder, exist_ok=True)
        libc.mount(f"/proc/self/fd/{opened}", folder, None, RECURSIVE_BIND)
    for opened in (code, *(opened for _, opened in kept)):
        os.close(opened)
    try:
        libc.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        pass  # refused inside most containers: the function then sees the machine's processes


def interpreter_folders() -> list[str]:
    executable = os.path.dirname(os.path.realpath(sys.executable))
    folders = {sys.prefix, sys.base_prefix, executable}
    return sorted(folder for folder in folders if os.path.isdir(folder))


def hide_host_settings(libc: Libc) -> None:
    """The AWS settings of the person at the machine are no part of Lambda."""
    for home in {os.path.expanduser("~"), os.environ.get("HOME", "")}:
        folder = os.path.join(home, ".aws")
        if home and os.path.isdir(folder):
            libc.mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=755")


def place_code(libc: Libc, code: int) -> None:
    """Bind the code at /var/task, without making that folder on the machine."""
    if not os.path.isdir(TASK_ROOT):
        add_folder_to_var(libc)
    libc.mount(f"/proc/self/fd/{code}", TASK_ROOT, None, RECURSIVE_BIND)


def add_folder_to_var(libc: Libc) -> None:
    """Replace /var by one that shows the same and has `task`; built on /tmp, covered later."""
    libc.mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k,mode=755")
    for entry in os.scandir("/var"):
        target = "/tmp/" + entry.name
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir():
            os.mkdir(target)
            libc.mount(entry.path, target, None, RECURSIVE_BIND)
    os.mkdir("/tmp/task")
    libc.mount("/tmp", "/var", None, MS_MOVE)


def limit_resources(options: Options) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (options["files"], options["files"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if counts_own_processes(options["mode"]):
        resource.setrlimit(resource.RLIMIT_NPROC, (options["processes"], options["processes"]))


def counts_own_processes(mode: str) -> bool:
    """Whether RLIMIT_NPROC counts this environment alone. Root is never limited by it."""
    if mode != "user-namespaces" or os.getuid() == 0:
        return False
    version = os.uname().release.split("-")[0].split(".")
    return tuple(int(part) for part in version[:2]) >= USER_NAMESPACE_COUNTS_PROCESSES


def run_client(options: Options) -> None:
    """As /var/runtime/bootstrap.py does on AWS. Nothing of this file stays importable."""
    limit_resources(options)
    if options["locale_is_ours"]:
        os.environ.pop("LC_CTYPE", None)  # Python sets it where the machine lacks Lambda's locale
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    os.chdir(task_root)
    sys.path.insert(0, task_root)
    sys.argv = ["/var/runtime/bootstrap.py", options["handler"]]
    try:
        import runtime_client  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        use_portable_client(options["portable_client"])
    from awslambdaric.__main__ import main as client

    client(sys.argv)


def use_portable_client(path: str) -> None:
    """AWS builds its HTTP client for Linux alone; elsewhere ours takes its place."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("runtime_client", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["runtime_client"] = module
    spec.loader.exec_module(module)


def probe() -> dict[str, object]:
    """Try each mode in a process of its own, the best first; say why better ones were refused."""
    refusals: list[str] = []
    for mode in ("namespaces", "user-namespaces"):
        refusal = try_mode(mode) if sys.platform == "linux" else "needs Linux"
        if refusal is None:
            return {
                "mode": mode,
                "refusals": refusals,
                "counts_processes": counts_own_processes(mode),
            }
        refusals.append(f"{mode}: {refusal}")
    return {"mode": "none", "refusals": refusals, "counts_processes": False}


def try_mode(mode: str) -> str | None:
    told, teller = os.pipe()
    if pid := os.fork():
        os.close(teller)
        with open(told, "rb") as file:
            lines = file.read().splitlines()
        os.waitpid(pid, 0)
        said = [json.loads(line) for line in lines]
        failures = [each["failed"] for each in said if "failed" in each]
        worked = any(each.get("exit") == 0 for each in said)
        return None if worked else (failures or ["the process died"])[0]
    try:
        enter_namespaces(teller, {"mode": mode, "code": "/", "tmp_bytes": 4096})
    except (OSError, ValueError) as error:
        say(teller, failed=str(error))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
