"""Ages from faces: the csv format of AgeDB, and MUFAC with its classes read as ages.

These are photographs of people. Keep them, and every figure that shows one, out of repositories and reports.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from mlunlearn.datasets import mufac_table, read_images
from mlunlearn.regression.models.networks import AllCNN
from mlunlearn.regression.tasks.task import RegressionTask, recipe

# The middle of each age class of MUFAC: 0-6, 7-12, 13-19, 20-30, 31-45, 46-55, 56-66, 67-80.
MUFAC_AGES = {"a": 3.0, "b": 9.5, "c": 16.0, "d": 25.0, "e": 38.0, "f": 50.5, "g": 61.0, "h": 73.5}


def agedb(csv: str | Path, folder: str | Path, *, size: int = 32, module: type[nn.Module] = AllCNN) -> RegressionTask:
    """Ages as in the deep-imbalanced-regression benchmark: a csv file and a folder of images.

    Parameters
    ----------
    csv : path
        Columns ``age``, ``path`` and ``split`` (train, val or test).
    folder : path
        What ``path`` is relative to.
    size : int, default=32
        Images are resized to ``size`` x ``size``.
    module : class of torch module, default=AllCNN
        The network.

    Returns
    -------
    RegressionTask
        Images as bytes of shape (n, 3, size, size), ages in years, absolute error, 100 epochs.

    Raises
    ------
    ValueError
        If a column or a split is missing.

    Examples
    --------
    >>> from mlunlearn.regression import agedb
    >>> task = agedb("agedb.csv", "AgeDB")  # doctest: +SKIP
    """
    table = pd.read_csv(csv)
    missing = {"age", "path", "split"} - set(table)
    if missing:
        raise ValueError(f"{csv} lacks the column(s) {', '.join(sorted(missing))}.")
    parts: list[np.ndarray] = []
    for split in ("train", "val", "test"):
        rows = table[table["split"] == split]
        if rows.empty:
            raise ValueError(f"{csv} has no rows of the split {split!r}.")
        images = read_images((Path(folder) / path for path in rows["path"]), size)
        parts += [images, rows["age"].to_numpy(np.float64)]
    return _task("AgeDB", parts, module)


def mufac_ages(
    *,
    root: str | Path | None = None,
    size: int = 32,
    limit: int | None = None,
    module: type[nn.Module] = AllCNN,
) -> RegressionTask:
    """Ages of the persons in MUFAC, each class read as the middle of its range.

    Parameters
    ----------
    root : path or None, default=None
        Data root; None takes ``MLUNLEARN_DATA``.
    size : int, default=32
        Images are resized to ``size`` x ``size``.
    limit : int or None, default=None
        Keep so many training images, spread evenly over the file; None keeps all.
    module : class of torch module, default=AllCNN
        The network.

    Returns
    -------
    RegressionTask
        Images as bytes, ages in years, ``groups`` the family and person of each training image. As in the
        benchmark, its file ``val`` is the test set; its file ``test``, of persons never seen, is the validation set.

    Examples
    --------
    >>> from mlunlearn.regression import mufac_ages
    >>> task = mufac_ages(limit=1000)  # doctest: +SKIP
    """
    tables = [mufac_table(part, root=root) for part in ("train", "test", "val")]
    if limit is not None and limit < len(tables[0]):
        tables[0] = tables[0].iloc[np.linspace(0, len(tables[0]) - 1, limit).astype(int)]
    parts: list[np.ndarray] = []
    for table in tables:
        parts += [read_images(table["file"], size), table["age_class"].map(MUFAC_AGES).to_numpy(np.float64)]
    return _task("MUFAC ages", parts, module, tables[0]["person"].to_numpy(str))


def _task(
    name: str, parts: list[np.ndarray], module: type[nn.Module], groups: np.ndarray | None = None
) -> RegressionTask:
    X, y, X_val, y_val, X_test, y_test = parts
    return RegressionTask(name, X, y, X_val, y_val, X_test, y_test, recipe(module), "years", groups)
