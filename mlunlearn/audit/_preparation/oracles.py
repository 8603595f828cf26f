"""Models that never saw the forget set, made by the recipe of the model under audit; and the one before unlearning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from mlunlearn.audit._preparation.inputs import Source, Train, as_rows
from mlunlearn.rows.data import take_rows
from mlunlearn.rows.items import Items
from mlunlearn.training.estimators import as_estimator
from mlunlearn.training.seeds import derive_seeds, set_seed


@dataclass(frozen=True)
class Answers:
    """What one model said about every source, as it said it.

    Parameters
    ----------
    classes : ndarray or None
        The model's labels.
    labels : mapping of str to ndarray
        Predictions, by source.
    proba : mapping of str to ndarray or None
        Class probabilities, by source.
    seed : int or None
        Its seed.
    seconds : float
        Time that `fit` took; NaN if the model came fitted.
    """

    classes: NDArray[Any] | None
    labels: Mapping[str, NDArray[Any]]
    proba: Mapping[str, NDArray[np.float64]] | None
    seed: int | None
    seconds: float = float("nan")


def ask(model: Any, sources: Mapping[str, Source], seconds: float = float("nan"), name: str = "the model") -> Answers:
    """Collect a fitted model's predictions.

    Parameters
    ----------
    model : estimator
        Read only.
    sources : mapping of str to Source
        Inputs.
    seconds : float, default=nan
        Time that its fit took.
    name : str, default="the model"
        What to call it in an error.

    Returns
    -------
    Answers
        One prediction for every row.

    Raises
    ------
    ValueError
        If a prediction is NaN or infinite, or there is not one for every row.
    """
    shown = {data: rows_for_model(model, source.X) for data, source in sources.items()}
    labels = {data: np.asarray(model.predict(X)) for data, X in shown.items()}
    proba = None
    if hasattr(model, "predict_proba"):
        proba = {data: np.asarray(model.predict_proba(X), dtype=float) for data, X in shown.items()}
    for said in (labels, proba or {}):
        for data, values in said.items():
            _check_answer(values, len(sources[data].y), f"{name} ({type(model).__name__})", data)
    return Answers(getattr(model, "classes_", None), labels, proba, getattr(model, "seed_", None), seconds)


def rows_for_model(model: Any, X: Any) -> Any:
    """Return inputs as a model takes them: one from elsewhere, such as a skorch net, takes a dataset as it is."""
    ours = hasattr(model, "unlearn") or getattr(model, "takes_items", False)
    return X.as_dataset() if isinstance(X, Items) and not ours else X


def _check_answer(values: NDArray[Any], n_rows: int, model: str, data: str) -> None:
    if len(values) != n_rows:
        raise ValueError(f"{model} gives {len(values)} predictions for {n_rows} {data} rows.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        broken = int((~np.isfinite(values)).reshape(n_rows, -1).any(axis=1).sum())
        raise ValueError(f"{model} predicts NaN or infinity for {broken} of {n_rows} {data} rows.")


def fit_and_ask(
    model: Any, train: Train, exclude: NDArray[np.intp], sources: Mapping[str, Source], name: str = "a reference"
) -> Answers:
    """Fit a model, ask it, and let go of it.

    Parameters
    ----------
    model : unlearner
        Not fitted.
    train : Train
        Training data.
    exclude : ndarray of int
        Rows to leave out.
    sources : mapping of str to Source
        What to ask.
    name : str, default="a reference"
        What to call it in an error.

    Returns
    -------
    Answers
        With the time of the fit.
    """
    started = perf_counter()
    if hasattr(model, "unlearn"):
        options = {} if train.weight is None else {"sample_weight": train.weight}
        if train.ids is not None:
            options["sample_ids"] = train.ids
        if len(exclude):
            options["exclude"] = exclude
        model.fit(train.X, train.y, **options)
    else:
        kept = np.setdiff1d(np.arange(train.X.shape[0]), exclude)
        options = {} if train.weight is None else {"sample_weight": take_rows(np.asarray(train.weight), kept)}
        model.fit(take_rows(train.X, kept), take_rows(np.asarray(train.y), kept), **options)
    return ask(model, sources, perf_counter() - started, name)


def retrain_and_ask(
    model: Any,
    train: Train,
    sources: Mapping[str, Source],
    *,
    n_references: int,
    original: bool,
    seed: int,
    n_jobs: int | None,
    verbose: int,
) -> tuple[list[Answers], Answers | None]:
    """Train the references, and the model before unlearning, and ask them.

    Parameters
    ----------
    model : unlearner
        The model under audit; left as it is.
    train : Train
        Training data.
    sources : mapping of str to Source
        What to ask.
    n_references : int
        How many references.
    original : bool
        Whether to train the model before unlearning as well.
    seed : int
        The references' seeds derive from it; none of them is the model's own.
    n_jobs : int or None
        Fits at once.
    verbose : int
        Whether to show progress.

    Returns
    -------
    references : list of Answers
        From models that never saw the forget set.
    original : Answers or None
        From a model with the seed of the one under audit that learned from all rows.
    """
    own = getattr(model, "seed_", None)
    seeds = [s for s in derive_seeds(seed, 1, n=n_references + 1) if s != own][:n_references]
    forgotten = np.flatnonzero(train.forgotten)
    jobs = [(set_seed(clone(model), s), forgotten) for s in seeds]
    if original:
        jobs.append((_with_own_seed(model), forgotten[:0]))
    names = [*(f"reference {i + 1}" for i in range(n_references)), "the original"]
    tasks = (delayed(fit_and_ask)(*job, sources, name) for job, name in zip(_with(train, jobs), names, strict=False))
    answers = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    progress = tqdm(answers, desc="audit", unit="model", total=len(jobs), disable=not verbose)
    answered = list(progress)
    return answered[:n_references], answered[n_references] if original else None


def _with(train: Train, jobs: list[tuple[Any, NDArray[np.intp]]]) -> list[tuple[Any, Train, NDArray[np.intp]]]:
    return [(unfitted, train, exclude) for unfitted, exclude in jobs]


def _with_own_seed(model: Any) -> Any:
    """Return the model as it was before `fit`, even if its seed came from a generator."""
    unfitted = clone(model)
    if "random_state" in unfitted.get_params(deep=False) and getattr(model, "seed_", None) is not None:
        unfitted.set_params(random_state=model.seed_)
    return unfitted


def check_can_retrain(model: Any) -> None:
    """Refuse models that came trained.

    Parameters
    ----------
    model : estimator
        The model under audit, or what learns inside it.

    Raises
    ------
    ValueError
        If it is frozen, or an estimator inside is.
    """
    if not hasattr(model, "get_params"):
        raise ValueError(
            f"audit cannot train a {type(model).__name__} again without the forgotten rows; pass references=[...], "
            "models trained without them, and original=..., the model before."
        )
    if any(isinstance(part, FrozenEstimator) for part in (model, *model.get_params(deep=True).values())):
        raise ValueError(
            "the model was trained elsewhere (FrozenEstimator), so audit cannot train it again without the forget "
            "set; pass references=[...], two models trained without it, and original=..., the model before."
        )


def untrained_models(model: Any, train: Train | None, seed: int, n_models: int = 10) -> list[Any]:
    """Make nets with random weights where the model under audit trains a torch classifier; none otherwise.

    Parameters
    ----------
    model : unlearner
        The model under audit.
    train : Train or None
        The first rows show the net what inputs look like.
    seed : int
        Seed of the weights.
    n_models : int, default=10
        How many.

    Returns
    -------
    list of estimator
        Classifiers that learned nothing. All equal if the net was passed as a module whose weights are the start.
    """
    if not is_classifier(model):
        return []
    inner = as_estimator(getattr(model, "estimator", None), "classifier")
    if train is None or not hasattr(inner, "_start") or not hasattr(inner, "predict_proba"):
        return []
    first = np.flatnonzero(~train.forgotten)[:2]
    rows, labels = as_rows(train.X)[first], np.asarray(train.y)[first]
    nets = [set_seed(clone(inner), s) for s in derive_seeds(seed, 2, n=n_models)]
    for net in nets:
        net._start(rows, labels, model.classes_)
    return nets
