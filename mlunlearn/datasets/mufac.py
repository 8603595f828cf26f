"""MUFAC, faces of families with ages in classes, as its publishers lay it out.

These are photographs of people. Keep them, and every figure that shows one, out of repositories and reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from mlunlearn.datasets.root import find_data

MUFAC_FOLDER = ("mufac", "custom_korean_family_dataset_resolution_128")


def mufac_table(part: Literal["train", "val", "test"], *, root: str | Path | None = None) -> pd.DataFrame:
    """Read the table of one part of MUFAC.

    Parameters
    ----------
    part : {'train', 'val', 'test'}
        As the files are named. In the benchmark ``val`` is the test set, and ``test`` holds persons never seen.
    root : path or None, default=None
        Data root; None takes the environment variable ``MLUNLEARN_DATA``.

    Returns
    -------
    pandas.DataFrame
        A row an image, with the columns of the file (``family_id``, ``person_id``, ``age_class`` from a to h,
        ``image_path``), ``file``, the path of the image, and ``person``, family and person in one text.

    Raises
    ------
    FileNotFoundError
        If there is no root, or not that data in it.

    Examples
    --------
    >>> from mlunlearn.datasets import mufac_table
    >>> table = mufac_table("train")  # doctest: +SKIP

    References
    ----------
    "Towards Machine Unlearning Benchmarks: Forgetting the Personal Identities in Facial Recognition Systems",
    arXiv:2311.02240.
    """
    base = find_data(root, *MUFAC_FOLDER)
    table = pd.read_csv(base / f"custom_{part}_dataset.csv")
    files = [base / f"{part}_images" / name for name in table["image_path"]]
    return table.assign(file=files, person=table["family_id"] + "/" + table["person_id"])
