"""Which modules a function needs: the static closure of its imports, read from the source.

Every import counts, wherever in a module it stands, but for those only type checkers follow. A
module whose name is computed at run time can't be seen; functions don't do that.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triggerfish.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

RUNTIME_MODULES = frozenset(
    {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
)
"""What a Python runtime of Lambda has beside the standard library.

Source: docs.aws.amazon.com/lambda/latest/dg/lambda-python.html, 2026-11: boto3, and its own needs.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One name an import statement may bind: a module, or something in one."""

    name: str
    """Absolute and dotted. For `from a import b` once `a` and once `a.b`."""
    line: int
    optional: bool
    """Inside a `try` that goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    modules: tuple[tuple[str, Path], ...]
    """Name and file of every module of the source tree, sorted; packages are their `__init__`."""
    foreign: tuple[tuple[str, str], ...]
    """Top-level names from elsewhere that have to be there, and where they are imported."""


def closure(entry: str, source: Path) -> Closure:
    """All that importing the module `entry` from the folder `source` imports.

    Raises:
        Refused: `entry` isn't there, or a module in `source` imports one that isn't.

    """
    if _file_of(entry, source) is None:
        raise Refused(f"module {entry} isn't in {source}")
    files: dict[str, Path] = {}
    foreign: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        for name in _with_parents(module):
            file = _file_of(name, source)
            if name in files or file is None:
                continue
            files[name] = file
            for found in imports(file, name):
                top = found.name.partition(".")[0]
                if _is_ours(top, source):
                    waiting += _modules_in(found, source, file)
                elif not found.optional:
                    foreign.setdefault(top, f"{file}:{found.line}")
    return Closure(modules=tuple(sorted(files.items())), foreign=tuple(sorted(foreign.items())))


def missing_problems(found: Closure, provided: Iterable[str]) -> list[str]:
    """Each import that would fail on Lambda: neither ours nor the runtime's nor a requirement's."""
    there = {*sys.stdlib_module_names, *RUNTIME_MODULES, *provided}
    return [
        f"{where}: {name!r} is neither Lambda's nor among the function's requirements"
        for name, where in found.foreign
        if name not in there
    ]


def imports(file: Path, module: str) -> Iterator[Import]:
    """The imports of one file, in order."""
    visitor = _Visitor(package=module if file.name == "__init__.py" else module.rpartition(".")[0])
    try:
        visitor.visit(ast.parse(file.read_bytes(), filename=str(file)))
    except SyntaxError as error:
        raise Refused(f"{file}:{error.lineno}: {error.msg}") from error
    yield from visitor.found


class _Visitor(ast.NodeVisitor):
    def __init__(self, *, package: str) -> None:
        self.found: list[Import] = []
        self._package = package
        self._optional = 0

    def visit_Import(self, node: ast.Import) -> None:
        self._add(node, [alias.name for alias in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self._absolute(node)
        self._add(node, [base, *(f"{base}.{alias.name}" for alias in node.names)])

    def visit_If(self, node: ast.If) -> None:
        if _is_type_checking(node.test):
            self._visit_all(node.orelse)
        else:
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        optional = any(_catches_import_error(handler.type) for handler in node.handlers)
        self._optional += optional
        self._visit_all(node.body)
        self._optional -= optional
        self._visit_all([*node.handlers, *node.orelse, *node.finalbody])

    def visit_Call(self, node: ast.Call) -> None:
        """`importlib.import_module("a.b")` with the name written out."""
        match node:
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                self._add(node, [name])
        self.generic_visit(node)

    def _visit_all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _add(self, node: ast.stmt | ast.expr, names: Iterable[str]) -> None:
        self.found += [
            Import(name=name, line=node.lineno, optional=self._optional > 0) for name in names
        ]

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self._package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, node.module] if node.module else parts)


def _is_type_checking(test: ast.expr) -> bool:
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def _catches_import_error(caught: ast.expr | None) -> bool:
    match caught:
        case ast.Name(id="ImportError" | "ModuleNotFoundError"):
            return True
        case ast.Tuple(elts=elements):
            return any(_catches_import_error(element) for element in elements)
    return False


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _file_of(module: str, source: Path) -> Path | None:
    base = source.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


def _is_ours(top: str, source: Path) -> bool:
    return (source / top).is_dir() or (source / f"{top}.py").is_file()


def _modules_in(found: Import, source: Path, file: Path) -> list[str]:
    """The longest part of the imported name that is a module: `a.b` of `from a.b import C`."""
    name = found.name
    if _file_of(name, source) is not None or source.joinpath(*name.split(".")).is_dir():
        return [name]
    parent = name.rpartition(".")[0]
    if parent and _file_of(parent, source) is not None:
        return [parent]
    if found.optional:
        return []
    raise Refused(f"{file}:{found.line}: module {name} isn't in {source}")
