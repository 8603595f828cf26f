"""Published data that more than one wing reads: the data root, image files, and the tables of MUFAC."""

from mlunlearn.datasets.images import read_images
from mlunlearn.datasets.mufac import mufac_table
from mlunlearn.datasets.root import find_data

__all__ = ["find_data", "mufac_table", "read_images"]
