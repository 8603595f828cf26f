"""The data an audit asks the models about, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

from mlunlearn.exceptions import DataChangedError
from mlunlearn.requests import resolve_positions
from mlunlearn.rows.data import TrainingData
from mlunlearn.rows.dataset_rows import DatasetRows, labels_of, rows_of

PASS_TRAIN = "pass train=(X, y), the data given to fit"


@dataclass(frozen=True)
class Train:
    """Training data to fit references on, and which of its rows are forgotten.

    Parameters
    ----------
    X, y, weight : array-likes with the same number of rows
        Inputs, targets, and sample weights or None.
    forgotten : ndarray of bool
        Rows that references must not learn from.
    ids : ndarray or None
        Ids of the rows.
    complete : bool
        Whether the forgotten rows are there, and not blanked.
    """

    X: Any
    y: Any
    weight: Any
    forgotten: NDArray[np.bool_]
    ids: Any
    complete: bool


@dataclass(frozen=True)
class Source:
    """Inputs that the models are asked about at once, and the data sets that their rows belong to.

    Parameters
    ----------
    X : array-like
        Inputs.
    y : ndarray
        Targets.
    parts : mapping of str to ndarray of int
        Rows of each data set.
    groups : ndarray or None
        Person or source of each row.
    """

    X: Any
    y: NDArray[Any]
    parts: Mapping[str, NDArray[np.intp]]
    groups: NDArray[Any] | None = None


def check_model(model: Any, name: str = "the model") -> None:
    """Refuse models that an audit cannot ask.

    Parameters
    ----------
    model : object
        What `audit` was given.
    name : str, default="the model"
        What to call it in an error.

    Raises
    ------
    TypeError
        If it does not predict, or is neither a classifier nor a regressor.
    NotFittedError
        If it is not fitted.
    ValueError
        If it is an unlearner that has forgotten nothing.
    """
    if not hasattr(model, "predict"):
        raise TypeError(f"audit takes fitted models; {name} ({type(model).__name__}) has no predict.")
    if not is_classification(model) and not hasattr(model, "unlearn") and not _regresses(model):
        raise TypeError(f"audit takes classifiers and regressors; {name} ({type(model).__name__}) is neither.")
    if hasattr(model, "get_params"):
        check_is_fitted(model)
    if hasattr(model, "unlearn") and not model.forgotten_.any():
        raise ValueError(f"nothing has been forgotten by {name}, so there is nothing to audit; call unlearn first.")


def is_classification(model: Any) -> bool:
    """Say whether a model of any origin classifies."""
    if hasattr(model, "__sklearn_tags__"):
        return bool(is_classifier(model))
    return hasattr(model, "predict_proba") or hasattr(model, "classes_")


def _regresses(model: Any) -> bool:
    return not hasattr(model, "__sklearn_tags__") or bool(is_regressor(model))


def forgotten_rows(model: Any, train: Any, forget_idx: Any) -> NDArray[np.bool_] | None:
    """Mask of the rows that a model must have forgotten.

    Parameters
    ----------
    model : object
        An unlearner knows its own; of another model they are what the caller says.
    train : tuple or None
        Training data.
    forget_idx : array-like, slice or None
        Positions or a mask in `train`.

    Returns
    -------
    ndarray of bool or None
        None if neither the model nor the caller says.

    Raises
    ------
    ValueError
        If model and caller disagree, or there is nothing that positions could refer to.
    """
    known = getattr(model, "forgotten_", None)
    if forget_idx is None:
        return known
    n_rows = len(known) if known is not None else None
    if n_rows is None:
        if train is None:
            raise ValueError("forget_idx are positions in the training data; pass train=(X, y), with all rows.")
        n_rows = len(train[0]) if train[1] is None else len(np.asarray(train[1]))
    rows = resolve_positions(forget_idx, n_rows, name="forget_idx")
    mask = np.isin(np.arange(n_rows), rows)
    if known is not None and not np.array_equal(known, mask):
        raise ValueError("forget_idx are not the rows that the model has forgotten; leave it out for an unlearner.")
    if not mask.any() or mask.all():
        raise ValueError(f"forget_idx names {int(mask.sum())} of {n_rows} rows; some must be forgotten, some retained.")
    return mask


def read_train(model: Any, train: Any, forgotten: NDArray[np.bool_] | None) -> Train | None:
    """Take the training data that was passed, or what the model still holds.

    Parameters
    ----------
    model : unlearner
        The model under audit.
    train : (X, y), (X, y, sample_weight) or None
        All rows given to `fit`.
    forgotten : ndarray of bool or None
        Rows that must be forgotten; None if `train` has the retained rows alone.

    Returns
    -------
    Train or None
        None if there is no data at all.

    Raises
    ------
    ValueError
        If `train` has another form or another number of rows.
    DataChangedError
        If the retained rows are not those the model learned from.
    """
    held = getattr(model, "_data", None)
    ids = getattr(model, "_ids", None)
    if train is not None:
        X, y, weight = _unpacked(train, held)
        X = as_rows(X)
        y = targets_of(X, y)
        n_rows = X.shape[0]
        expected = n_rows if forgotten is None else len(forgotten)
        if n_rows != expected or len(y) != n_rows:
            raise ValueError(
                f"train holds {n_rows} rows of X and {len(y)} of y; the model was fitted on {expected}. "
                "Pass all rows given to fit, in the same order, forgotten ones included."
            )
        if forgotten is None:
            return Train(X, y, weight, np.zeros(n_rows, dtype=bool), ids, complete=False)
        data = Train(X, y, weight, forgotten, ids, complete=True)
        check_learned_from(model, data, forgotten, "the model")
        return data
    if held is None:
        return None
    retained = np.flatnonzero(~model.forgotten_)
    ids = None if ids is None else ids[retained]
    return Train(held.X, held.y, held.weight, np.zeros(len(retained), dtype=bool), ids, complete=False)


def _unpacked(train: Any, held: TrainingData | None) -> tuple[Any, Any, Any]:
    if not isinstance(train, (tuple, list)) or len(train) not in (2, 3):
        raise ValueError("train must be (X, y), or (X, y, sample_weight) if the model was fitted with weights.")
    X, y, *weight = train
    if held is not None and held.weight is not None and not weight:
        raise ValueError("the model was fitted with sample weights; pass train=(X, y, sample_weight).")
    return X, y, weight[0] if weight else None


def check_learned_from(model: Any, train: Train, forgotten: NDArray[np.bool_], name: str) -> None:
    """Refuse an unlearner that learned from other rows than those that are retained.

    Parameters
    ----------
    model : object
        An unlearner compares the rows with the checksums that it took of them; others keep none, and pass.
    train : Train
        All rows, or the retained ones alone.
    forgotten : ndarray of bool
        The rows that `model` has forgotten, of all.
    name : str
        What to call it in the error.

    Raises
    ------
    DataChangedError
        If it did.
    """
    if not hasattr(model, "_refuse_other_data"):
        return
    retained = np.flatnonzero(~forgotten)
    X, y, weight = model._check_training_input(train.X, train.y, train.weight, reset=False)
    held = TrainingData(X, y, weight, positions=None if train.complete else retained)
    try:
        model._refuse_other_data(held.without(np.flatnonzero(forgotten)) if train.complete else held)
    except DataChangedError as error:
        rows = "the retained rows of train" if train.complete else "the rows that the first model retains"
        raise DataChangedError(
            f"{rows} are not those {name} learned from: models fitted on them would prove nothing about it. Pass the "
            "data given to fit, unchanged and in the same order, and models that were fitted on it alone."
        ) from error


def train_source(train: Train) -> Source:
    """Divide the training data into forget and retain rows."""
    parts = {"retain": np.flatnonzero(~train.forgotten)}
    if train.complete:
        parts["forget"] = np.flatnonzero(train.forgotten)
    return Source(train.X, np.asarray(train.y), parts)


def labelled_source(X: Any, y: Any, name: str) -> Source:
    """Check inputs with their targets, such as the test set."""
    X = as_rows(X)
    y = targets_of(X, y)
    if len(X.shape) == 0 or y.ndim not in (1, 2) or X.shape[0] != len(y) or not len(y):
        raise ValueError(f"{name} data must have one target for each row, got {X.shape[0]} rows and y of {y.shape}.")
    if pd.isna(y).any():
        raise ValueError(f"{name} targets hold {int(pd.isna(y).sum())} missing values; leave these rows out.")
    return Source(X, y, {name: np.arange(len(y))})


def as_labels(source: Source, name: str) -> Source:
    """Return a source of labels with one label for each row.

    Parameters
    ----------
    source : Source
        With targets of any shape.
    name : str
        Its name, for the error.

    Returns
    -------
    Source
        Its targets are of shape (n_rows,); a column is taken for that.

    Raises
    ------
    ValueError
        If there are several columns, such as one-hot labels.
    """
    if source.y.ndim == 1:
        return source
    if source.y.shape[1:] != (1,):
        raise ValueError(
            f"the {name} labels have shape {source.y.shape}; the models are classifiers and take one label for each "
            "row: of one-hot labels pass classes[y.argmax(axis=1)]."
        )
    return replace(source, y=source.y[:, 0])


def check_labels(sources: Mapping[str, Source], known: NDArray[Any], *, all_known: bool = False) -> None:
    """Refuse labels of another kind than the models'.

    Parameters
    ----------
    sources : mapping of str to Source
        What the models will be asked.
    known : ndarray
        The labels of all models.
    all_known : bool, default=False
        Whether these are all labels of the training data, forgotten rows included. If not, a class that was forgotten
        may be missing.

    Raises
    ------
    ValueError
        If labels are text where the models' are numbers or the reverse, or if most of them are unknown; any of them
        if all labels are known.
    """
    for name, source in sources.items():
        kinds = [_kind(labels) for labels in (source.y, known)]
        strange = ~np.isin(source.y, known)
        unknown = kinds[0] != kinds[1] or float(np.mean(strange)) > (0.0 if all_known else 0.5)
        if unknown:
            raise ValueError(
                f"the {name} labels are {np.unique(source.y)[:5].tolist()} ({kinds[0]}) and the models know "
                f"{known[:5].tolist()} ({kinds[1]}): pass targets in the labels that the models were fitted with."
            )


def _kind(labels: NDArray[Any]) -> str:
    if labels.dtype.kind in "biuf":
        return "numbers"
    return "text" if all(isinstance(label, str) for label in np.unique(labels).tolist()) else "objects"


def check_groups(groups: Mapping[str, Any] | None, sizes: Mapping[str, int], forget: bool) -> dict[str, NDArray[Any]]:
    """Check the labels of persons or sources.

    Parameters
    ----------
    groups : mapping of str to array-like or None
        By source: "train", "test", "unseen" and "matched".
    sizes : mapping of str to int
        Rows of each source there is.
    forget : bool
        Whether forget rows are attacked.

    Returns
    -------
    dict of str to ndarray
        By source.

    Raises
    ------
    ValueError
        If a name is unknown, a length is wrong, or one side of the attacks has groups and the other none.
    """
    given = {name: np.asarray(labels) for name, labels in (groups or {}).items()}
    for name, labels in given.items():
        if name not in sizes:
            raise ValueError(f"groups has labels for {name!r}; there is data for {sorted(sizes)} only.")
        if labels.shape != (sizes[name],):
            raise ValueError(f"groups[{name!r}] must have shape ({sizes[name]},), got {labels.shape}.")
    nonmembers = next(name for name in ("matched", "unseen", "test") if name in sizes)
    if forget and ("train" in given) != (nonmembers in given):
        raise ValueError(f"the attacks compare train with {nonmembers} rows: give groups for both of them or neither.")
    return given


def as_rows(X: Any) -> Any:
    """Return inputs as something with a shape, without copying arrays and data frames or reading items."""
    X = rows_of(X)
    if hasattr(X, "detach"):
        return X.detach().cpu().numpy()
    if hasattr(X, "shape"):
        return X
    return np.asarray(X, dtype=object if len(X) and isinstance(X[0], str) else None)


def targets_of(X: Any, y: Any) -> NDArray[Any]:
    """Return targets as an array; those of a dataset may be left to it."""
    return labels_of(X) if y is None and isinstance(X, DatasetRows) else np.asarray(y)
