"""Every public class, method and function says what it takes, what it returns and how it is used."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"mlunlearn": "mlunlearn", **{w: f"mlunlearn.{w}" for w in ("graph", "vision", "regression")}}
# Listed, because walking the installed namespace finds only the core in an editable install.
PACKAGES = (
    "mlunlearn",
    "mlunlearn.approximate",
    "mlunlearn.audit",
    "mlunlearn.audit.attacks",
    "mlunlearn.audit.intervals",
    "mlunlearn.audit.metrics",
    "mlunlearn.certified",
    "mlunlearn.checks",
    "mlunlearn.datasets",
    "mlunlearn.graph",
    "mlunlearn.graph.audit",
    "mlunlearn.graph.datasets",
    "mlunlearn.graph.distillation",
    "mlunlearn.graph.linear",
    "mlunlearn.graph.methods",
    "mlunlearn.graph.models",
    "mlunlearn.graph.structure",
    "mlunlearn.nets",
    "mlunlearn.networks",
    "mlunlearn.regression",
    "mlunlearn.regression.audit",
    "mlunlearn.regression.methods",
    "mlunlearn.regression.models",
    "mlunlearn.regression.series",
    "mlunlearn.regression.tasks",
    "mlunlearn.rows",
    "mlunlearn.scenarios",
    "mlunlearn.sharded",
    "mlunlearn.training",
    "mlunlearn.vision",
)
INSIDE = {
    "mlunlearn.rows",
    "mlunlearn.training",
    *(f"mlunlearn.graph.{room}" for room in ("datasets", "distillation", "linear", "methods", "models", "structure")),
}
"""Rooms whose names the wing offers at its door, and rooms of the core that are for those who change it."""
OPTIONAL = ("torch", "torch_geometric", "torchvision", "opacus", "skorch")

# numpydoc's names for: no docstring; summary without a full stop; parameters missing, unknown, misplaced or
# without a type; no section on what is returned or yielded.
CODES = frozenset({"GL08", "SS03", "PR01", "PR02", "PR03", "PR04", "RT01", "YD01"})
EXAMPLE = "EX01"


def init_files():
    """Name and ``__init__.py`` of every public package in the four source folders."""
    for folder, name in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("__init__.py")):
            parts = path.parent.relative_to(ROOT / folder).parts
            if not any(part.startswith("_") for part in parts):
                yield ".".join((name, *parts)), path


def names_offered(path):
    """Read ``__all__`` without importing, so that a wing whose extra is missing can still be listed."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return list(ast.literal_eval(node.value))
    return []


OFFERED = [(package, name) for package, path in init_files() for name in names_offered(path)]


def complaints(obj, codes):
    """Validate one docstring and return those findings whose codes matter here."""
    return [f"{code} {text}" for code, text in validate(get_doc_object(obj))["errors"] if code in codes]


def public_members(cls):
    """Yield the public methods and properties that a class defines itself."""
    for name, member in vars(cls).items():
        routed = name.startswith("set_") and name.endswith("_request")  # scikit-learn writes these
        if name.startswith("_") or routed:
            continue
        if isinstance(member, property):
            yield name, member
        elif inspect.isroutine(found := getattr(cls, name)):
            yield name, found


def all_complaints(obj):
    """Findings for a function, or for a class and its public methods."""
    is_exception = inspect.isclass(obj) and issubclass(obj, BaseException)
    found = complaints(obj, CODES if is_exception else CODES | {EXAMPLE})
    if inspect.isclass(obj):
        for name, member in public_members(obj):
            codes = {"GL08", "SS03"} if isinstance(member, property) else CODES
            found += [f".{name}: {text}" for text in complaints(member, codes)]
    return found


def test_the_list_of_packages_is_not_short():
    assert tuple(sorted(name for name, _ in init_files())) == PACKAGES


def test_packages_with_modules_offer_names():
    filled = {name for name, path in init_files() if list(path.parent.glob("[!_]*.py"))}
    assert filled - {package for package, _ in OFFERED} == INSIDE


@pytest.mark.parametrize(("package", "name"), OFFERED)
def test_docstring(package, name):
    try:
        obj = getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    if not (inspect.isclass(obj) or inspect.isroutine(obj)):
        pytest.skip("neither class nor function")
    assert all_complaints(obj) == []


class Sloppy:
    """Forget things

    Parameters
    ----------
    gone : int
        No such parameter.
    """

    def __init__(self, rate):
        self.rate = rate

    def undocumented(self):
        return self.rate

    def unreturned(self):
        """Return the rate, without saying so."""
        return self.rate

    @property
    def silent(self):
        return self.rate


def test_a_sloppy_docstring_is_caught():
    text = "\n".join(all_complaints(Sloppy))
    for expected in (
        "SS03",
        "PR01",
        "PR02",
        "EX01",
        ".undocumented: GL08",
        ".unreturned: RT01",
        ".silent: GL08",
    ):
        assert expected in text
