"""How close an unlearned regressor is to a retrained one: errors, distances, attacks, and their nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import wasserstein_distance

from mlunlearn.audit import AttackResult, loss_attack, svc_attack

Loss = Literal["absolute", "squared"]


def sample_errors(y: ArrayLike, prediction: ArrayLike, loss: Loss = "absolute") -> NDArray[np.float64]:
    """Error of each sample, averaged over its outputs.

    Parameters
    ----------
    y, prediction : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values.
    loss : {'absolute', 'squared'}, default='absolute'
        In the units of `y`, or their square.

    Returns
    -------
    ndarray of shape (n_samples,)
        Errors. Their mean weighs every sample the same.

    Raises
    ------
    ValueError
        If the shapes differ, which would broadcast to all pairs.

    Examples
    --------
    >>> from mlunlearn.regression import sample_errors
    >>> sample_errors([1.0, 2.0], [1.5, 0.0]).tolist()
    [0.5, 2.0]
    """
    gap = _gap(y, prediction)
    gap = np.abs(gap) if loss == "absolute" else gap**2
    return gap.reshape(len(gap), -1).mean(axis=1)


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
    return float(np.abs(_gap(p, q)).mean())


def error_attack(errors_forget: ArrayLike, errors_unseen: ArrayLike) -> AttackResult:
    """Attack membership through the error: forgotten rows may fit better than unseen ones of the same kind.

    Parameters
    ----------
    errors_forget : array-like of shape (n_forget,)
        `sample_errors` on the forgotten training rows, without augmentation.
    errors_unseen : array-like of shape (n_unseen,)
        The same on rows never trained on. In a band deletion take test rows of the same band, or the attack finds
        the band and not the membership.

    Returns
    -------
    AttackResult
        Its AUC is 0.5 where forgotten rows look like unseen ones.

    Raises
    ------
    ValueError
        If there are too few rows for the attack.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.regression import error_attack
    >>> error_attack(np.zeros(50), np.ones(50)).auc
    1.0
    """
    return loss_attack(errors_forget, errors_unseen)


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
) -> pd.DataFrame:
    """Compare models with retrained ones on everything that forgetting may change.

    Parameters
    ----------
    models : mapping from str to fitted regressor
        The original and the unlearned ones, by name.
    retrained : sequence of fitted regressor
        Two or more, with different seeds. The first is the reference row; distances of `models` are means over all,
        and the row ``"retrained again"`` holds the same figures between retrained models: the noise floor.
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

    Returns
    -------
    pandas.DataFrame
        A row a model, ``retrained`` and ``retrained again`` first. Columns: ``retain`` and ``forget``, errors on
        training rows; ``test_retain`` and ``test_forget``; ``w1`` and ``pointwise``, distances to the retrained
        models on the forgotten rows; ``retain_w1`` on the others; ``auc`` and ``member_share`` of the attacks;
        ``seconds``. What cannot be measured is NaN.

    Raises
    ------
    ValueError
        If there are fewer than two retrained models.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.datasets import load_diabetes
    >>> from mlunlearn.regression import regression_report
    >>> X, y = load_diabetes(return_X_y=True)
    >>> never = [Ridge(alpha).fit(X[90:300], y[90:300]) for alpha in (1.0, 1.1)]
    >>> table = regression_report(
    ...     {"original": Ridge().fit(X[:300], y[:300])}, never, X=X[:300], y=y[:300],
    ...     forget=np.arange(300) < 90, X_test=X[300:], y_test=y[300:])
    >>> table.index.tolist()
    ['retrained', 'retrained again', 'original']
    """
    if len(retrained) < 2:
        raise ValueError("regression_report needs two retrained models: the second one measures the noise floor.")
    y, y_test, forget = np.asarray(y), np.asarray(y_test), np.asarray(forget, dtype=bool)
    alike = np.ones(len(y_test), dtype=bool) if test_forget is None else np.asarray(test_forget, dtype=bool)
    other = alike if test_forget is None else ~alike
    reference = [np.asarray(model.predict(X)) for model in retrained]

    def row(model: Any, against: Sequence[NDArray[np.float64]]) -> dict[str, float]:
        p, p_test = np.asarray(model.predict(X)), np.asarray(model.predict(X_test))
        errors, errors_test = sample_errors(y, p, loss), sample_errors(y_test, p_test, loss)
        enough = alike.sum() >= 20 and forget.sum() >= 20
        return {
            "retain": float(errors[~forget].mean()),
            "forget": float(errors[forget].mean()),
            "test_retain": _mean(errors_test[other]),
            "test_forget": _mean(errors_test[alike]),
            "w1": _over(prediction_distance, p[forget], [q[forget] for q in against]),
            "pointwise": _over(pointwise_distance, p[forget], [q[forget] for q in against]),
            "retain_w1": _over(prediction_distance, p[~forget], [q[~forget] for q in against]),
            "auc": error_attack(errors[forget], errors_test[alike]).auc if enough else np.nan,
            "member_share": member_share(errors[~forget], errors_test[other], errors[forget]) if enough else np.nan,
        }

    rows = {"retrained": row(retrained[0], []), "retrained again": row(retrained[1], reference[:1])}
    floor = [_pair(reference, i, j, forget) for i in range(len(reference)) for j in range(i)]
    rows["retrained again"].update({name: float(np.mean([f[name] for f in floor])) for name in floor[0]})
    rows.update({name: row(model, reference) for name, model in models.items()})
    table = pd.DataFrame.from_dict(rows, orient="index")
    times = dict(seconds or {})
    table["seconds"] = [times.get(name, np.nan) for name in table.index]
    return table


def _pair(reference: Sequence[NDArray[np.float64]], i: int, j: int, forget: NDArray[np.bool_]) -> dict[str, float]:
    p, q = reference[i], reference[j]
    return {
        "w1": prediction_distance(p[forget], q[forget]),
        "pointwise": pointwise_distance(p[forget], q[forget]),
        "retain_w1": prediction_distance(p[~forget], q[~forget]),
    }


def _over(distance: Any, p: NDArray[np.float64], against: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([distance(p, q) for q in against])) if against else np.nan


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else np.nan


def _gap(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2) or not len(a):
        raise ValueError(f"arrays of shapes {a.shape} and {b.shape} cannot be compared sample by sample.")
    return a - b
