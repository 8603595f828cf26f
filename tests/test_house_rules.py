"""The rules of the house that a reader relies on: who imports whom, who prints, how long a file is."""

import ast
import importlib
from graphlib import CycleError, TopologicalSorter
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


def modules():
    """Dotted name of every module, with its syntax tree."""
    found = {}
    for path in SOURCES:
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        parts = parts if parts[0] == "mlunlearn" else ["mlunlearn", *parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = parse(path)
    return found


def imports_among(trees):
    """Which module imports which, wherever in its code it does so."""
    edges = {name: set() for name in trees}
    for name, tree in trees.items():
        for dotted in (dotted for node in without_type_checking(tree) for dotted in imported(node)):
            while dotted and dotted not in trees:
                dotted = dotted.rpartition(".")[0]
            edges[name] |= {dotted} - {name, ""}
    return edges


def circle(edges):
    """A circle of imports, or None."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1]
    return None


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


def test_no_imports_run_in_a_circle():
    edges = imports_among(modules())
    assert sum(map(len, edges.values())) > 200
    assert circle(edges) is None


@pytest.mark.parametrize("path", [p for p in SOURCES if p != ROOT / "mlunlearn" / "cli.py"], ids=label)
def test_only_the_command_line_prints(path):
    assert prints(parse(path)) == []


def test_no_file_is_too_long():
    lengths = {label(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize(
    ("source", "wings"),
    [
        ("import mlunlearn.graph.methods.d2dgn", {"graph"}),
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


def test_the_rules_see_circles():
    sources = {"a": "from b import x", "b": "def f():\n    import c.d", "c.d": "", "c": "from a import y"}
    trees = {name: ast.parse(source) for name, source in sources.items()}
    assert circle(imports_among(trees)) is None
    trees["c.d"] = ast.parse("import a")
    assert set(circle(imports_among(trees))) == {"a", "b", "c.d"}


def test_the_rules_see_relative_imports_and_prints():
    assert relative_imports(ast.parse("from . import x\nfrom ..y import z\nimport a")) == [1, 2]
    assert prints(ast.parse('"""print(1)"""\nprint(2)\nf(print)')) == [2, 3]
    assert imports_by_accident(ast.parse("from graph import x\nimport mlunlearn.graph")) == ["graph.x"]


VARIANTS = {"LAFRClassifier", "SCRUBRewindClassifier"}
"""Methods that are another method and one more step, as their papers have it."""


def own_classes():
    """Every class that is written here, by name."""
    found = {}
    for name in modules():
        for what in vars(importlib.import_module(name)).values():
            if isinstance(what, type) and what.__module__ == name:
                found[what.__qualname__] = what
    return found


def depth(kind):
    """Length of the longest line of classes of ours that ends in this one."""
    return kind.__module__.startswith("mlunlearn") * (1 + max(map(depth, kind.__bases__), default=0))


def test_no_class_stands_deeper_than_four():
    depths = {name: depth(kind) for name, kind in own_classes().items()}
    assert max(depths.values()) >= 4
    assert {name for name, steps in depths.items() if steps > 4} == VARIANTS
    assert all(depths[name] == 5 for name in VARIANTS)
