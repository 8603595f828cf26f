"""`compare`: many methods, one set of references, one table; two controls and a constant predictor always in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlunlearn.audit._preparation.encode import collect
from mlunlearn.audit._preparation.references import algorithm_of, joins_models
from mlunlearn.audit._preparation.study import prepare
from mlunlearn.audit.controls import CONTINUED, FROM_SCRATCH, train_controls
from mlunlearn.audit.judge import Judge
from mlunlearn.audit.predictions import ByData, Outputs, Predictions
from mlunlearn.audit.printing import agreement_note
from mlunlearn.audit.run import check_settings, cost_of
from mlunlearn.audit.saved import number
from mlunlearn.audit.verdict import Verdict, favourable_only_if_found
from mlunlearn.training.seeds import root_seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORIGINAL, RETRAINED, CONSTANT = "before unlearning", "retrained", "constant predictor"


@dataclass(frozen=True, repr=False)
class Comparison:
    """Verdicts and figures of many methods against the same references.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for every method and control, see `compare`.
    verdicts : mapping of str to Verdict
        By the same names.
    comparison : str
        How forgotten and unseen rows are compared.
    notes : tuple of str
        What a reader has to know, such as controls that could not be had.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlunlearn.audit import Comparison
    >>> Comparison(pd.DataFrame({"distance": [0.1]}, index=["retrained"]), {}, "", ()).to_frame().shape
    (1, 1)
    """

    table: pd.DataFrame
    verdicts: Mapping[str, Verdict]
    comparison: str
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the table.

        Returns
        -------
        pandas.DataFrame
            One row for every method and control.
        """
        return self.table.copy()

    def plot(self, path: str | Path | None = None, ax: Axes | None = None) -> Axes:
        """Draw the distance to retrained models against the time taken, with the distance among retrained models.

        Parameters
        ----------
        path : str, Path or None, default=None
            Where to write the figure.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from mlunlearn.audit.figure import draw_comparison

        ax = draw_comparison(self.table, ax)
        figure = ax.get_figure(root=True)
        if path is not None and figure is not None:
            figure.savefig(path)
        return ax

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """Return verdicts first, then the table and the notes."""
        shown = self.table.drop(columns=[name for name in self.table if name.startswith("sd of")])
        lines = [shown.to_string(na_rep="-", float_format=number), "", self.comparison, *self.notes]
        return "\n".join(line for line in lines if line is not None)


def compare(
    models: Mapping[str, Any] | Sequence[Any],
    X_test: Any,
    y_test: Any,
    *,
    train: tuple[Any, ...] | None = None,
    forget_idx: Any = None,
    original: Any = None,
    references: Sequence[Any] | None = None,
    non_members: tuple[Any, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    n_references: int = 5,
    alpha: float = 0.05,
    residue: float = 1.0,
    exchangeable: bool | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Comparison:
    """Compare methods that served one request, all against the same retrained references.

    Parameters
    ----------
    models : mapping of str to model, or sequence of models
        Fitted models that have forgotten the same rows, by name. Instead of a model also several seeds of one method:
        a sequence of models from one training, or a sequence of such sequences, one for every training.
    X_test : array-like of shape (n_samples, ...)
        Inputs that no model has learned from.
    y_test : array-like of shape (n_samples,)
        Their targets.
    train : (X, y) or (X, y, sample_weight), default=None
        As in `mlunlearn.audit.audit`.
    forget_idx : array-like of int, mask or slice, default=None
        As in `mlunlearn.audit.audit`; needed if no model is an unlearner.
    original : estimator or None, default=None
        The model before unlearning; also what the control "continued" starts from.
    references : sequence of estimators or None, default=None
        As in `mlunlearn.audit.audit`; None trains copies of the first model.
    non_members : (X, y) or None, default=None
        As in `mlunlearn.audit.audit`.
    groups : mapping of str to array-like, default=None
        As in `mlunlearn.audit.audit`.
    n_references : int, default=5
        Retrained models to make.
    alpha : float, default=0.05
        Chance that a retrained model is called distinguishable: that of each method, not of all together.
    residue : float, default=1.0
        As in `mlunlearn.audit.audit`.
    exchangeable : bool or None, default=None
        As in `mlunlearn.audit.audit`.
    random_state : int, RandomState instance or None, default=None
        Seeds references, controls and permutations.
    n_jobs : int or None, default=None
        Models trained at once.
    verbose : int, default=0
        Show progress.

    Returns
    -------
    Comparison
        Its table has the columns

        - ``verdict``, and ``residue``: the share of the forgotten rows that would have been found;
        - ``membership``, ``agreement``, ``excess distance``, ``performance``: declared differences to the references;
          ``identity`` where references agree in every answer, see `mlunlearn.audit.audit`;
        - ``accuracy forget``, ``accuracy test`` (or ``error``);
        - ``distance``: mean distance of the predictions on forgotten rows to those of the references (total variation,
          from 0 to 1, or absolute); the row ``retrained`` has the references' own;
        - ``seconds``: of all requests, of the training in the rows of references and controls;
        - with several seeds, ``sd of trainings`` and ``sd of unlearnings`` of the membership statistic: between
          trainings, and between unlearnings within one (evaluation draws nothing).

        Rows after the methods: ``before unlearning``, ``retrained``; the controls ``from scratch`` (a fit on as many
        samples as the method read, for each method that says so) and ``continued`` (the original trained on by as many
        on retained rows); ``constant predictor``.

    Raises
    ------
    ValueError
        As `mlunlearn.audit.audit`; or if there is no model, or two have one name.

    Notes
    -----
    The controls need the training data and what the methods report in their receipts. An estimator continues training
    through ``partial_fit``; where it has none, a note says that this control is missing.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.audit import compare
    >>> X, y = make_classification(n_samples=600, flip_y=0.2, random_state=0)
    >>> exact = Retrain(DecisionTreeClassifier(max_features=4), random_state=0).fit(X[:400], y[:400])
    >>> exact = exact.unlearn(range(100))
    >>> table = compare({"exact": exact}, X[400:], y[400:], train=(X[:400], y[:400]), random_state=0).to_frame()
    >>> table.loc[["exact", "before unlearning"], "verdict"].tolist()
    ['as a retrained model', 'distinguishable from one']
    """
    check_settings(n_references, 1, alpha, residue, exchangeable)
    if hasattr(models, "predict"):
        raise ValueError("compare takes a mapping of names to models; pass {name: model}, or call audit for one.")
    nested = {name: _nested(name, given) for name, given in _named(models).items()}
    seed = root_seed(random_state)
    flat = {
        _label(name, i, j): one
        for name, trainings in nested.items()
        for i, training in enumerate(trainings)
        for j, one in enumerate(training)
    }
    study = prepare(
        flat,
        X_test,
        y_test,
        train=train,
        forget_idx=forget_idx,
        original=original,
        references=references,
        unseen=None,
        non_members=non_members,
        groups=groups,
        untrained=(),
        n_references=n_references,
        seed=seed,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    judge = Judge(study.predictions, alpha, residue, seed, exchangeable)
    found = judge.comparability()
    rows: dict[str, list[ByData]] = {}
    seconds: dict[str, float] = {}
    for name, trainings in nested.items():
        labels = [_label(name, i, j) for i, training in enumerate(trainings) for j in range(len(training))]
        rows[name] = [study.said[label] for label in labels]
        seconds[name] = float(np.mean([cost_of(flat[label], []).get("seconds", np.nan) for label in labels]))
    controls, notes = train_controls(flat, original, study, seed)
    if controls:
        _, said = collect(study.sources, {**study.answers, **controls}, study.references, None, [])
        rows |= {name: [said[name]] for name in controls}
        seconds |= {name: answers.seconds for name, answers in controls.items()}
    if study.predictions.original is not None:
        rows[ORIGINAL] = [study.predictions.original]
    rows[CONSTANT] = [_constant(study.predictions)]
    verdicts = {name: judge.verdict(said, found) for name, said in rows.items()}
    verdicts = {name: favourable_only_if_found(verdict, verdicts.get(ORIGINAL)) for name, verdict in verdicts.items()}
    table = {name: _row(judge, verdicts[name], said, seconds.get(name, np.nan)) for name, said in rows.items()}
    for name, trainings in nested.items():
        if len(rows[name]) > 1 and found is not None:
            table[name] |= _spread(judge, found, rows[name], [len(training) for training in trainings])
    notes = [*notes, *_other_algorithms(flat, references)]
    if judge.retraining is not None:
        notes.append(agreement_note(study.predictions, alpha, max(map(len, rows.values()))))
    fits = [answers.seconds for answers in study.references]
    table[RETRAINED] = _row(judge, None, list(study.predictions.references), float(np.mean(fits)))
    order = [*nested, *(name for name in table if name not in nested)]
    return Comparison(
        pd.DataFrame([table[name] for name in order], index=pd.Index(order, name="method")),
        verdicts,
        "" if found is None else str(found),
        (*notes, *(f"Not measured: {what}." for what in study.missing if not what.startswith("ZRF"))),
    )


def _other_algorithms(flat: Mapping[str, Any], references: Sequence[Any] | None) -> list[str]:
    """Name the models that the references, copies of the first model, were not made as."""
    first = next(iter(flat.values()))
    if references is not None:
        return []
    others = [
        name
        for name, model in flat.items()
        if algorithm_of(model) != algorithm_of(first)
        or (type(model) is not type(first) and (joins_models(model) or joins_models(first)))
    ]
    what = f"{', '.join(others)}: other algorithms than {type(first).__name__}, whose models the references are"
    return [f"{what}; even an exact model of another algorithm is distinguishable."] if others else []


def _named(models: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any]:
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        names = [type(one).__name__ for one in models]
        if len(set(names)) < len(names):
            raise ValueError(f"two models are both a {max(names, key=names.count)}: pass a mapping of names to models.")
        named = dict(zip(names, models, strict=True))
    reserved = {ORIGINAL, RETRAINED, CONSTANT, FROM_SCRATCH, CONTINUED} & set(named)
    if not named:
        raise ValueError("there is no model to compare: pass a mapping of names to fitted models.")
    if reserved:
        raise ValueError(f"these names are those of controls: {sorted(reserved)}; name the models otherwise.")
    return named


def _nested(name: str, given: Any) -> list[list[Any]]:
    """Models by training and by unlearning."""
    if not isinstance(given, (list, tuple)):
        return [[given]]
    deep = [isinstance(entry, (list, tuple)) for entry in given]
    if not given or len(set(deep)) > 1 or any(len(entry) == 0 for entry in given if isinstance(entry, (list, tuple))):
        raise ValueError(
            f"{name}: the seeds of one method are a sequence of models, or of sequences of models, none of them empty "
            "and not both at once."
        )
    if all(isinstance(entry, (list, tuple)) for entry in given):
        return [list(entry) for entry in given]
    return [list(given)]


def _label(name: str, training: int, unlearning: int) -> str:
    return name if training == unlearning == 0 else f"{name} ({training + 1}.{unlearning + 1})"


def _constant(predictions: Predictions) -> ByData:
    """What a model says that has learned nothing but how frequent the labels are, or their mean."""
    known = predictions.targets["retain" if "retain" in predictions.targets else "test"]
    if predictions.task == "regressor":
        mean = np.mean(known, axis=0)
        return {data: Outputs(np.broadcast_to(mean, target.shape)) for data, target in predictions.targets.items()}
    first = predictions.references[0]["test"].proba
    n_classes = int(known.max()) + 1 if first is None else first.shape[1]
    share = np.bincount(known, minlength=n_classes) / len(known)
    said = {}
    for data, target in predictions.targets.items():
        labels = np.full(len(target), share.argmax())
        proba = np.tile(share, (len(target), 1)) if predictions.has_proba else None
        said[data] = Outputs(labels, proba)
    return said


def _row(judge: Judge, verdict: Verdict | None, said: list[ByData], seconds: float) -> dict[str, Any]:
    row: dict[str, Any] = {"verdict": "", "residue": np.nan}
    if verdict is not None:
        row = {"verdict": verdict.decision, "residue": np.nan if verdict.residue is None else verdict.residue}
        row |= {_column(s.name): s.difference.estimate for s in verdict.statistics}
    for data in ("forget", "test"):
        if data in judge.predictions.sizes:
            row |= {f"{_measure(judge)} {data}": float(np.mean([_quality(judge, one, data) for one in said]))}
    if "forget" in judge.predictions.sizes:
        distances = [
            judge.distance_on(one["forget"], reference["forget"]).mean()
            for one in said
            for reference in judge.predictions.references
            if one is not reference
        ]
        row["distance"] = float(np.mean(distances))
    return {**row, "seconds": seconds}


def _column(name: str) -> str:
    """Short name of a declared statistic; the distance itself, on forgotten rows, has a column of its own."""
    short = name.split(":")[0]
    return "excess distance" if short == "distance" else short


def _measure(judge: Judge) -> str:
    return "accuracy" if judge.predictions.task == "classifier" else "error"


def _quality(judge: Judge, said: ByData, data: str) -> float:
    target, labels = judge.predictions.targets[data], said[data].labels
    if judge.predictions.task == "classifier":
        return float(np.mean(labels == target))
    return float(np.mean(np.abs(labels - target)))


def _spread(judge: Judge, found: Any, said: list[ByData], sizes: list[int]) -> dict[str, float]:
    """Standard deviations of the membership statistic by a one-way analysis of variance."""
    values = [judge.membership([one], found).difference.estimate for one in said]
    parts: list[NDArray[np.float64]] = np.split(np.array(values), np.cumsum(sizes)[:-1])
    within_df = sum(n - 1 for n in sizes)
    within = sum(float(np.sum((part - part.mean()) ** 2)) for part in parts) / within_df if within_df else np.nan
    between = np.nan
    if len(parts) > 1:
        of_means = float(np.var([part.mean() for part in parts], ddof=1))
        between = max(0.0, of_means - (0.0 if np.isnan(within) else within * float(np.mean([1.0 / n for n in sizes]))))
    return {"sd of trainings": float(np.sqrt(between)), "sd of unlearnings": float(np.sqrt(within))}
