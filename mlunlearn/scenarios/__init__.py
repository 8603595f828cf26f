"""What benchmarks of classifiers ask to forget: masks over rows, and data in which some rows are wrong."""

from mlunlearn.scenarios.manipulated import Manipulated, Patch, backdoor, class_confusion, label_noise
from mlunlearn.scenarios.rows import class_rows, memorised_rows, random_rows, random_rows_of_classes, subclass_rows

__all__ = [
    "Manipulated",
    "Patch",
    "backdoor",
    "class_confusion",
    "class_rows",
    "label_noise",
    "memorised_rows",
    "random_rows",
    "random_rows_of_classes",
    "subclass_rows",
]
