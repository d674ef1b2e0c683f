from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from triggerfish.deploy.imports import closure, missing_problems
from triggerfish.deploy.package import SOURCE
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def modules(folder: Path, entry: str = "toy.handler") -> list[str]:
    return [name for name, _ in closure(entry, folder).modules]


def toy(folder: Path, handler: str, **others: str) -> Path:
    files = {"toy/__init__.py": "", "toy/handler.py": handler}
    files |= {f"{name.replace('__', '/')}.py": text for name, text in others.items()}
    return write(folder, files)


def test_only_what_is_imported_is_taken_with_the_packages_it_is_in(tmp_path: Path) -> None:
    source = toy(
        tmp_path,
        "import toy.a.b\nfrom toy.c import value\n",
        toy__a__b="",
        toy__a__unused="",
        toy__c="from toy import d\nvalue = 1\n",
        toy__d="",
        toy__e="",
    )
    (source / "toy/a/__init__.py").write_text("from toy.f import x\n")
    (source / "toy/f.py").write_text("x = 1\n")

    assert modules(source) == [
        "toy",
        "toy.a",
        "toy.a.b",
        "toy.c",
        "toy.d",
        "toy.f",
        "toy.handler",
    ]


def test_imports_inside_functions_classes_and_handlers_count(tmp_path: Path) -> None:
    handler = """
def one():
    from toy import a
class Two:
    import toy.b
try:
    import toy.c
except ValueError:
    import toy.d
else:
    import toy.e
finally:
    import toy.f
if one():
    import toy.g
"""
    source = toy(tmp_path, handler, **{f"toy__{letter}": "" for letter in "abcdefg"})

    assert modules(source) == ["toy", *(f"toy.{letter}" for letter in "abcdefg"), "toy.handler"]


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_imports_for_type_checkers_do_not_count_but_their_else_does(
    tmp_path: Path, test: str
) -> None:
    handler = f"if {test}:\n    import toy.a\n    import stubs\nelse:\n    import toy.b\n"
    source = toy(tmp_path, handler, toy__a="", toy__b="")

    found = closure("toy.handler", source)

    assert [name for name, _ in found.modules] == ["toy", "toy.b", "toy.handler"]
    assert found.foreign == ()


def test_relative_imports_are_followed(tmp_path: Path) -> None:
    source = toy(
        tmp_path,
        "from . import a\nfrom .b import x\nfrom .sub.deep import y\n",
        toy__a="",
        toy__b="x = 1\n",
        toy__sub__deep="from ..c import z\ny = 1\n",
        toy__sub__other="q = 1\n",
        toy__c="z = 1\n",
    )
    (source / "toy/sub/__init__.py").write_text("from .other import q\n")

    assert modules(source) == [
        "toy",
        "toy.a",
        "toy.b",
        "toy.c",
        "toy.handler",
        "toy.sub",
        "toy.sub.deep",
        "toy.sub.other",
    ]


def test_a_module_imported_by_its_written_name_counts(tmp_path: Path) -> None:
    handler = 'import importlib\nimportlib.import_module("toy.a")\nimportlib.import_module(name)\n'

    assert modules(toy(tmp_path, handler, toy__a="")) == ["toy", "toy.a", "toy.handler"]


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    source = toy(tmp_path, "import toy.a\n", toy__a="import toy.handler\n")

    assert modules(source) == ["toy", "toy.a", "toy.handler"]


def test_what_comes_from_elsewhere_is_listed_with_its_first_place(tmp_path: Path) -> None:
    source = toy(tmp_path, "import json, boto3\nimport msgspec.json\nimport yaml\n")
    found = closure("toy.handler", source)

    assert [name for name, _ in found.foreign] == ["boto3", "json", "msgspec", "yaml"]
    assert missing_problems(found, ["msgspec"]) == [
        (
            f"{source}/toy/handler.py:3: "
            "'yaml' is neither Lambda's nor among the function's requirements"
        )
    ]


@pytest.mark.parametrize("caught", ["ImportError", "(ValueError, ModuleNotFoundError)"])
def test_an_import_the_code_can_do_without_is_not_missed(tmp_path: Path, caught: str) -> None:
    handler = f"try:\n    import isal\n    import toy.fast\nexcept {caught}:\n    isal = None\n"
    found = closure("toy.handler", toy(tmp_path, handler))

    assert missing_problems(found, []) == []


def test_a_module_of_ours_that_is_not_there_is_refused(tmp_path: Path) -> None:
    source = toy(tmp_path, "\nimport toy.nowhere.deep\n")

    with pytest.raises(Refused) as refused:
        closure("toy.handler", source)

    assert str(refused.value) == (
        f"{source}/toy/handler.py:2: module toy.nowhere.deep isn't in {source}"
    )


def test_an_entry_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^module toy\.handler isn't in "):
        closure("toy.handler", tmp_path)


def test_a_file_that_is_not_python_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"handler\.py:2: "):
        closure("toy.handler", toy(tmp_path, "x = 1\ndef\n"))


def test_our_own_runtime_needs_nothing_of_the_command_line() -> None:
    names = modules(SOURCE, "triggerfish.runtime.aws")

    assert [
        name for name in names if name.split(".")[1:2] in (["cli"], ["deploy"], ["local"])
    ] == []
    assert "triggerfish.errors" in names
