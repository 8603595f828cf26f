"""Whether a learner declares any randomness: if not, retraining gives one model, whatever the seed."""

from __future__ import annotations

import sys
from typing import Any

from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.utils import get_tags

from mlunlearn.retrain import Retrain

__all__ = ["declares_no_randomness"]

# Estimators of scikit-learn that use their `random_state` with these solvers alone.
DRAWING_SOLVERS: dict[type, tuple[str, ...]] = {
    Ridge: ("sag", "saga"),
    RidgeClassifier: ("sag", "saga"),
    LogisticRegression: ("sag", "saga", "liblinear"),
}


def declares_no_randomness(model: Any) -> bool:
    """Say whether a model's training declares no randomness, so that retraining gives one model.

    Parameters
    ----------
    model : estimator
        `Retrain` is what it retrains, and a pipeline is all of its steps.

    Returns
    -------
    bool
        Whether it is a scikit-learn estimator without ``random_state``, in itself and in what it holds, or with a
        solver that does not use it, which does not say that it is not deterministic and holds no torch net.
    """
    if isinstance(model, Retrain):
        return declares_no_randomness(model.estimator)
    if not hasattr(model, "get_params") or not hasattr(model, "__sklearn_tags__"):
        return False
    steps = model.get_params(deep=False).get("steps")
    if isinstance(steps, list):
        return all(step in (None, "passthrough") or declares_no_randomness(step) for _, step in steps)
    parameters = model.get_params(deep=True)
    seeded = any(_draws(part) for part in (model, *parameters.values()))
    nets = any(_is_net(value) for value in (*parameters.values(), *vars(model).values()))
    return not (seeded or nets or get_tags(model).non_deterministic)


def _draws(part: Any) -> bool:
    """Whether an estimator, or another parameter, has a ``random_state`` of its own that it may use."""
    own = part.get_params(deep=False) if hasattr(part, "get_params") and not isinstance(part, type) else {}
    solvers = DRAWING_SOLVERS.get(type(part))
    return "random_state" in own and (solvers is None or own["solver"] in solvers)


def _is_net(value: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(value, torch.nn.Module) or (isinstance(value, type) and issubclass(value, torch.nn.Module))
