"""Make the project's environment from nothing but this Python. Does nothing when it's up to date.

Standard library only: it runs before anything is installed. Everything it installs is pinned and
hashed. uv comes from the machine, or else from the package index, by pip. The stamp is written
last, so an interrupted run is taken up again by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "setup.json"
BOOTSTRAP = VENV / "bootstrap"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
BUILD_REQUIREMENTS = ROOT / "requirements" / "build.txt"
IN_PACKAGE = ROOT / "src" / "triggerfish" / "local" / "requirements"
OLDEST_UV = (0, 9)
SYSTEM_CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Alpine, Arch
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, Red Hat, Amazon Linux
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
)


class SetupError(Exception):
    """What stopped the set-up, and what to do about it."""


def main() -> int:
    try:
        if _up_to_date():
            _say("set-up is up to date")
            return 0
        if Path(sys.prefix) == VENV:  # about to be changed: go on as the interpreter it's made from
            base: str = sys._base_executable  # type: ignore[attr-defined]  # noqa: SLF001
            os.execv(base, [base, __file__])  # noqa: S606
        _trust_what_the_machine_trusts()
        with _locked():
            if not _up_to_date():
                _set_up()
    except SetupError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; `make setup` goes on from here")
        return 130
    return 0


def _set_up() -> None:
    keep = _ours()
    STAMP.unlink(missing_ok=True)
    if not keep:
        shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    uv = _uv()
    if not keep:
        _say(f"making .venv with Python {sys.version.split()[0]}")
        _run(
            [uv, "-q", "venv", "--allow-existing", "--no-python-downloads"],
            ["--python", sys.executable, str(VENV)],
        )
    _say("installing the pinned requirements")
    build = ["--build-constraints", str(BUILD_REQUIREMENTS)]
    pip = ["--python", str(VENV / "bin" / "python"), "--compile-bytecode", *build]
    _run([uv, "-q", "pip", "sync", *pip, "--require-hashes"], [str(REQUIREMENTS)])
    _run([uv, "-q", "pip", "install", *pip, "--no-deps"], ["--editable", str(ROOT)])
    _run([str(VENV / "bin" / "python"), "-m", "triggerfish.local.environments"], [])
    shutil.rmtree(BOOTSTRAP, ignore_errors=True)
    new = STAMP.with_suffix(".new")
    new.write_text(json.dumps({"environment": _identity(), "digest": _digest()}))
    new.replace(STAMP)
    _say("set up: .venv/bin/triggerfish")


def _up_to_date() -> bool:
    stamp = _stamp()
    if (stamp.get("environment"), stamp.get("digest")) != (_identity(), _digest()):
        return False
    needed = (VENV / "bin" / "triggerfish", VENV / "emulator" / "bin" / "python")
    functions = VENV.glob("lambda-python3.*/bin/python")
    return all(path.exists() for path in needed) and any(path.exists() for path in functions)


def _ours() -> bool:
    """Whether .venv was made by this Python for this folder, so that it can be updated."""
    stamp = _stamp()
    if stamp:
        return stamp.get("environment") == _identity()
    show = "import sys; print(sys.base_prefix, '%s.%s' % sys.version_info[:2], sys.prefix, sep='|')"
    try:
        run = subprocess.run(
            [VENV / "bin" / "python", "-c", show], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return run.stdout.strip() == _identity()


def _identity() -> str:
    major, minor = sys.version_info[:2]
    return f"{sys.base_prefix}|{major}.{minor}|{VENV}"


def _stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_bytes())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _digest() -> str:
    digest = hashlib.sha256()
    inputs = (Path(__file__), ROOT / "pyproject.toml", REQUIREMENTS, BUILD_REQUIREMENTS)
    for path in (*inputs, *sorted(IN_PACKAGE.glob("*.txt"))):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _uv() -> str:
    for candidate in (str(VENV / "bin" / "uv"), shutil.which("uv"), str(BOOTSTRAP / "bin" / "uv")):
        if candidate and _uv_version(candidate) >= OLDEST_UV:
            return candidate
    _say("fetching uv")
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else _pip_of_a_private_environment()
    requirement = BOOTSTRAP / "uv.txt"
    requirement.parent.mkdir(exist_ok=True)
    requirement.write_text(_pinned("uv"))
    _run(
        [*pip, "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"],
        ["--target", str(BOOTSTRAP), "-r", str(requirement)],
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_ROOT_USER_ACTION="ignore",
        PIP_USER="0",
        PIP_REQUIRE_VIRTUALENV="0",
    )
    return str(BOOTSTRAP / "bin" / "uv")


def _trust_what_the_machine_trusts() -> None:
    """Let uv use the machine's certificates, as pip does: only they know a company's proxy."""
    if any(path.exists() for path in SYSTEM_CERTIFICATES):
        for name in ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"):  # the second is the older uv's name
            os.environ.setdefault(name, "1")


def _uv_version(uv: str) -> tuple[int, ...]:
    """(0, 13, 9), from "uv 0.13.9 (…)". (0,) where it doesn't run: pyenv's shims may not."""
    try:
        run = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
        return tuple(int(part) for part in run.stdout.split()[1].split(".")[:2])
    except (OSError, IndexError, ValueError):
        return (0,)


def _pip_of_a_private_environment() -> list[str]:
    """Pip in an environment of its own, for a Python that has none (Debian's has none)."""
    if not (find_spec("venv") and find_spec("ensurepip")):
        _install_venv_module()
    private = BOOTSTRAP / "pip"
    _run([sys.executable, "-m", "venv", "--clear"], [str(private)])
    return [str(private / "bin" / "python"), "-m", "pip"]


def _install_venv_module() -> None:
    exact = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None or sys.base_prefix != "/usr":
        raise SetupError(
            f"{sys.executable} has neither pip nor a working venv module, and uv is not installed\n"
            f"hint: as root, `apt-get install {exact}` (Debian, Ubuntu); or install uv; "
            "or name another Python: make setup PYTHON=/path/to/python3"
        )
    _say(f"this Python has no pip: installing Debian's {exact}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    _run([apt, "update", "-qq"], [], **environment)
    _run([apt, "install", "-y", "-qq", exact], [], **environment)


def _pinned(name: str) -> str:
    """The lines of the requirement file that pin one package, hashes included."""
    lines = iter(REQUIREMENTS.read_text().splitlines())
    for line in lines:
        if line.startswith(f"{name}=="):
            block = [line]
            while block[-1].endswith("\\"):
                block.append(next(lines))
            return "\n".join(block) + "\n"
    raise SetupError(f"{REQUIREMENTS}: {name} is not pinned\nhint: `make requirements`")


def _run(command: Sequence[str], arguments: Sequence[str], **environment: str) -> None:
    run = subprocess.run(
        [*command, *arguments],
        env={**os.environ, **environment},
        stdout=sys.stderr,
        check=False,
    )
    if run.returncode:
        said = f"`{' '.join([*command, *arguments])}` failed (exit {run.returncode})"
        raise SetupError(f"{said}\nhint: what it said is above; `make setup` goes on from here")


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the project's folder against another set-up. The kernel lets go when we die."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up of this folder is running; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
