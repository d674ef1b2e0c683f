"""The Python environments that the local cloud's processes run in, each beside our own.

The emulator pins botocore exactly, so it can't share an environment with the user's boto3. A
function sees Lambda's Python with Lambda's packages and nothing else. Both are made from the hashed
requirement files of this package, by uv, in the virtual environment this code runs in:
`emulator/` and `lambda-python3.X/`. Never downloads an interpreter.

`python -m triggerfish.local.environments` makes what is missing and does nothing when nothing is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from triggerfish.errors import Error, InputError, Refused, Unavailable
from triggerfish.runtime.entry import exit_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEFAULT_RUNTIME = "python3.13"
REQUIREMENTS = Path(__file__).parent / "requirements"
STAMP = "triggerfish-requirements.sha256"

_MAKE = "`python -m triggerfish.local.environments` makes it (in a clone: `make setup`)"
_SYSTEM_CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Alpine, Arch
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, Red Hat, Amazon Linux
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
)
_VERSION_FOLDERS = (
    ".pyenv/versions/{version}*/bin/python{version}",
    ".asdf/installs/python/{version}*/bin/python{version}",
    ".local/share/mise/installs/python/{version}*/bin/python{version}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaPython:
    """The interpreter a function runs on here; `exact` where it is the runtime's own version."""

    path: Path
    version: str
    """Major and minor: `3.13`."""
    exact: bool


class Maker(Protocol):
    """What makes an environment."""

    def find(self, version: str) -> Path | None:
        """The machine's interpreter of this version (`3.13`), if it has one."""

    def make(self, folder: Path, *, python: Path, requirements: Path) -> None:
        """Make a relocatable environment holding exactly these requirements, hashes checked."""


def home() -> Path:
    """The folder the environments are in: ours, or the user's cache where ours is the system's."""
    prefix = Path(sys.prefix)
    if sys.prefix != sys.base_prefix and ((prefix / "emulator").exists() or _writable(prefix)):
        return prefix
    return Path.home() / ".cache" / "triggerfish" / f"python{_own_version()}"


def emulator_python(*, at: Path | None = None) -> Path:
    """The interpreter of the emulator's environment.

    Raises: Unavailable where the environment has not been made.
    """
    python = _python(_emulator_folder(at or home()))
    if not python.exists():
        raise Unavailable(f"{python}: the emulator's environment is missing", hint=_MAKE)
    return python


def lambda_python(runtime: str, *, at: Path | None = None) -> LambdaPython:
    """The interpreter to run a function of this Lambda runtime (`python3.13`) on.

    The runtime's own where it is there, else the nearest, the newer of two equally near.
    Raises: InputError for a runtime that is not Python's; Unavailable where there is none at all.
    """
    folder, wanted = at or home(), _version_of(runtime)
    there = [
        (f"3.{env.suffix[1:]}", _python(env))
        for env in folder.glob("lambda-python3.*")
        if env.suffix[1:].isdecimal() and _python(env).exists()
    ]
    if not there:
        missing = _lambda_folder(folder, wanted)
        raise Unavailable(f"{missing}: no environment for functions is there", hint=_MAKE)
    version, python = min(there, key=lambda each: _distance(each[0], wanted))
    return LambdaPython(path=python, version=version, exact=version == wanted)


def ensure_environments(
    say: Callable[[str], None],
    *,
    runtimes: Sequence[str] = (DEFAULT_RUNTIME,),
    maker: Maker | None = None,
    at: Path | None = None,
) -> None:
    """Make the emulator's environment and one for each runtime, where missing or out of date.

    A runtime whose interpreter the machine lacks gets our own interpreter, and `say` says so.
    """
    versions = sorted({_version_of(runtime) for runtime in runtimes})
    folder, maker = at or home(), maker or UvMaker()
    own = Path(sys.executable)
    _ensure(_emulator_folder(folder), own, "emulator", maker, say)
    for version in versions:
        env = _lambda_folder(folder, version)
        if _up_to_date(env, REQUIREMENTS / "lambda.txt"):
            continue
        python = own if version == _own_version() else maker.find(version)
        if python is None:
            say(f"no Python {version} here: functions run on Python {_own_version()} locally")
            env, python = _lambda_folder(folder, _own_version()), own
        _ensure(env, python, "lambda", maker, say)


