"""Image files as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


def read_images(paths: Iterable[Path], size: int) -> np.ndarray:
    """Read images, resized.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Image files.
    size : int
        Height and width.

    Returns
    -------
    ndarray of uint8, shape (n, 3, size, size)
        Colours from 0 to 255.

    Raises
    ------
    ModuleNotFoundError
        If Pillow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from mlunlearn.datasets import read_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (40, 30), (255, 0, 0)).save(Path(folder) / "red.png")
    ...     read_images([Path(folder) / "red.png"], 8).shape
    (1, 3, 8, 8)
    """
    from PIL import Image

    images = []
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (size, size))
            images.append(np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)))
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
