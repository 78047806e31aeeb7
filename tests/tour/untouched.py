"""Every function of the program that a tour did not execute, beside docs/untouched.md's answers."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

from tests.tour.readme import ROOT

ANSWERS = ROOT / "docs" / "untouched.md"
PACKAGES = ("adan_core", "adan_tui")
_COMPILED = ("compiled", "compiled_inline")
_ANSWER = re.compile(r"^- `([\w.]+)`: (\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Function:
    """A function with a body: its dotted name, its file and its own lines."""

    name: str
    path: Path
    lines: frozenset[int]
    kernel: bool


def functions() -> tuple[Function, ...]:
    """Return every function and method, nested ones too; protocols' signatures have no body."""
    found: list[Function] = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found += _within(ast.parse(path.read_text(encoding="utf-8")), module, path)
    return tuple(found)


def executed(folder: Path, part: str) -> dict[Path, set[int]]:
    """Return the lines that the processes of one part of the tour executed."""
    lines: dict[Path, set[int]] = {}
    for measured in folder.glob(f"{part}.*"):
        data = CoverageData(basename=str(measured))
        data.read()
        for name in data.measured_files():
            lines.setdefault(Path(name), set()).update(data.lines(name) or ())
    return lines


def untouched(among: tuple[Function, ...], lines: dict[Path, set[int]]) -> tuple[Function, ...]:
    """Return the functions of which not one line was executed."""
    return tuple(one for one in among if not one.lines & lines.get(one.path, set()))


def answers() -> dict[str, str]:
    """Return what docs/untouched.md answers, by function."""
    return dict(_ANSWER.findall(ANSWERS.read_text(encoding="utf-8")))


def _within(tree: ast.AST, prefix: str, path: Path) -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _within(node, f"{prefix}.{node.name}", path)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}.{node.name}"
            yield from _within(node, name, path)
            lines = frozenset(_own_lines(node))
            if lines:
                yield Function(name, path, lines, _is_kernel(node))
        else:
            yield from _within(node, prefix, path)


def _own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    """Return the lines of the body, without the docstring and what nested functions own."""
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring, or the ... of a signature
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.lineno
            continue
        yield from _lines(statement)


def _lines(node: ast.AST) -> Iterator[int]:
    nested = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    if isinstance(node, ast.stmt | ast.expr):
        yield node.lineno
    for child in ast.iter_child_nodes(node):
        if isinstance(child, nested):
            yield child.lineno
        else:
            yield from _lines(child)


def _is_kernel(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(one, ast.Name) and one.id in _COMPILED for one in function.decorator_list)
