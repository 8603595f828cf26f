"""How close an unlearned regressor is to a retrained one: a verdict, errors, distances, attacks, and their nulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import wasserstein_distance

from mlunlearn.audit import (
    Outputs,
    Predictions,
    calibrated_attack,
    error_attack,
    loss_gap,
    row_differences,
    sample_errors,
    svc_attack,
)
from mlunlearn.audit.attacks.errors import Loss
from mlunlearn.audit.determinism import declares_no_randomness
from mlunlearn.audit.judge import Judge

Floats = NDArray[np.float64]
# Fewest rows of a side that an attack is run on.
LEAST = 20


def prediction_distance(p: ArrayLike, q: ArrayLike) -> float:
    """Wasserstein-1 distance between the distributions of two models' predictions.

    Parameters
    ----------
    p, q : array-like of shape (n,) and (m,), or (n, n_outputs) and (m, n_outputs)
        Predictions, usually on the forgotten training rows. Of several outputs the distances are averaged.

    Returns
    -------
    float
        In the units of the target; 0 for equal distributions, whichever sample got which value. See
        `pointwise_distance` for that.

    Raises
    ------
    ValueError
        If there are no predictions, or different numbers of outputs.

    Examples
    --------
    >>> from mlunlearn.regression import prediction_distance
    >>> prediction_distance([1.0, 2.0], [4.0, 3.0])
    2.0
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if not len(p) or not len(q) or p.shape[1:] != q.shape[1:]:
        raise ValueError(f"predictions of shapes {p.shape} and {q.shape} have no distance.")
    columns = zip(p.reshape(len(p), -1).T, q.reshape(len(q), -1).T, strict=True)
    return float(np.mean([wasserstein_distance(a, b) for a, b in columns]))


def pointwise_distance(p: ArrayLike, q: ArrayLike) -> float:
    """Mean absolute difference of two models' predictions, sample by sample.

    Parameters
    ----------
    p, q : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Predictions on the same samples.

    Returns
    -------
    float
        At least their `prediction_distance`.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from mlunlearn.regression import pointwise_distance
    >>> pointwise_distance([1.0, 2.0], [2.0, 1.0])
    1.0
    """
    return float(np.abs(row_differences(p, q)).mean())


def member_share(errors_retain: ArrayLike, errors_test: ArrayLike, errors_forget: ArrayLike) -> float:
    """Share of the forgotten rows that the paper's attack takes for members.

    Parameters
    ----------
    errors_retain : array-like of shape (n_retain,)
        Errors on retained training rows, the members; at most 2,000 are used.
    errors_test : array-like of shape (n_test,)
        Errors on test rows of the same distribution, the non-members; half of them, at most 2,000, are used.
    errors_forget : array-like of shape (n_forget,)
        Errors on the forgotten rows.

    Returns
    -------
    float
        To be compared with the retrained model's share, not with 0.5.

    Notes
    -----
    A support vector classifier (RBF, C 3) on the one feature, as published, but with members from the retained rows
    alone: the authors' notebook draws them from all training rows and through the augmentation.

    References
    ----------
    "Deep Regression Unlearning", arXiv 2210.08196.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.regression import member_share
    >>> member_share(np.zeros(50), np.ones(50), np.zeros(20))
    1.0
    """
    return svc_attack(errors_retain, errors_test, errors_forget, max_per_side=2000, random_state=0).tpr


