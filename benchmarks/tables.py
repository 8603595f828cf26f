"""The README's figures, made from the results files: ``python -m benchmarks.tables`` prints them, ``--write`` puts
them into the README between its marks.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS

README = Path(__file__).parent.parent / "README.md"
MARKS = re.compile(r"(<!-- results: begin[^>]*-->\n).*?(<!-- results: end -->)", re.DOTALL)


def results() -> str:
    """All tables, in the order of the README."""
    found = json.loads((RESULTS / "sharded.json").read_text(encoding="utf-8"))
    where = found["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("scikit-learn", "numpy"))
    parts = [
        f"Measured on {where['cores']} cores of {where['processor']} with Python {where['python']}, {versions}; mean "
        "± standard deviation over seeds; one process. Raw figures: `benchmarks/results/sharded.json`, made by "
        "`python -m benchmarks.sharded`.",
        _speed(found["speed"], found["overhead"]),
        _published(found["published"]),
        _accuracy(found["accuracy"]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spread(value: dict[str, Any], digits: int = 2, unit: str = "") -> str:
    return f"{value['mean']:.{digits}f}{unit} ± {value['std']:.{digits}f}"


def _percent(value: dict[str, Any]) -> str:
    return f"{100 * value['mean']:.1f} ± {100 * value['std']:.1f} %"


def _speed(speed: dict[str, Any], overhead: dict[str, Any]) -> str:
    rows = [
        [
            f"{int(size):,}",
            _spread(found["speedup_over_fit"], 1, "x"),
            _spread(found["speedup_of_the_first_request"], 1, "x"),
            _percent(found["share_of_samples"]),
            f"{100 * found['share_in_theory']:.1f} %",
        ]
        for size, found in speed["requests"].items()
    ]
    head = ["rows a request", "faster than fitting", "the first request", "samples reprocessed", "in theory"]
    costs = overhead["20 shards, 10 slices"]
    return (
        f"**Forgetting from SISA** ({speed['setting']}). The first request after a fit also copies the data once.\n\n"
        f"{_table(head, rows)}\n\nBookkeeping adds {_percent(costs)} to the time of the estimator's own calls."
    )


def _published(published: dict[str, Any]) -> str:
    rows = [
        [
            row["data"],
            str(row["requests_in_a_batch"]),
            _spread(row["speedup_over_retraining_one_model"], 2, "x"),
            _spread(row["speedup_of_the_first_batch"], 2, "x"),
            _spread(row["samples_saved"], 2, "x"),
            f"{row['samples_saved_in_theory']:.2f}x",
            f"{row['paper']:.2f}x",
        ]
        for row in published["rows"]
    ]
    head = ["data", "batch", "faster than retraining one model", "first batch", "samples saved", "in theory", "paper"]
    return (
        "**At the shapes of the SISA paper** (20 shards, 50 slices, a linear model on generated data; the paper "
        f"trained networks).\n\n{_table(head, rows)}"
    )


def _accuracy(accuracy: dict[str, Any]) -> str:
    counts = sorted({row["n_shards"] for row in accuracy["rows"]})
    by_line: dict[tuple[str, str], dict[int, str]] = {}
    for row in accuracy["rows"]:
        by_line.setdefault((row["data"], row["aggregation"]), {})[row["n_shards"]] = _percent(row["accuracy"])
    rows = [[data, how, *(cells[count] for count in counts)] for (data, how), cells in by_line.items()]
    head = ["test accuracy", "aggregation", *(f"{count} shards" if count > 1 else "1 shard" for count in counts)]
    return f"**What shards cost in accuracy** ({accuracy['setting']}).\n\n{_table(head, rows)}"


def main(arguments: list[str]) -> None:
    """Print the tables, or write them."""
    if arguments != ["--write"]:
        print(results())
        return
    text = README.read_text(encoding="utf-8")
    README.write_text(MARKS.sub(lambda marks: marks[1] + results() + marks[2], text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
