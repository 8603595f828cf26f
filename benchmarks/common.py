"""What every benchmark shares: where it ran, how its results are written, and how they are summarised."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import joblib
import numpy as np

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("mlunlearn", "numpy", "scipy", "scikit-learn", "pandas", "torch", "skorch", "torch-geometric")


def environment() -> dict[str, Any]:
    """Describe hardware and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write_results(name: str, results: dict[str, Any]) -> Path:
    """Write results with the environment they were measured in."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    parts = [f'"{key}": {_text(value)}' for key, value in {"environment": environment(), **results}.items()]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    return path


def _text(value: Any) -> str:
    """Indented, but a table of figures one row a line."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":"), default=_plain) for row in value) + "\n]"
    return json.dumps(value, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = perf_counter()
    call()
    return perf_counter() - started


def spread(values: Any) -> dict[str, Any]:
    """Mean, standard deviation and number of repetitions."""
    values = np.asarray(values, dtype=float)
    return {
        "mean": round(float(values.mean()), 6),
        "std": round(float(values.std(ddof=1)), 6) if len(values) > 1 else None,
        "n": len(values),
    }


class Trained:
    """Models with the time that each took, kept in a folder if there is one.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    clock : callable
        Processor time on one thread, which other work on the machine does not lengthen; on a GPU, time that passed.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float]):
        self.folder, self.clock = folder, clock

    def inside(self, name: str) -> Trained:
        return Trained(self.folder and self.folder / name, self.clock)

    def __call__(self, name: str, train: Callable[[], Any]) -> tuple[Any, float]:
        path = self.folder and self.folder / f"{name}.joblib"
        if path and path.exists():
            return joblib.load(path)
        started = self.clock()
        found = train(), self.clock() - started
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            joblib.dump(found, unfinished)
            unfinished.rename(path)
        return found
