"""Models that never saw the forget set, made by the recipe of the model under audit; and the one before unlearning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from mlunlearn.audit.inputs import Source, Train, as_rows
from mlunlearn.seeds import derive_seeds, set_seed
from mlunlearn.training import as_estimator

# Parameters that decide how a model is trained, not which one comes out.
NOT_OF_THE_RECIPE = ("random_state", "n_jobs", "verbose")


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


def ask(model: Any, sources: Mapping[str, Source], seconds: float = float("nan")) -> Answers:
    """Collect a fitted model's predictions.

    Parameters
    ----------
    model : estimator
        Read only.
    sources : mapping of str to Source
        Inputs.
    seconds : float, default=nan
        Time that its fit took.

    Returns
    -------
    Answers
        One prediction for every row.
    """
    labels = {name: np.asarray(model.predict(source.X)) for name, source in sources.items()}
    proba = None
    if hasattr(model, "predict_proba"):
        proba = {name: np.asarray(model.predict_proba(source.X), dtype=float) for name, source in sources.items()}
    return Answers(getattr(model, "classes_", None), labels, proba, getattr(model, "seed_", None), seconds)


def fit_and_ask(model: Any, train: Train, exclude: NDArray[np.intp], sources: Mapping[str, Source]) -> Answers:
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

    Returns
    -------
    Answers
        With the time of the fit.
    """
    options = {} if train.weight is None else {"sample_weight": train.weight}
    if train.ids is not None:
        options["sample_ids"] = train.ids
    if len(exclude):
        options["exclude"] = exclude
    started = perf_counter()
    model.fit(train.X, train.y, **options)
    return ask(model, sources, perf_counter() - started)


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
    tasks = (delayed(fit_and_ask)(unfitted, train, exclude, sources) for unfitted, exclude in jobs)
    answers = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    progress = tqdm(answers, desc="audit", unit="model", total=len(jobs), disable=not verbose)
    answered = list(progress)
    return answered[:n_references], answered[n_references] if original else None


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
    model : unlearner
        The model under audit.

    Raises
    ------
    ValueError
        If an estimator inside is frozen.
    """
    if any(isinstance(part, FrozenEstimator) for part in model.get_params(deep=True).values()):
        raise ValueError(
            "the model was trained elsewhere (FrozenEstimator), so audit cannot train it again without the forget "
            "set; pass references=[...], two models trained without it, and original=..., the model before."
        )


def check_references(model: Any, references: Iterable[Any], original: Any) -> list[Any]:
    """Refuse references that are no references.

    Parameters
    ----------
    model : unlearner
        The model under audit.
    references : iterable of estimator
        Fitted models.
    original : estimator or None
        The model before unlearning.

    Returns
    -------
    list of estimator
        The references.

    Raises
    ------
    ValueError
        If there are fewer than two, they are one model twice, their recipes differ, or their forget set is another.
    """
    references = list(references)
    if len(references) < 2:
        raise ValueError(
            f"references holds {len(references)} model(s), at least two are needed: the second shows what a perfect "
            "unlearner scores."
        )
    alike = [other for other in (model, original) if other is not None and type(other) is type(references[0])]
    for other in [*references[1:], *alike]:
        differing = _differences(references[0], other)
        if differing:
            raise ValueError(
                f"the models differ in {differing}; references, and the model before and after unlearning, must be "
                "made by one recipe and differ in seed and forgotten rows alone."
            )
    _check_independent(model, references)
    for reference in references:
        forgotten = getattr(reference, "forgotten_", None)
        if forgotten is not None and not np.array_equal(forgotten, model.forgotten_):
            raise ValueError(
                "a reference was not trained without exactly the rows that the model forgot: fit it with "
                "exclude=model.forgotten_."
            )
    return references


def _check_independent(model: Any, references: list[Any]) -> None:
    """Refuse a model that is there twice: it agrees with itself, which proves nothing."""
    models = [model, *references]
    seeds = [seed for seed in (getattr(m, "seed_", None) for m in models) if seed is not None]
    if len({id(m) for m in models}) < len(models) or len(set(seeds)) < len(seeds):
        raise ValueError(
            "two of the models (the one under audit and the references) are the same or have the same seed; they "
            "would agree by construction. Fit each reference with a random_state of its own."
        )


def _differences(a: Any, b: Any) -> list[str]:
    """Names of the parameters, seeds aside, that two models do not share."""
    if type(a) is not type(b):
        return [f"type ({type(a).__name__} and {type(b).__name__})"]
    ours, theirs = _recipe(a), _recipe(b)
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def _recipe(model: Any) -> dict[str, str]:
    """Parameters in words; of an estimator inside, only its class, since its parameters are listed themselves."""
    params = model.get_params(deep=True)
    return {name: _words(value) for name, value in params.items() if name.split("__")[-1] not in NOT_OF_THE_RECIPE}


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return str([_words(entry) for entry in value])
    return type(value).__qualname__ if hasattr(value, "get_params") else repr(value)


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
