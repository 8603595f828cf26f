"""The rules of the house that a reader relies on: who imports whom, who prints, how long a file is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("graph", "vision", "regression")
FOLDERS = ("mlunlearn", *WINGS)
MAX_LINES = 400

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def label(path):
    """Path as a reader of the repository writes it."""
    return path.relative_to(ROOT).as_posix()


def parse(path):
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def without_type_checking(tree):
    """Yield the nodes that run, leaving out the bodies of ``if TYPE_CHECKING:``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        skipped = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else ()
        waiting += [child for child in ast.iter_child_nodes(node) if child not in skipped]


def imported(node):
    """Dotted names that one node may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def wings_imported(tree):
    """Wings that a module imports, by their right names or by the accident of standing in the root."""
    names = [name.split(".") for node in without_type_checking(tree) for name in imported(node)]
    inside = {parts[1] for parts in names if parts[0] == "mlunlearn" and len(parts) > 1}
    return (inside | {parts[0] for parts in names}) & set(WINGS)


def imports_by_accident(tree):
    """Names imported as top-level modules, which works only from the repository root."""
    return [name for node in ast.walk(tree) for name in imported(node) if name.split(".")[0] in WINGS]


def relative_imports(tree):
    """Lines with a relative import."""
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


def prints(tree):
    """Lines where ``print`` is named."""
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "print"]


def test_all_four_folders_are_read():
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(FOLDERS)


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_imports_are_absolute(path):
    tree = parse(path)
    assert relative_imports(tree) == []
    assert imports_by_accident(tree) == []


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_wings_import_the_core_only_and_the_core_no_wing(path):
    own = path.relative_to(ROOT).parts[0]
    assert wings_imported(parse(path)) - {own} == set()


@pytest.mark.parametrize("path", [p for p in SOURCES if p != ROOT / "mlunlearn" / "cli.py"], ids=label)
def test_only_the_command_line_prints(path):
    assert prints(parse(path)) == []


def test_no_file_is_too_long():
    lengths = {label(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize(
    ("source", "wings"),
    [
        ("import mlunlearn.graph.d2dgn", {"graph"}),
        ("from mlunlearn import base, vision", {"vision"}),
        ("from mlunlearn.regression import x", {"regression"}),
        ("def f():\n    from graph.data import x", {"graph"}),
        (
            "if TYPE_CHECKING:\n    from mlunlearn import graph\nelse:\n    from mlunlearn import vision",
            {"vision"},
        ),
        ("from mlunlearn.audit import graph_metrics", set()),
    ],
)
def test_the_rules_see_imports(source, wings):
    assert wings_imported(ast.parse(source)) == wings


def test_the_rules_see_relative_imports_and_prints():
    assert relative_imports(ast.parse("from . import x\nfrom ..y import z\nimport a")) == [1, 2]
    assert prints(ast.parse('"""print(1)"""\nprint(2)\nf(print)')) == [2, 3]
    assert imports_by_accident(ast.parse("from graph import x\nimport mlunlearn.graph")) == ["graph.x"]
