"""Peak memory of training and forgetting on images that are read by path, at two numbers of rows.

Run ``python -m benchmarks.memory CIFAR`` from the root of the repository, where CIFAR is a folder with
``train/<class>/*.jpg`` and ``test/<class>/*.jpg``: about ten minutes on one free core, and a results file.
``--write`` puts the table into ``docs/data-larger-than-memory.md``. Every model has a process of its own.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, spread, write_results

PAGE = Path(__file__).parent.parent / "docs" / "data-larger-than-memory.md"
MARKS = re.compile(r"(<!-- memory: begin -->\n).*?(<!-- memory: end -->)", re.DOTALL)
METHODS = ("SISAClassifier", "FineTuneClassifier")
SIZES = (25_000, 50_000)
SEEDS = (0, 1)
N_FORGET = 2
BARE = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"


def peak() -> float:
    """Peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path, method: str, n_rows: int, seed: int) -> dict[str, Any]:
    """Train, forget and predict in this process."""
    import torch
    from PIL import Image
    from skorch import NeuralNetClassifier
    from torch import nn
    from torch.utils.data import Dataset

    from mlunlearn import SISAClassifier
    from mlunlearn.approximate import FineTuneClassifier

    class Images(Dataset[Any]):
        """Images by path."""

        def __init__(self, root: Path, n: int):
            classes = sorted(path.name for path in root.iterdir())
            paths = sorted(root.rglob("*.jpg"))
            self.paths = [str(paths[place]) for place in np.random.default_rng(0).permutation(len(paths))[:n]]
            self.targets = [classes.index(Path(path).parent.name) for path in self.paths]

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, place: int) -> Any:
            with Image.open(self.paths[place]) as image:
                return torch.as_tensor(np.array(image)).permute(2, 0, 1), self.targets[place]

    layers = [nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    net = NeuralNetClassifier(
        nn.Sequential(*layers, nn.Linear(256, 10)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        lr=0.05,
        batch_size=64,
        train_split=None,
        callbacks="disable",
    )
    options: dict[str, dict[str, Any]] = {"SISAClassifier": {"n_shards": 5}, "FineTuneClassifier": {"n_steps": 300}}
    kinds: dict[str, Any] = {kind.__name__: kind for kind in (SISAClassifier, FineTuneClassifier)}
    model = kinds[method](net, random_state=seed, **options[method])
    imported = peak()
    train, test = Images(folder / "train", n_rows), Images(folder / "test", 2_000)
    started = perf_counter()
    model.fit(train)
    fitted, fit_seconds = peak(), perf_counter() - started
    started = perf_counter()
    model.unlearn(np.random.default_rng(seed).choice(n_rows, N_FORGET, replace=False))
    unlearned, unlearn_seconds = peak(), perf_counter() - started
    accuracy = float(np.mean(model.predict(test) == np.array(test.targets)))
    return {
        "method": method,
        "rows": len(train),
        "seed": seed,
        "imported": imported,
        "after_fit": fitted,
        "after_unlearn": unlearned,
        "peak": peak(),
        "seconds": {"fit": fit_seconds, "unlearn": unlearn_seconds},
        "accuracy": accuracy,
    }


def _child(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def main(folder: str) -> None:
    """Measure every model in a process of its own, and write the results."""
    bare, runs = float(_child("-c", BARE)), []
    for seed, method, n_rows in product(SEEDS, METHODS, SIZES):
        call = ("-m", "benchmarks.memory", "--one", folder, method, str(n_rows), str(seed))
        runs.append(json.loads(_child(*call)))
        _write(bare, runs)


def _write(bare: float, runs: list[dict[str, Any]]) -> None:
    decoded = SIZES[-1] * 3 * 32 * 32
    results = {
        "data": "CIFAR-10 as JPEG files by path; images of 3 x 32 x 32 bytes",
        "unit": "MiB of peak resident memory; seconds",
        "decoded": {"as bytes": decoded / 2**20, "as float32": 4 * decoded / 2**20},
        "batch_size": 64,
        "epochs": 1,
        "forgotten": N_FORGET,
        "interpreter": bare,
        "runs": runs,
    }
    write_results("memory", results)


def table() -> str:
    """Peak memory by method and number of rows, in Markdown."""
    found = json.loads((RESULTS / "memory.json").read_text(encoding="utf-8"))
    bare, lines = found["interpreter"], []
    for method in dict.fromkeys(run["method"] for run in found["runs"]):
        cells = []
        for n_rows in sorted({run["rows"] for run in found["runs"]}):
            runs = [run for run in found["runs"] if (run["method"], run["rows"]) == (method, n_rows)]
            cells += [_told([run["peak"] - bare for run in runs])]
            cells += [_told([run["peak"] - run["imported"] for run in runs])]
        lines.append(f"| `{method}` | {' | '.join(cells)} |")
    where, decoded = found["environment"], found["decoded"]
    head = ["| MiB at the peak | 25,000 files | of it after imports | 50,000 files | of it after imports |"]
    versions = where["versions"]
    note = (
        f"Above a bare interpreter's {bare:.0f} MiB; mean ± standard deviation over seeds {_seeds(found)}. The "
        f"{SIZES[-1]:,} images decoded would take {decoded['as bytes']:.0f} MiB as bytes and "
        f"{decoded['as float32']:.0f} MiB as the numbers that the network reads. A small convolutional network, one "
        f"epoch in batches of {found['batch_size']}, then a request for {found['forgotten']} rows and predictions for "
        f"2,000 files; one process on {where['cores']} cores of {where['processor']}, Python {where['python']}, torch "
        f"{versions['torch']}, skorch {versions['skorch']}. Raw figures: `benchmarks/results/memory.json`, made by "
        "`python -m benchmarks.memory`."
    )
    return "\n".join([*head, "| --- | --- | --- | --- | --- |", *lines, "", note, ""])


def _seeds(found: dict[str, Any]) -> str:
    return ", ".join(map(str, sorted({run["seed"] for run in found["runs"]})))


def _told(values: list[float]) -> str:
    summary = spread(values)
    return f"{summary['mean']:.0f}" + ("" if summary["std"] is None else f" ± {summary['std']:.0f}")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        _, _, root, name, rows, number = sys.argv
        sys.stdout.write(json.dumps(measure(Path(root), name, int(rows), int(number))))
    elif sys.argv[1] == "--write":
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(MARKS.sub(lambda marks: marks[1] + table() + marks[2], page), encoding="utf-8")
    else:
        main(sys.argv[1])
