"""From what models said, each in its own labels, to arrays that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlunlearn.audit._preparation.inputs import Source
from mlunlearn.audit._preparation.oracles import Answers
from mlunlearn.audit.predictions import DATA, ByData, Outputs, Predictions


def collect(
    sources: Mapping[str, Source],
    audited: Mapping[str, Answers],
    references: list[Answers],
    original: Answers | None,
    untrained: list[Answers],
    *,
    deterministic: bool = False,
) -> tuple[Predictions, dict[str, ByData]]:
    """Put the answers of all models into one form.

    Parameters
    ----------
    sources : mapping of str to Source
        What the models were asked.
    audited, references, original : mapping of str to Answers, list of Answers, Answers or None
        What they said. Classifiers say their classes; a class that a model does not know has probability 0.
    untrained : list of Answers
        What nets with random weights said.
    deterministic : bool, default=False
        Whether training is known to give one model, whatever the seed.

    Returns
    -------
    predictions : Predictions
        Labels as codes, probabilities with the same columns for every model; the first audited model is in it.
    said : dict of str to mapping of str to Outputs
        The same of every audited model.
    """
    models = [*audited.values(), *references, *([] if original is None else [original])]
    classes = None
    if all(answers.classes is not None for answers in models):
        known = [answers.classes for answers in models if answers.classes is not None]
        seen = [source.y[rows] for source in sources.values() for rows in source.parts.values()]
        classes = np.unique(np.concatenate([*known, *seen]))
    with_proba = all(answers.proba is not None for answers in models)
    outputs = [_outputs(answers, sources, classes, with_proba) for answers in models]
    asked = {name: source for name, source in sources.items() if name == "train"}
    random = [_outputs(answers, asked, classes, True) for answers in untrained]
    predictions = Predictions(
        task="classifier" if classes is not None else "regressor",
        targets=_by_data({name: _codes(s.y, classes) for name, s in sources.items()}, sources),
        unlearned=outputs[0],
        references=tuple(outputs[len(audited) : len(audited) + len(references)]),
        original=None if original is None else outputs[-1],
        untrained=tuple(p for said in random if "forget" in said and (p := said["forget"].proba) is not None),
        groups=_groups(sources),
        deterministic=deterministic,
        classes=classes,
    )
    return predictions, dict(zip(audited, outputs, strict=False))


def _outputs(answers: Answers, sources: Mapping[str, Source], classes: NDArray[Any] | None, with_proba: bool) -> ByData:
    labels = _by_data({name: _codes(said, classes) for name, said in answers.labels.items()}, sources)
    if classes is None or not with_proba or answers.proba is None or answers.classes is None:
        return {name: Outputs(said) for name, said in labels.items()}
    place = np.searchsorted(classes, answers.classes)
    proba = _by_data({name: _aligned(p, place, len(classes)) for name, p in answers.proba.items()}, sources)
    return {name: Outputs(said, proba[name]) for name, said in labels.items()}


def _by_data(by_source: Mapping[str, NDArray[Any]], sources: Mapping[str, Source]) -> dict[str, NDArray[Any]]:
    found = {part: by_source[name][rows] for name, source in sources.items() for part, rows in source.parts.items()}
    return {name: found[name] for name in DATA if name in found}


def _codes(labels: NDArray[Any], classes: NDArray[Any] | None) -> NDArray[Any]:
    return np.asarray(labels) if classes is None else np.searchsorted(classes, labels)


def _aligned(proba: NDArray[np.float64], place: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    if proba.shape[1] == n_classes:
        return proba
    wide = np.zeros((len(proba), n_classes))
    wide[:, place] = proba
    return wide


def _groups(sources: Mapping[str, Source]) -> dict[str, NDArray[np.intp]]:
    """Persons or sources as numbers, by data set; those of one training set may lie on both sides."""
    groups = {}
    for source in sources.values():
        if source.groups is not None:
            for part, rows in source.parts.items():
                groups[part] = np.unique(source.groups[rows], return_inverse=True)[1]
    return groups
