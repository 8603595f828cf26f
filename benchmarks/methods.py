"""The table of ``docs/forgetting-from-a-trained-network.md``, from what methods declare and their docstrings say.

``python -m benchmarks.methods`` prints the table, ``--write`` puts it into the page.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import mlunlearn.approximate
from mlunlearn.approximate import EditedClassifier

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "forgetting-from-a-trained-network.md"
MARKS = re.compile(r"(<!-- methods: begin -->\n).*?(<!-- methods: end -->)", re.DOTALL)
HEAD = ("method", "reads of the retained rows", "of those to forget", "held-out rows", "changes", "buffers", "cost")


def methods() -> Iterator[type[EditedClassifier]]:
    """Every approximate method for classifiers, by name."""
    for name in sorted(mlunlearn.approximate.__all__, key=str.lower):
        kind = getattr(mlunlearn.approximate, name)
        if issubclass(kind, EditedClassifier) and kind is not EditedClassifier:
            yield kind


def table() -> str:
    """One row for each method."""
    lines = [HEAD, ("---",) * len(HEAD), *map(_row, methods())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(kind: type[EditedClassifier]) -> tuple[str, ...]:
    source = Path(inspect.getfile(kind)).name
    notes = _notes(kind)
    return (
        f"[`{kind.__name__}`](../mlunlearn/approximate/{source})",
        _read_of("retain", kind.needs),
        _read_of("forget", kind.needs),
        "needed" if "held_out" in kind.needs else "can be used" if kind.takes_held_out else "",
        _after("Changes ", r"[.,;]| and the statistics", notes),
        "move" if kind.moves_buffers else "stay",
        _after("Cost: ", r"[.;](?= |$)", notes),
    )


def _read_of(side: str, needs: frozenset[str]) -> str:
    if side not in needs:
        return ""
    return "inputs, labels" if f"{side}_labels" in needs else "inputs"


def _notes(kind: type) -> str:
    doc = inspect.getdoc(kind) or ""
    return " ".join(re.findall(r"^Notes\n-+\n(.*?)(?:\n\n\S.*?\n-+\n|\Z)", doc, re.DOTALL | re.MULTILINE)[0].split())


def _after(opening: str, end: str, notes: str) -> str:
    """What stands between an opening and the first end after it."""
    found = re.findall(rf"\b{opening}(.*?)(?:{end})", notes)
    if not found:
        raise ValueError(f"these notes say nothing that begins with {opening!r}: {notes}")
    return found[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(MARKS.sub(lambda marks: marks[1] + table() + marks[2], page), encoding="utf-8")
    else:
        sys.stdout.write(table())
