"""Where a user keeps downloaded data."""

from __future__ import annotations

import os
from pathlib import Path

ROOT_VARIABLE = "MLUNLEARN_DATA"


def find_data(root: str | Path | None, *names: str) -> Path:
    """Find a file or folder under the data root.

    Parameters
    ----------
    root : path or None
        The root; None takes the environment variable ``MLUNLEARN_DATA``.
    *names : str
        Path below it, as the publisher lays it out.

    Returns
    -------
    pathlib.Path
        Exists.

    Raises
    ------
    FileNotFoundError
        If there is no root, or not that file in it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mlunlearn.datasets import find_data
    >>> with tempfile.TemporaryDirectory() as root:
    ...     (Path(root) / "ett").mkdir()
    ...     find_data(root, "ett").name
    'ett'
    """
    given = root if root is not None else os.environ.get(ROOT_VARIABLE)
    if given is None:
        raise FileNotFoundError(
            f"no data root: pass root=..., or set {ROOT_VARIABLE} to the folder with your downloads."
        )
    path = Path(given).joinpath(*names)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; download the data and lay it out as its publisher does.")
    return path