def regression_report(
    models: Mapping[str, Any],
    retrained: Sequence[Any],
    *,
    X: Any,
    y: ArrayLike,
    forget: NDArray[np.bool_],
    X_test: Any,
    y_test: ArrayLike,
    test_forget: NDArray[np.bool_] | None = None,
    loss: Loss = "absolute",
    seconds: Mapping[str, float] | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Compare models with retrained ones on everything that forgetting may change.

    Parameters
    ----------
    models : mapping from str to fitted regressor
        The original and the unlearned ones, by name; ``original``, where it is there, shows how members look.
    retrained : sequence of fitted regressor
        Three or more, with different seeds, that never saw the forgotten rows: every two of them show how far two
        retrained models are from each other.
    X, y : array-like
        Training data.
    forget : ndarray of bool, shape (n_samples,)
        Which of it was forgotten.
    X_test, y_test : array-like
        Test data.
    test_forget : ndarray of bool, shape (n_test,), optional
        Test rows of the same band or group. None where rows were forgotten at random: every test row is then like
        the forgotten ones.
    loss : {'absolute', 'squared'}, default='absolute'
        The error reported.
    seconds : mapping from str to float, optional
        Time each model took, by name, ``"retrained"`` included.
    alpha : float, default=0.05
        Chance that a retrained model is called distinguishable.

    Returns
    -------
    pandas.DataFrame
        A row a model, ``retrained`` (the first one's errors) and ``retrained again`` first: the latter holds means over
        all retrained models, each compared with the others, the null of every figure. Columns:

        - ``verdict``: "as a retrained model", "distinguishable from one" or "cannot tell at this size", from paired
          comparisons on the forgotten rows, see `mlunlearn.audit.Verdict`;
        - ``excess``: **the headline**, mean error on the forgotten rows less that of the retrained models on the same
          rows (`mlunlearn.audit.loss_gap`): negative where the model remembers, whether a band was forgotten or rows
          at random; ``calibrated_auc``: the same as an attack against test rows of the same kind, 0.5 for a retrained
          model;
        - ``retain``, ``forget``, errors on training rows; ``test_retain``, ``test_forget``;
        - ``w1`` and ``pointwise``, distances to the retrained models' predictions on the forgotten rows;
          ``retain_w1`` on the others. A distance of distributions, such as ``w1``, cannot see rows that were forgotten
          at random;
        - ``excess_sd``, ``w1_sd``, ``pointwise_sd``, ``retain_w1_sd``: standard deviations of these four over the
          retrained models they are against; of ``retrained again``, over all pairs (or models);
        - ``auc`` and ``member_share`` of the attacks on errors alone; ``seconds``.

        What cannot be measured is NaN.

    Raises
    ------
    ValueError
        If there are fewer than three retrained models.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.datasets import load_diabetes
    >>> from mlunlearn.regression import regression_report
    >>> X, y = load_diabetes(return_X_y=True)
    >>> never = [Ridge(alpha).fit(X[90:300], y[90:300]) for alpha in (1.0, 1.1, 1.2)]
    >>> table = regression_report(
    ...     {"original": Ridge().fit(X[:300], y[:300])}, never, X=X[:300], y=y[:300],
    ...     forget=np.arange(300) < 90, X_test=X[300:], y_test=y[300:])
    >>> table.index.tolist()
    ['retrained', 'retrained again', 'original']
    """
    if len(retrained) < 3:
        raise ValueError(
            f"regression_report needs three retrained models, got {len(retrained)}: one pair of them does not show how "
            "far two are from each other."
        )
    y, y_test, forget = np.asarray(y), np.asarray(y_test), np.asarray(forget)
    if forget.dtype != bool or forget.shape != (len(y),):
        raise ValueError(
            f"forget must be a boolean mask of shape ({len(y)},), got {forget.dtype} of shape {forget.shape}; "
            "of positions pass np.isin(np.arange(len(y)), forget)."
        )
    alike = np.ones(len(y_test), dtype=bool) if test_forget is None else np.asarray(test_forget, dtype=bool)
    data = _Rows(y, y_test, forget, alike, alike if test_forget is None else ~alike, loss)
    reference = [_said(model, X, X_test) for model in retrained]
    rows: dict[str, dict[str, Any]] = {
        "retrained": data.errors(reference[0]),
        "retrained again": _floor(data, reference),
    }
    said = {name: _said(model, X, X_test) for name, model in models.items()}
    verdicts = data.verdicts(said, reference, alpha, all(declares_no_randomness(model) for model in retrained))
    for name, answers in said.items():
        rows[name] = {"verdict": verdicts[name], **data.errors(answers), **data.against(answers, reference)}
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=COLUMNS)
    times = dict(seconds or {})
    return table.assign(seconds=[times.get(name, np.nan) for name in table.index])


Said = tuple[Floats, Floats]  # predictions on training and on test rows
DISTANCES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "w1": prediction_distance,
    "pointwise": pointwise_distance,
    "retain_w1": prediction_distance,
}
COLUMNS = (
    "verdict", "excess", "calibrated_auc", "retain", "forget", "test_retain", "test_forget", "w1", "pointwise",
    "retain_w1", "excess_sd", "w1_sd", "pointwise_sd", "retain_w1_sd", "auc", "member_share",
)  # fmt: skip


def _said(model: Any, X: Any, X_test: Any) -> Said:
    return np.asarray(model.predict(X), dtype=np.float64), np.asarray(model.predict(X_test), dtype=np.float64)


@dataclass(frozen=True)
class _Rows:
    """The rows of a report, and what is computed from a model's predictions on them."""

    y: NDArray[Any]
    y_test: NDArray[Any]
    forget: NDArray[np.bool_]
    alike: NDArray[np.bool_]
    other: NDArray[np.bool_]
    loss: Loss

    @property
    def enough(self) -> bool:
        return bool(min(self.alike.sum(), self.forget.sum()) >= LEAST)

    def losses(self, said: Said) -> tuple[Floats, Floats]:
        return sample_errors(self.y, said[0], self.loss), sample_errors(self.y_test, said[1], self.loss)

    def errors(self, said: Said) -> dict[str, float]:
        """Figures that need no retrained model."""
        errors, errors_test = self.losses(said)
        figures = {
            "retain": float(errors[~self.forget].mean()),
            "forget": float(errors[self.forget].mean()),
            "test_retain": _mean(errors_test[self.other]),
            "test_forget": _mean(errors_test[self.alike]),
        }
        if not self.enough:
            return figures
        return {
            **figures,
            "auc": error_attack(errors[self.forget], errors_test[self.alike]).auc,
            "member_share": member_share(errors[~self.forget], errors_test[self.other], errors[self.forget]),
        }

    def against(self, said: Said, references: Sequence[Said]) -> dict[str, float]:
        """Figures against retrained models: means over them, and standard deviations."""
        (errors, errors_test), theirs = self.losses(said), [self.losses(other) for other in references]
        gaps = loss_gap(errors[self.forget], np.array([other[0][self.forget] for other in theirs]))
        each = [float((errors - other[0])[self.forget].mean()) for other in theirs]
        figures = {"excess": float(gaps.mean()), "excess_sd": _sd(each)}
        for name, distance in DISTANCES.items():
            rows = ~self.forget if name == "retain_w1" else self.forget
            far = [distance(said[0][rows], other[0][rows]) for other in references]
            figures |= {name: float(np.mean(far)), f"{name}_sd": _sd(far)}
        if self.enough:
            figures["calibrated_auc"] = calibrated_attack(
                errors[self.forget],
                errors_test[self.alike],
                [other[0][self.forget] for other in theirs],
                [other[1][self.alike] for other in theirs],
            ).auc
        return figures

    def verdicts(
        self, said: Mapping[str, Said], references: Sequence[Said], alpha: float, deterministic: bool
    ) -> dict[str, str]:
        """Verdicts by the core's declared statistics, on forgotten rows and test rows of their kind."""
        if not self.alike.any():
            return dict.fromkeys(said, "cannot tell at this size")
        # performance is judged on all test rows, membership on those that are like the forgotten ones
        targets = {"forget": self.y[self.forget], "test": self.y_test, "matched": self.y_test[self.alike]}
        outputs = {name: self._outputs(answers) for name, answers in said.items()}
        retrained = [self._outputs(answers) for answers in references]
        first = next(iter(outputs.values()), retrained[0])
        predictions = Predictions(
            "regressor", targets, first, retrained, original=outputs.get("original"), deterministic=deterministic
        )
        judge = Judge(predictions, alpha=alpha)
        found = judge.comparability()
        return {name: judge.verdict(answers, found).decision for name, answers in outputs.items()}

    def _outputs(self, said: Said) -> Mapping[str, Outputs]:
        parts = {"forget": said[0][self.forget], "test": said[1], "matched": said[1][self.alike]}
        return {name: Outputs(values) for name, values in parts.items()}


def _floor(data: _Rows, references: Sequence[Said]) -> dict[str, float]:
    """Means over the retrained models, each against the others; spreads of distances are over pairs."""
    rows = []
    for i, said in enumerate(references):
        others = [other for j, other in enumerate(references) if j != i]
        rows.append({**data.errors(said), **data.against(said, others)})
    figures = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    pairs = [(i, j) for i in range(len(references)) for j in range(i)]
    for name, distance in DISTANCES.items():
        chosen = ~data.forget if name == "retain_w1" else data.forget
        figures[f"{name}_sd"] = _sd([distance(references[i][0][chosen], references[j][0][chosen]) for i, j in pairs])
    return {**figures, "excess_sd": _sd([row["excess"] for row in rows])}


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
