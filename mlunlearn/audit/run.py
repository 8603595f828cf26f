"""`audit`: hold an unlearned model against models that never saw the data."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from mlunlearn.audit.benchmark import efficiency
from mlunlearn.audit.encode import collect
from mlunlearn.audit.inputs import (
    PASS_TRAIN,
    Source,
    Train,
    check_groups,
    check_model,
    labelled_source,
    read_train,
    train_source,
)
from mlunlearn.audit.oracles import (
    Answers,
    ask,
    check_can_retrain,
    check_references,
    retrain_and_ask,
    untrained_models,
)
from mlunlearn.audit.report import Audit
from mlunlearn.seeds import root_seed

PACKAGES = ("mlunlearn", "numpy", "scikit-learn", "scipy")


def audit(
    model: Any,
    X_test: Any,
    y_test: Any,
    *,
    train: tuple[Any, ...] | None = None,
    original: Any = None,
    references: Sequence[Any] | None = None,
    unseen: tuple[Any, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    untrained: Sequence[Any] | None = None,
    n_references: int = 3,
    n_bootstrap: int = 500,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Audit:
    """Compare a model after `unlearn` with models retrained without the forgotten rows, and with the one before.

    Every score comes with its null, a perfect unlearner's own score: what independent further retrained models score
    against the first. Some attacks succeed against them, and two retrained models rarely agree entirely.

    Parameters
    ----------
    model : unlearner
        A fitted model that has unlearned something; left as it is.
    X_test : array-like of shape (n_samples, ...)
        Inputs that no model has learned from.
    y_test : array-like of shape (n_samples,)
        Their targets.
    train : (X, y) or (X, y, sample_weight), default=None
        The data given to `fit`, forgotten rows included; an unlearned model does not hold them any more. Without it
        nothing can be said about the forgotten rows: the scores on retained data (as far as the model still holds
        it) and on test data remain, and the audit says what is missing.
    original : estimator or None, default=None
        The model before unlearning. None trains it again on `train` with the model's own seed.
    references : sequence of estimators or None, default=None
        At least two models trained without the forgotten rows, each with a seed of its own. None trains
        `n_references` copies of `model`.
    unseen : (X, y) or None, default=None
        Further data that no model has learned from, the non-members of the attacks. None takes the test data, of
        which one half then teaches the attacks that learn, and the other half is judged.
    groups : mapping of str to array-like, default=None
        By "train", "test" and "unseen": the person or source of each row. Intervals then resample whole persons, and
        attacks keep them together.
    untrained : sequence of estimators or None, default=None
        Classifiers with random weights, for the ZRF metric. None makes ten if `model` trains a torch net; for other
        models the metric is left out.
    n_references : int, default=3
        Retrained models to make: one to compare with, the others for the null. With two there is a single null
        model, and the difference between seeds is not in its intervals.
    n_bootstrap : int, default=500
        Bootstrap resamples.
    random_state : int, RandomState instance or None, default=None
        Seeds the references, the attacks and the resamples.
    n_jobs : int or None, default=None
        Models trained at once.
    verbose : int, default=0
        Show progress.

    Returns
    -------
    Audit
        The table, to be printed, plotted and saved.

    Raises
    ------
    TypeError
        If `model` is no unlearner, or neither a classifier nor a regressor.
    ValueError
        If nothing was forgotten, data do not fit the model or each other, or references are none. All of this is
        checked before anything is trained.
    DataChangedError
        If `train` is not the data that the model learned from.

    Notes
    -----
    Cost: ``n_references`` fits, one more for the original, and one prediction on all data for every model; then a few
    seconds for attacks and intervals. The models are let go of as soon as they have answered.

    Intervals are bootstrap intervals at 95 % over samples, or over groups. Attacks that fit a classifier are not
    fitted again: the samples they scored are resampled. The null's interval is over the null models as well.

    A perfect unlearner does not reach the null in every score. In 36 audits of exact methods (decision trees, SISA
    over trees and over linear models; 12 seeds each) 91 %, 97 % and 99 % of the scores did with two, three and five
    references. Scores hang together: in the worst of these audits with three references a fifth missed at once. The
    strongest attack was never outside. So one score outside its null is no finding yet; look at the scores on
    forgotten rows together, and pass a larger `n_references` where it matters. Agreement with the reference
    (completeness, Jensen-Shannon divergence, activation distance) says little where retrained models disagree as much
    among themselves, as single trees do: the null shows it.

    The model before unlearning is trained again with other shards if `model` was fitted with ``sample_ids`` or
    ``deletion_probability``; pass `original`, and for the latter `references`, to have the very same recipe.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.audit import audit
    >>> X, y = make_classification(n_samples=600, flip_y=0.2, random_state=0)
    >>> model = Retrain(DecisionTreeClassifier(), random_state=0).fit(X[:400], y[:400])
    >>> model.unlearn(range(100)).receipts_[-1].guarantee
    'exact'
    >>> report = audit(model, X[400:], y[400:], train=(X[:400], y[:400]), random_state=0)
    >>> frame = report.to_frame().set_index(["metric", "data"])
    >>> frame.loc[("accuracy", "forget"), ["unlearned", "null", "original"]].round(2).tolist()
    [0.83, 0.79, 1.0]
    """
    _check_settings(n_references, n_bootstrap)
    check_model(model)
    if references is None:
        check_can_retrain(model)
    else:
        references = check_references(model, references, original)
    data = read_train(model, train)
    if references is None and data is None:
        raise ValueError(f"the model holds no training data to train references on; {PASS_TRAIN}, or references.")
    sources = _sources(data, X_test, y_test, unseen, groups)
    unlearned = ask(model, sources)
    seed = root_seed(random_state)
    retrained, before = [ask(reference, sources) for reference in references or []], None
    if original is not None:
        before = ask(original, sources)
    rebuild = original is None and data is not None and data.complete
    if data is not None and (references is None or rebuild):
        made, rebuilt = retrain_and_ask(
            model,
            data,
            sources,
            n_references=0 if references else n_references,
            original=rebuild,
            seed=seed,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        retrained, before = retrained or made, before or rebuilt
    nets = untrained_models(model, data, seed) if untrained is None else untrained
    random = [ask(net, {"train": sources["train"]}) for net in nets] if data is not None and data.complete else []
    predictions = collect(sources, unlearned, retrained, before, random)
    return Audit.of(
        predictions,
        n_bootstrap=n_bootstrap,
        random_state=seed,
        about=_about(model, unlearned, retrained),
        cost=_cost(model, retrained),
        not_measured=_missing(data, before, zrf=bool(random) or unlearned.proba is None),
    )


def _check_settings(n_references: int, n_bootstrap: int) -> None:
    if n_references < 2:
        raise ValueError(f"n_references must be at least 2, got {n_references!r}: the second one is the null.")
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap must be at least 1, got {n_bootstrap!r}.")


def _sources(data: Train | None, X_test: Any, y_test: Any, unseen: Any, groups: Any) -> dict[str, Source]:
    """All inputs to ask the models about."""
    sources = {} if data is None else {"train": train_source(data)}
    sources["test"] = labelled_source(X_test, y_test, "test")
    if unseen is not None:
        if not isinstance(unseen, (tuple, list)) or len(unseen) != 2:
            raise ValueError("unseen must be (X, y).")
        sources["unseen"] = labelled_source(unseen[0], unseen[1], "unseen")
    sizes = {name: len(source.y) for name, source in sources.items()}
    labels = check_groups(groups, sizes, forget=data is not None and data.complete)
    return {name: replace(source, groups=labels.get(name)) for name, source in sources.items()}


def _missing(data: Train | None, original: Answers | None, zrf: bool) -> list[str]:
    missing = []
    if data is None:
        missing.append(f"anything on retained data: the model holds none; {PASS_TRAIN}")
    if data is None or not data.complete:
        missing.append(f"anything on forgotten rows, attacks included: the model holds them no more; {PASS_TRAIN}")
    if original is None:
        missing.append(f"the model before unlearning: {PASS_TRAIN}, or original=")
    if not zrf:
        missing.append("ZRF: there are no models with random weights; pass untrained=")
    return missing


def _about(model: Any, unlearned: Answers, references: list[Answers]) -> dict[str, Any]:
    return {
        "method": type(model).__name__,
        "estimator": type(getattr(model, "estimator", None)).__name__ if hasattr(model, "estimator") else None,
        "guarantee": getattr(model, "guarantee", None),
        "exactness": getattr(model, "exactness", None),
        "n_forgotten": int(model.forgotten_.sum()),
        "n_requests": len(model.receipts_),
        "seeds": {"unlearned": unlearned.seed, "references": [answers.seed for answers in references]},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _cost(model: Any, references: list[Answers]) -> dict[str, float]:
    """Seconds of all requests together, against those of one training without the forgotten rows."""
    receipts = model.receipts_
    if not receipts:
        return {}
    unlearning = sum(receipt.seconds for receipt in receipts)
    cost = {"seconds": unlearning, "retrained_share": sum(receipt.retrained_share for receipt in receipts)}
    retraining = float(np.mean([answers.seconds for answers in references]))
    if np.isfinite(retraining) and min(unlearning, retraining) > 0.0:
        cost |= {"seconds_retrain": retraining, **efficiency(unlearning, retraining)}
    return cost
