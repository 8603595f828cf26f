"""The reconstruction attack on ridge regression, by the number of rows in a request.

Run ``python -m benchmarks.reconstruction`` from the root of the repository (under a minute); it writes the results
file, and ``--write`` puts the table into ``docs/what-exactness-does-not-give.md``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from benchmarks.common import RESULTS, write_results
from mlunlearn import Retrain
from mlunlearn.audit.reconstruction import reconstruct_row

PAGE = Path(__file__).parent.parent / "docs" / "what-exactness-does-not-give.md"
MARKS = re.compile(r"(<!-- attack: begin -->\n).*?(<!-- attack: end -->)", re.DOTALL)
SIZES = (1, 2, 4, 8, 16, 32)
SEEDS = range(50)


def similarities(seed: int, size: int) -> tuple[float, float, float]:
    """Best similarity to a deleted row, knowing the training rows or others, and the best to as many retained rows."""
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    mine, public = order[: len(X) // 2], X[order[len(X) // 2 :]]
    rows, retained = np.split(rng.choice(len(mine), size=2 * size, replace=False), 2)
    model = Retrain(Ridge(alpha=1.0)).fit(X[mine], y[mine])
    before = _weights(model)
    after = _weights(model.unlearn(rows))
    knowing, guessing = (reconstruct_row(before, after, known, n_samples=len(mine)) for known in (X[mine], public))
    pairs = (knowing, rows), (guessing, rows), (knowing, retained)
    best, public_best, null = (max(_cosine(guess, row) for row in X[mine][among]) for guess, among in pairs)
    return best, public_best, null


def _weights(model: Retrain) -> np.ndarray:
    return np.append(model.estimator_.coef_, model.estimator_.intercept_)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b))


def measure() -> dict[str, Any]:
    """Quartiles of the similarity over seeds, by the number of rows in a request."""
    found = {size: np.array([similarities(seed, size) for seed in SEEDS]) for size in SIZES}
    quartiles = {size: np.quantile(values, [0.25, 0.5, 0.75], axis=0).round(4) for size, values in found.items()}
    return {
        "data": "diabetes, half of the rows for training and half as public rows",
        "seeds": len(SEEDS),
        "training_rows": {size: values[:, 0] for size, values in quartiles.items()},
        "public_rows": {size: values[:, 1] for size, values in quartiles.items()},
        "retained": {size: values[:, 2] for size, values in quartiles.items()},
    }


def table() -> str:
    """The results file as a table."""
    results = json.loads((RESULTS / "reconstruction.json").read_text())
    lines = [
        "| rows in the request | training rows known | other rows known | as many retained rows |",
        "|---|---|---|---|",
    ]
    for size, knowing in results["training_rows"].items():
        others = (results[name][size] for name in ("public_rows", "retained"))
        lines.append(f"| {size} | {' | '.join(map(_shown, (knowing, *others)))} |")
    return "\n".join(lines) + "\n"


def _shown(quartiles: list[float]) -> str:
    low, median, high = quartiles
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    write_results("reconstruction", measure())
    if "--write" in sys.argv:
        PAGE.write_text(MARKS.sub(rf"\g<1>{table()}\g<2>", PAGE.read_text()))