class UvMaker:
    """Makes environments with the uv that comes with us."""

    def __init__(self, uv: Path | None = None) -> None:
        self._uv = uv

    def find(self, version: str) -> Path | None:
        command = ["python", "find", version, "--system", "--no-python-downloads"]
        found = self._run(command, check=False).strip()
        if found:
            return Path(found)
        folders = (each.format(version=version) for each in _VERSION_FOLDERS)
        places = (path for each in folders for path in sorted(Path.home().glob(each)))
        return next((path for path in places if _runs(path)), None)

    def make(self, folder: Path, *, python: Path, requirements: Path) -> None:
        self._run(
            ["venv", "--relocatable", "--no-python-downloads", "--python", str(python), str(folder)]
        )
        install = ["pip", "sync", "--require-hashes", "--compile-bytecode"]
        self._run([*install, "--python", str(_python(folder)), str(requirements)])

    def _run(self, arguments: Sequence[str], *, check: bool = True) -> str:
        uv = self._uv or _uv_executable()
        run = subprocess.run(
            [uv, "--quiet", *arguments],
            env=_uv_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode and check:
            said = "\n".join(run.stderr.strip().splitlines()[-8:])
            raise Unavailable(
                f"uv {arguments[0]} failed (exit {run.returncode}):\n{said}",
                hint="the package index must be reachable; run it again once it is",
            )
        return "" if run.returncode else run.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    runtimes = list(sys.argv[1:] if arguments is None else arguments) or [DEFAULT_RUNTIME]
    try:
        ensure_environments(_say, runtimes=runtimes)
    except Error as error:
        _say(f"error: {error}")
        return exit_code(error)
    return 0


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _ensure(env: Path, python: Path, name: str, maker: Maker, say: Callable[[str], None]) -> None:
    requirements = REQUIREMENTS / f"{name}.txt"
    if _up_to_date(env, requirements):
        return
    with _locked(env.parent, say):
        if _up_to_date(env, requirements):  # made by whoever held the lock
            return
        say(f"making {env}")
        new, old = env.with_name(f"{env.name}.new"), env.with_name(f"{env.name}.old")
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        maker.make(new, python=python, requirements=requirements)
        (new / STAMP).write_text(_digest(requirements))
        if env.exists():
            env.rename(old)
        new.rename(env)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder against other makers. The kernel lets go when we die."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}", hint="use a virtual environment") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder}: another process is making environments; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _up_to_date(env: Path, requirements: Path) -> bool:
    try:
        stamp = (env / STAMP).read_text()
    except OSError:
        return False
    return stamp == _digest(requirements) and _python(env).exists()


def _digest(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def _uv_executable() -> Path:
    from uv import find_uv_bin  # noqa: PLC0415

    try:
        return Path(find_uv_bin())
    except FileNotFoundError as error:
        found = shutil.which("uv")
        if found is None:
            raise Unavailable("uv is missing", hint="`python -m pip install uv`") from error
        return Path(found)


def _uv_environment() -> dict[str, str]:
    """Ours, with the machine's certificates trusted, as pip does: only they know a proxy's."""
    there = any(path.exists() for path in _SYSTEM_CERTIFICATES)
    return {**({"UV_SYSTEM_CERTS": "1"} if there else {}), **os.environ}


def _runs(python: Path) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def _python(env: Path) -> Path:
    return env / "bin" / "python"


def _emulator_folder(folder: Path) -> Path:
    return folder / "emulator"


def _lambda_folder(folder: Path, version: str) -> Path:
    return folder / f"lambda-python{version}"


def _own_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _version_of(runtime: str) -> str:
    prefix, _, minor = runtime.partition("python3.")
    if prefix or not minor.isascii() or not minor.isdigit():
        raise InputError(f"{runtime}: not a Python runtime of Lambda", hint="such as python3.13")
    return f"3.{minor}"


def _distance(version: str, wanted: str) -> tuple[int, int]:
    """How far apart two versions are; of two equally far, the newer comes first."""
    have, want = int(version.partition(".")[2]), int(wanted.partition(".")[2])
    return abs(have - want), -have


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK)


if __name__ == "__main__":
    raise SystemExit(main())
