"""What every audit needs before anything is measured: checked data, references, the original, and all answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit._preparation.encode import collect
from mlunlearn.audit._preparation.inputs import (
    PASS_TRAIN,
    Source,
    Train,
    as_labels,
    check_groups,
    check_labels,
    check_learned_from,
    check_model,
    forgotten_rows,
    is_classification,
    labelled_source,
    read_train,
    train_source,
)
from mlunlearn.audit._preparation.oracles import Answers, ask, check_can_retrain, retrain_and_ask, untrained_models
from mlunlearn.audit._preparation.overlap import never_trained_on
from mlunlearn.audit._preparation.references import check_answers, check_references
from mlunlearn.audit.determinism import declares_no_randomness
from mlunlearn.audit.predictions import ByData, Predictions
from mlunlearn.rows.data import take_rows

LEAST_REFERENCES = 2


@dataclass(frozen=True)
class Study:
    """Answers of all models to all questions.

    Parameters
    ----------
    predictions : Predictions
        With the first model under audit.
    said : mapping of str to mapping of str to Outputs
        Of every model under audit, by name.
    answers : mapping of str to Answers
        The same as it was said.
    references : list of Answers
        With the time that training took, where it was measured.
    train : Train or None
        Training data.
    sources : mapping of str to Source
        What was asked.
    missing : list of str
        What cannot be measured, and why.
    """

    predictions: Predictions
    said: Mapping[str, ByData]
    answers: Mapping[str, Answers]
    references: list[Answers]
    train: Train | None
    sources: Mapping[str, Source]
    missing: list[str]


def prepare(
    models: Mapping[str, Any],
    X_test: Any,
    y_test: Any,
    *,
    train: Any,
    forget_idx: Any,
    original: Any,
    references: Sequence[Any] | None,
    unseen: Any,
    non_members: Any,
    groups: Mapping[str, Any] | None,
    untrained: Sequence[Any] | None,
    n_references: int,
    seed: int,
    n_jobs: int | None,
    verbose: int,
) -> Study:
    """Check everything, train what is missing, and ask every model.

    Parameters
    ----------
    models : mapping of str to estimator
        The models under audit; all have forgotten the same rows.
    X_test, y_test, train, forget_idx, original, references, unseen, non_members, groups, untrained
        As in `mlunlearn.audit.audit`.
    n_references, n_jobs, verbose
        As in `mlunlearn.audit.audit`.
    seed : int
        Seed of the references.

    Returns
    -------
    Study
        The answers. All errors come before any training.
    """
    for name, one in models.items():
        check_model(one, name)
    first = next(iter(models.values()))
    forgotten = _same_rows(models, train, forget_idx)
    if references is None:
        check_can_retrain(first)
    else:
        references = check_references(models, references, original, forgotten)
    if original is not None and any(original is one for one in models.values()):
        raise ValueError("original is the model under audit itself; pass a copy made before unlearning, or None.")
    data = read_train(first, train, forgotten)
    if data is not None and forgotten is not None:
        for name, one in {**models, **_numbered(references or [])}.items():
            check_learned_from(one, data, forgotten, name)
    if references is None and data is None:
        raise ValueError(f"the model holds no training data to train references on; {PASS_TRAIN}, or references.")
    sources = _sources(data, X_test, y_test, unseen, non_members, groups)
    given = [*models.values(), *(references or []), *([] if original is None else [original])]
    sources = _check_targets(sources, given, data)
    answers = {name: ask(one, sources, name=name) for name, one in models.items()}
    retrained = [ask(one, sources, name=name) for name, one in _numbered(references or []).items()]
    if retrained:
        check_answers(answers, retrained)
    before = None if original is None else ask(original, sources, name="the original")
    rebuild = original is None and data is not None and data.complete and _can_retrain(first)
    if data is not None and (references is None or rebuild):
        made, rebuilt = retrain_and_ask(
            first,
            data,
            sources,
            n_references=0 if references else n_references,
            original=rebuild,
            seed=seed,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        retrained, before = retrained or made, before or rebuilt
    nets = untrained_models(first, data, seed) if untrained is None else untrained
    random = [ask(net, {"train": sources["train"]}) for net in nets] if data is not None and data.complete else []
    deterministic = declares_no_randomness(references[0] if references else first)
    predictions, said = collect(sources, answers, retrained, before, random, deterministic=deterministic)
    missing = _missing(data, before, zrf=bool(random) or any(a.proba is None for a in answers.values()))
    return Study(predictions, said, answers, retrained, data, sources, missing)


def _numbered(references: Sequence[Any]) -> dict[str, Any]:
    return {f"reference {number}": one for number, one in enumerate(references, start=1)}


def _same_rows(models: Mapping[str, Any], train: Any, forget_idx: Any) -> NDArray[np.bool_] | None:
    """Mask of the forgotten rows, the same for every model."""
    masks = [forgotten_rows(model, train, forget_idx) for model in models.values()]
    known = [mask for mask in masks if mask is not None]
    for name, mask in zip(models, masks, strict=True):
        if mask is not None and not np.array_equal(mask, known[0]):
            raise ValueError(f"{name} has forgotten other rows than {next(iter(models))} has.")
    return known[0] if known else None


def _can_retrain(model: Any) -> bool:
    try:
        check_can_retrain(model)
    except ValueError:
        return False
    return True


def _sources(
    data: Train | None, X_test: Any, y_test: Any, unseen: Any, non_members: Any, groups: Any
) -> dict[str, Source]:
    """All inputs to ask the models about."""
    sources = {} if data is None else {"train": train_source(data)}
    sources["test"] = labelled_source(X_test, y_test, "test")
    for name, argument, pair in (("unseen", "unseen", unseen), ("matched", "non_members", non_members)):
        if pair is not None:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(f"{argument} must be (X, y).")
            sources[name] = labelled_source(pair[0], pair[1], name)
    sizes = {name: len(source.y) for name, source in sources.items()}
    labels = check_groups(groups, sizes, forget=data is not None and data.complete)
    sources = {name: replace(source, groups=labels.get(name)) for name, source in sources.items()}
    if data is not None:
        for name, called in (("test", "test"), ("unseen", "unseen"), ("matched", "non_members")):
            if name in sources:
                sources[name] = _only(sources[name], name, never_trained_on(data.X, sources[name].X, called))
    return sources


def _only(source: Source, name: str, rows: NDArray[np.bool_]) -> Source:
    """Leave rows out of unseen data."""
    if rows.all():
        return source
    groups = None if source.groups is None else source.groups[rows]
    kept = np.flatnonzero(rows)
    return Source(take_rows(source.X, kept), source.y[rows], {name: np.arange(len(kept))}, groups)


def _check_targets(sources: dict[str, Source], models: list[Any], data: Train | None) -> dict[str, Source]:
    """Refuse targets that are not the models'; return them with one label for each row."""
    kinds = {is_classification(model) for model in models}
    if len(kinds) > 1:
        raise ValueError("some of the models classify and others regress; audit models of one task.")
    if kinds == {True}:
        sources = {name: as_labels(source, name) for name, source in sources.items()}
        known = [np.asarray(model.classes_) for model in models if getattr(model, "classes_", None) is not None]
        known += [] if data is None else [np.asarray(data.y)]
        complete = data is not None and data.complete
        if known:
            check_labels(sources, np.unique(np.concatenate([labels.ravel() for labels in known])), all_known=complete)
    elif any(source.y.dtype.kind not in "biuf" for source in sources.values()):
        raise ValueError("the models regress, and some targets are no numbers.")
    else:
        one = data is None or np.ndim(data.y) == 1
        columns = {name for name, source in sources.items() if one and source.y.shape[1:] == (1,)}
        sources = {name: as_labels(source, name) if name in columns else source for name, source in sources.items()}
    return sources


def _missing(data: Train | None, original: Answers | None, zrf: bool) -> list[str]:
    missing = []
    if data is None:
        missing.append(f"anything on retained data: the model holds none; {PASS_TRAIN}")
    if data is None or not data.complete:
        missing.append(f"anything on forgotten rows, attacks included: they are not here; {PASS_TRAIN}")
    if original is None:
        missing.append(f"the model before unlearning: {PASS_TRAIN}, or original=")
    if not zrf:
        missing.append("ZRF: there are no models with random weights; pass untrained=")
    return missing
