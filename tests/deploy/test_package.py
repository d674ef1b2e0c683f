from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.samples import Settings, make_function
from triggerfish.deploy import bytecode
from triggerfish.deploy.bytecode import cached_name, compiled
from triggerfish.deploy.package import SETTINGS, SOURCE, Target, package, zipped
from triggerfish.errors import Refused, Unavailable

if TYPE_CHECKING:
    from triggerfish.blueprint import Function

HERE = Target.of_this_machine(Path(sys.executable), f"3.{sys.version_info.minor}")
TAG = f"cpython-3{sys.version_info.minor}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "toy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "handler.py").write_text(
        "from toy import work\n\ndef handler(event, context):\n    return work.double(event)\n"
    )
    (folder / "work.py").write_text("def double(value):\n    return value * 2\n")
    (folder / "unused.py").write_text("import flask\n")
    return folder.parent


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def toy(**changes: object) -> Function:
    return make_function(handler="toy.handler.handler", **changes)


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_an_artifact_holds_what_is_imported_and_the_settings(source: Path, cache: Path) -> None:
    (artifact,) = package([toy()], HERE, cache=cache, source=source)

    assert names(artifact.path) == [
        "toy/__init__.py",
        f"toy/__pycache__/__init__.{TAG}.pyc",
        f"toy/__pycache__/handler.{TAG}.pyc",
        f"toy/__pycache__/work.{TAG}.pyc",
        "toy/handler.py",
        "toy/work.py",
        "triggerfish_settings.json",
    ]
    with zipfile.ZipFile(artifact.path) as archive:
        assert archive.read(SETTINGS) == b'{"groups":[]}'
        unzipped = sum(entry.file_size for entry in archive.infolist())
    assert (artifact.id, artifact.function) == ("Sample", "shop-local-sample")
    assert artifact.zip_bytes == artifact.path.stat().st_size
    assert artifact.unzipped_bytes == unzipped
    assert artifact.largest == (("toy", unzipped - len(b'{"groups":[]}')),)
    assert artifact.key == f"functions/shop-local-sample/{artifact.sha256}.zip"
    assert artifact.compiled


def test_built_twice_it_is_the_same_bytes(source: Path, tmp_path: Path) -> None:
    one, two = (
        package([toy()], HERE, cache=tmp_path / name, source=source)[0] for name in ("a", "b")
    )

    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.sha256 == two.sha256


def test_unchanged_it_comes_from_the_cache(source: Path, cache: Path) -> None:
    (first,) = package([toy()], HERE, cache=cache, source=source)
    made_at = first.path.stat().st_mtime_ns
    (second,) = package([toy()], HERE, cache=cache, source=source)

    assert second == first
    assert second.path.stat().st_mtime_ns == made_at


def test_a_damaged_cache_is_built_again(source: Path, cache: Path) -> None:
    (first,) = package([toy()], HERE, cache=cache, source=source)
    content = first.path.read_bytes()
    first.path.write_bytes(b"half")
    (second,) = package([toy()], HERE, cache=cache, source=source)
    first.path.with_suffix(".json").write_text("{")
    (third,) = package([toy()], HERE, cache=cache, source=source)

    assert second.path.read_bytes() == content
    assert second == third == first


@pytest.mark.parametrize("what", ["source", "settings"])
def test_a_change_gives_another_key(source: Path, cache: Path, what: str) -> None:
    (before,) = package([toy()], HERE, cache=cache, source=source)
    if what == "source":
        (source / "toy/work.py").write_text("def double(value):\n    return value + value\n")
    changes = {"settings": b"{}"} if what == "settings" else {}
    (after,) = package([toy(**changes)], HERE, cache=cache, source=source)

    assert after.key != before.key


def test_a_function_that_changes_only_what_is_not_in_it_keeps_its_key(
    source: Path, cache: Path
) -> None:
    (before,) = package([toy()], HERE, cache=cache, source=source)
    (source / "toy/unused.py").write_text("changed = True\n")
    (after,) = package([toy()], HERE, cache=cache, source=source)

    assert after.key == before.key


def test_without_the_runtimes_python_the_sources_are_shipped(source: Path, cache: Path) -> None:
    target = dataclasses.replace(HERE, interpreter=None)
    (artifact,) = package([toy()], target, cache=cache, source=source)

    assert names(artifact.path) == [
        "toy/__init__.py",
        "toy/handler.py",
        "toy/work.py",
        "triggerfish_settings.json",
    ]
    assert not artifact.compiled


def test_a_module_that_would_be_missing_on_lambda_is_refused(source: Path, cache: Path) -> None:
    (source / "toy/work.py").write_text("import flask\n")

    with pytest.raises(Refused) as refused:
        package([toy()], HERE, cache=cache, source=source)

    assert str(refused.value) == (
        "AWS would refuse this, or fail later without a word:\n"
        f"{source}/toy/work.py:1: 'flask' is neither Lambda's nor among the function's requirements"
    )


