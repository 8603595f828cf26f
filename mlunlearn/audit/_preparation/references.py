"""References that were given: refused where they prove nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit._preparation.oracles import Answers, seed_of
from mlunlearn.training.estimators import as_estimator

# Parameters that decide how a model is trained, not which one comes out.
NOT_OF_THE_RECIPE = ("random_state", "n_jobs", "verbose")


def check_references(
    models: Mapping[str, Any],
    references: Iterable[Any],
    original: Any,
    forgotten: NDArray[np.bool_] | None,
) -> list[Any]:
    """Refuse references that are no references.

    Parameters
    ----------
    models : mapping of str to estimator
        The models under audit.
    references : iterable of estimator
        Fitted models.
    original : estimator or None
        The model before unlearning.
    forgotten : ndarray of bool or None
        Rows that references must not have seen.

    Returns
    -------
    list of estimator
        The references.

    Raises
    ------
    ValueError
        If there are fewer than two, they are one model twice, their recipes or algorithms differ, or their forget set
        is another.
    """
    if hasattr(references, "predict") or not isinstance(references, Iterable):
        raise ValueError(f"references must be a sequence of fitted models, at least two, got {_name(references)}.")
    references = list(references)
    if len(references) < 2:
        raise ValueError(
            f"references holds {len(references)} model(s), at least two are needed: the second shows what a perfect "
            "unlearner scores."
        )
    others = {**models, **({} if original is None else {"the original": original})}
    for other in references[1:]:
        _refuse_differing(references[0], other)
    for name, other in others.items():
        if type(other) is type(references[0]):
            _refuse_differing(references[0], other)
            continue
        if joins_models(other) or joins_models(references[0]):
            raise ValueError(
                f"{name} is a {type(other).__name__} and the references are {type(references[0]).__name__} models: one "
                "joins several models and is another algorithm, from which even an exact model differs. Pass no "
                "references, so that they are trained as the model was, or models of its class, fitted with "
                "exclude=model.forgotten_."
            )
        if algorithm_of(other) != algorithm_of(references[0]):
            raise ValueError(
                f"{name} trains {algorithm_of(other)} and the references train {algorithm_of(references[0])}; they "
                "must be made by one recipe: pass references that were trained as the audited model was."
            )
        for ours, theirs in zip(_learners(other), _learners(references[0]), strict=True):
            _refuse_differing(ours, theirs)
    _check_independent([*models.values()], references)
    for number, reference in enumerate(references, start=1):
        _check_excluded(reference, number, forgotten)
    return references


def joins_models(model: Any) -> bool:
    """Say whether an unlearner joins several models, such as one for each shard, and so is an algorithm of its own."""
    return hasattr(type(model), "estimators_")


def check_answers(models: Mapping[str, Answers], references: list[Answers]) -> None:
    """Refuse models that answer every row alike where others do not: they are one model, given twice.

    Models that say that they were trained with different seeds may agree by chance, such as small trees, and pass; so
    do references that all agree, where training does not depend on the seed.

    Parameters
    ----------
    models : mapping of str to Answers
        The models under audit.
    references : list of Answers
        The references.

    Raises
    ------
    ValueError
        If two models are one, or a reference is an audited model.
    """
    pairs = list(combinations(references, 2))
    if all(_same(a, b) for a, b in pairs):
        return
    if any(_same(a, b) and not _seeds_differ(a, b) for a, b in pairs):
        raise ValueError(
            "two of the references give the same answers and others do not: one model is there twice. If they were "
            "trained apart and agree by chance, fit each with a random_state of its own, which says so."
        )
    for name, model in models.items():
        if any(_same(model, reference) and not _seeds_differ(model, reference) for reference in references):
            raise ValueError(
                f"{name} gives the answers of a reference, row by row: it is the same model. If they were trained "
                "apart and agree by chance, fit each with a random_state of its own, which says so."
            )


def _seeds_differ(a: Answers, b: Answers) -> bool:
    return a.seed is not None and b.seed is not None and a.seed != b.seed


def _same(a: Answers, b: Answers) -> bool:
    if a.proba is not None and b.proba is not None:
        return all(np.array_equal(a.proba[data], b.proba[data]) for data in a.proba)
    return a.proba is b.proba and all(np.array_equal(a.labels[data], b.labels[data]) for data in a.labels)


def _refuse_differing(a: Any, b: Any) -> None:
    differing = _differences(a, b)
    if differing:
        raise ValueError(
            f"the models differ in {differing}; references, and the model before and after unlearning, must be "
            "made by one recipe and differ in seed and forgotten rows alone."
        )


def algorithm_of(model: Any) -> str:
    """Name the estimators that do the learning, inside whatever unlearns.

    Parameters
    ----------
    model : estimator
        An unlearner, or anything else that was fitted.

    Returns
    -------
    str
        Their classes, those of all steps of a pipeline.
    """
    return " and ".join(type(inner).__name__ for inner in _learners(model))


def _learners(model: Any) -> list[Any]:
    """Estimators inside whatever unlearns: one, or the steps of a pipeline."""
    inner = model
    while hasattr(inner, "get_params"):
        params = inner.get_params(deep=False)
        if isinstance(params.get("steps"), list):
            return [part for _, step in params["steps"] if hasattr(step, "fit") for part in _learners(step)]
        if params.get("estimator") is None:
            break
        inner = as_estimator(params["estimator"])
    return [inner]


def _name(given: Any) -> str:
    return f"one {type(given).__name__}" if hasattr(given, "predict") else repr(given)


def _check_independent(models: list[Any], references: list[Any]) -> None:
    """Refuse a model that is there twice: it agrees with itself, which proves nothing."""
    seeds = [seed for seed in (seed_of(reference) for reference in references) if seed is not None]
    own = {seed for seed in (seed_of(model) for model in models) if seed is not None}
    everything = [*models, *references]
    repeated = len({id(model) for model in everything}) < len(everything)
    if repeated or len(set(seeds)) < len(seeds) or own & set(seeds):
        raise ValueError(
            "two of the models (those under audit and the references) are the same or have the same seed; they "
            "would agree by construction. Fit each reference with a random_state of its own."
        )


def _check_excluded(reference: Any, number: int, forgotten: NDArray[np.bool_] | None) -> None:
    """Refuse a reference that learned from forgotten rows, where it says or shows how many rows it saw."""
    if forgotten is None:
        return
    known = getattr(reference, "forgotten_", None)
    if known is not None and not np.array_equal(known, forgotten):
        raise ValueError(
            f"reference {number} was not trained without exactly the rows that the model forgot: fit it with "
            "exclude=model.forgotten_."
        )
    seen, retained = _rows_seen(reference), int((~forgotten).sum())
    if known is None and seen is not None and seen > retained:
        raise ValueError(
            f"reference {number} was trained on {seen} rows, and {retained} are retained: it learned from forgotten "
            "rows. Train references on the retained rows alone."
        )


def _rows_seen(model: Any) -> int | None:
    """Rows that a bare scikit-learn model was fitted on, where it keeps them."""
    if hasattr(model, "tree_"):
        return int(model.tree_.n_node_samples[0])
    known = getattr(model, "n_samples_fit_", None)
    if known is None and hasattr(model, "class_count_"):
        known = round(float(np.sum(model.class_count_)))
    return None if known is None else int(known)


def _differences(a: Any, b: Any) -> list[str]:
    """Names of the parameters, seeds aside, that two models do not share."""
    if type(a) is not type(b):
        return [f"type ({type(a).__name__} and {type(b).__name__})"]
    ours, theirs = _recipe(a), _recipe(b)
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def _recipe(model: Any) -> dict[str, str]:
    """Parameters in words; of an estimator inside, only its class, since its parameters are listed themselves."""
    params = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    return {name: _words(value) for name, value in params.items() if name.split("__")[-1] not in NOT_OF_THE_RECIPE}


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return str([_words(entry) for entry in value])
    return type(value).__qualname__ if hasattr(value, "get_params") else repr(value)
