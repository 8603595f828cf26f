"""Input checks shared by the metrics and the attacks: one clear error per mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Probabilities below this are raised to it before a logarithm: the smallest normal float64.
# Its logarithm is about -708, so every score stays finite and the order of scores is kept.
PROBABILITY_FLOOR = float(np.finfo(np.float64).tiny)

# How far a row of probabilities may be from summing to 1 (half precision softmax needs this much).
ROW_SUM_TOLERANCE = 1e-3


def check_finite_array(values: ArrayLike, name: str, ndim: tuple[int, ...]) -> NDArray[np.float64]:
    """Return `values` as finite float64 with one of the allowed numbers of dimensions."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numeric, got dtype {array.dtype}.")
    array = array.astype(np.float64)
    if array.ndim not in ndim:
        allowed = " or ".join(f"{n}-D" for n in ndim)
        raise ValueError(f"{name} must be {allowed}, got shape {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{name} is empty, got shape {array.shape}; at least one sample is needed.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity; remove or repair these samples first.")
    return array


def check_scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return one finite number per sample."""
    return check_finite_array(values, name, ndim=(1,))


def check_unit_entries(values: ArrayLike, name: str, ndim: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an array of numbers that all lie in [0, 1]."""
    array = check_finite_array(values, name, ndim)
    if array.min() < 0.0 or array.max() > 1.0 + ROW_SUM_TOLERANCE:
        raise ValueError(
            f"{name} must hold probabilities in [0, 1], found values from {array.min():.6g} to "
            f"{array.max():.6g}; apply softmax or sigmoid if these are logits."
        )
    return array


def check_proba(proba: ArrayLike, name: str, *, stack: bool = False) -> NDArray[np.float64]:
    """Return class probabilities as float64 whose rows sum to 1 to rounding error."""
    array = check_unit_entries(proba, name, ndim=(2, 3) if stack else (2,))
    if array.shape[-1] < 2:
        raise ValueError(
            f"{name} has one column; give one column per class (for a binary model np.column_stack([1 - p, p]))."
        )
    sums = array.sum(axis=-1, keepdims=True)
    worst = np.abs(sums - 1.0).max()
    if worst > ROW_SUM_TOLERANCE:
        raise ValueError(
            f"rows of {name} must sum to 1, one is off by {worst:.3g}; pass the output of predict_proba or softmax."
        )
    return array / sums


def check_codes(y: ArrayLike, proba: NDArray[np.float64], name: str) -> NDArray[np.intp]:
    """Return labels as column positions of `proba`."""
    array = np.asarray(y)
    n_samples, n_classes = proba.shape
    if array.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},) to match proba, got {array.shape}.")
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold integer column positions of proba, got dtype {array.dtype}; "
            f"encode labels with np.searchsorted(model.classes_, y)."
        )
    if array.min() < 0 or array.max() >= n_classes:
        raise ValueError(
            f"{name} must lie in 0..{n_classes - 1}, found {array.min()}..{array.max()}; "
            "encode labels with np.searchsorted(model.classes_, y)."
        )
    return array.astype(np.intp)


def check_same_shape(a: np.ndarray, b: np.ndarray, names: tuple[str, str]) -> None:
    """Refuse two arrays that do not describe the same samples and classes."""
    if a.shape != b.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same shape (same samples, same classes), "
            f"got {a.shape} and {b.shape}."
        )


def check_fraction(value: float, name: str, upper: float = 1.0) -> float:
    """Return a number in [0, upper]."""
    number = float(value)
    if not 0.0 <= number <= upper:
        raise ValueError(f"{name} must lie in [0, {upper:g}], got {number!r}.")
    return number


def check_number(value: float, name: str) -> float:
    """Return a finite number."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {number!r}.")
    return number


def check_accuracies(values: Mapping[str, float], name: str) -> dict[str, float]:
    """Return a non-empty mapping of group name to accuracy."""
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"{name} must be a non-empty mapping such as {{'forget': 0.9, 'test': 0.8}}.")
    return {key: check_fraction(value, f"{name}[{key!r}]") for key, value in values.items()}