def test_the_bytecode_is_used_without_a_look_at_the_source(
    source: Path, cache: Path, tmp_path: Path
) -> None:
    (artifact,) = package([toy()], HERE, cache=cache, source=source)
    task = tmp_path / "task"
    with zipfile.ZipFile(artifact.path) as archive:
        archive.extractall(task)
    (task / "toy/work.py").write_text("def double(value):\n    raise ValueError\n")
    code = "from toy.handler import handler; print(handler(21, None))"

    run = subprocess.run(
        [sys.executable, "-c", code], cwd=task, capture_output=True, text=True, check=True
    )

    assert run.stdout == "42\n"


def test_tracebacks_name_the_file_as_it_is_on_lambda() -> None:
    made = compiled({"toy/work.py": b"x = 1\n"}, Path(sys.executable))

    (content,) = made.values()
    assert list(made) == [f"toy/__pycache__/work.{TAG}.pyc"]
    assert b"/var/task/toy/work.py" in content
    assert content[4:8] == b"\x01\x00\x00\x00"  # PEP 552: hash-based, unchecked


def test_a_source_that_does_not_compile_is_refused() -> None:
    with pytest.raises(Refused, match=r"can't compile a function's source: "):
        compiled({"work.py": b"def\n"}, Path(sys.executable))


def test_the_interpreter_of_our_own_version_is_this_one() -> None:
    assert bytecode.interpreter_for(f"3.{sys.version_info.minor}") == Path(sys.executable)


def test_a_version_the_machine_lacks_has_no_interpreter() -> None:
    assert bytecode.interpreter_for("3.99") is None


def test_a_module_outside_a_package_is_cached_beside_it() -> None:
    assert cached_name("work.py", "cpython-313") == "__pycache__/work.cpython-313.pyc"


def test_lambda_gets_its_own_platform() -> None:
    python = Path(sys.executable)

    assert Target.of_lambda(Settings(), python) == Target(
        python="3.13", platform="aarch64-manylinux_2_34", interpreter=python
    )
    assert Target.of_lambda(Settings(architecture="x86_64"), python) == Target(
        python="3.13", platform="x86_64-manylinux_2_34", interpreter=python
    )


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(Refused, match=r"^architecture 'sparc': wanted arm64 or x86_64$"):
        Target.of_lambda(Settings(architecture="sparc"))


def test_a_zip_depends_on_nothing_but_its_files() -> None:
    content = zipped({"b": b"2", "a": b"1"})

    assert content == zipped({"a": b"1", "b": b"2"})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert [(entry.filename, entry.date_time) for entry in archive.infolist()] == [
            ("a", (1980, 1, 1, 0, 0, 0)),
            ("b", (1980, 1, 1, 0, 0, 0)),
        ]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_requirements_come_for_the_target_pruned_and_from_the_cache_the_second_time(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = make_function(handler="triggerfish.runtime.clock.handler", requirements=("msgspec",))
    (first,) = package([function], HERE, cache=cache)
    held = names(first.path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(cache / "empty"))
    (second,) = package(
        [make_function(**{**_fields(function), "settings": b"{}"})], HERE, cache=cache
    )

    extensions = [name for name in held if name.endswith(".so")]
    assert len(extensions) == 1
    assert extensions[0].startswith(f"msgspec/_core.cpython-3{sys.version_info.minor}")
    assert "msgspec/__init__.py" in held
    assert [name for name in held if name.endswith((".pyi", "RECORD", "WHEEL"))] == []
    assert any(name.endswith("LICENSE") for name in held)
    assert second.zip_bytes < 1024 * 1024


@pytest.mark.parametrize("architecture", ["arm64", None])
def test_requirements_that_can_not_be_fetched_are_tried_later(
    cache: Path, monkeypatch: pytest.MonkeyPatch, architecture: str | None
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(cache / "empty"))
    here = Path(sys.executable)
    target = Target.of_lambda(Settings(architecture=architecture), here) if architecture else HERE

    with pytest.raises(
        Unavailable, match=r"^uv can't install the requirements for Python 3\."
    ) as gone:
        package([make_function(requirements=("msgspec",))], target, cache=cache)

    assert gone.value.hint == (
        "the package index must be reachable the first time; then the cache is used"
    )
    assert list((cache / "trees").iterdir()) == []


def _fields(function: Function) -> dict[str, object]:
    return {field.name: getattr(function, field.name) for field in dataclasses.fields(function)}


def test_the_cache_says_what_is_in_an_artifact(source: Path, cache: Path) -> None:
    (artifact,) = package([toy()], HERE, cache=cache, source=source)
    known = json.loads(artifact.path.with_suffix(".json").read_text())

    assert known["sha256"] == artifact.sha256
    assert known["zip_bytes"] == artifact.zip_bytes


def test_our_source_is_the_folder_of_our_package() -> None:
    assert (SOURCE / "triggerfish" / "errors.py").is_file()
