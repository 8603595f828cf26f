"""How a copy of the user's estimator is made and trained, the same in every process and thread."""

from __future__ import annotations

import sys
from dataclasses import replace
from inspect import signature
from typing import Any

from sklearn import get_config
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import has_fit_parameter

from mlunlearn.rows.data import Block
from mlunlearn.state import Task
from mlunlearn.training.disk import keep_off_disk
from mlunlearn.training.seeds import set_seed


def as_estimator(estimator: Any, task: Task | None = None) -> BaseEstimator:
    """Read what the user passed as an estimator with ``random_state``.

    Parameters
    ----------
    estimator : estimator, torch module (class or instance) or skorch net
        Torch models are wrapped in `TorchClassifier` or `TorchRegressor`; estimators are returned as they are.
    task : {'classifier', 'regressor'} or None, default=None
        What a torch model is for; None reads it from the net, and takes a bare module for a classifier.

    Returns
    -------
    estimator
        Never a fitted copy: what was passed in is not touched.
    """
    if "torch" not in sys.modules:
        return estimator
    from mlunlearn.nets.wrapping import wrap_torch

    return wrap_torch(estimator, task)


def check_estimator(estimator: Any, method: str, task: Task | None = None) -> None:
    """Refuse what is no estimator, or one for another task.

    Parameters
    ----------
    estimator : object
        What the user passed, torch models wrapped.
    method : str
        Name of the method, for the error.
    task : {'classifier', 'regressor'} or None, default=None
        What it has to be for; None takes both.

    Raises
    ------
    TypeError
        If it cannot be fitted or is a class.
    ValueError
        If it is for the other task.
    """
    if estimator is None:
        raise TypeError("estimator is None: pass the model that is to be trained, such as LogisticRegression().")
    if isinstance(estimator, type):
        raise TypeError(f"{method} takes an estimator, got the class {estimator.__name__}; pass an instance of it.")
    learns = hasattr(estimator, "fit") or hasattr(estimator, "partial_fit")
    if not (learns and hasattr(estimator, "get_params")):
        raise TypeError(f"{method} takes a scikit-learn estimator, a torch module or a skorch net, got {estimator!r}.")
    if task is not None and not offers(estimator, "predict"):
        raise TypeError(f"{method} predicts with its estimator, and {type(estimator).__name__} has no predict.")
    kind = "regressor" if is_regressor(estimator) else "classifier" if is_classifier(estimator) else None
    kind = kind or getattr(get_tags(estimator), "estimator_type", None) or task
    if task is not None and kind != task:
        raise ValueError(
            f"{method} needs a {task}, and {type(estimator).__name__} is a {kind}"
            + {"regressor": "; use SISARegressor for it.", "classifier": "; use SISAClassifier for it."}.get(
                str(kind), "."
            )
        )


def offers(estimator: Any, method: str) -> bool:
    """Tell whether an estimator has a method, once it is fitted.

    Parameters
    ----------
    estimator : estimator
        Not fitted. A stack of scikit-learn that names no final estimator does not know yet that it will have one.
    method : str
        Such as ``"predict_proba"``.

    Returns
    -------
    bool
        True if it will.

    Examples
    --------
    >>> from sklearn.ensemble import StackingClassifier
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from mlunlearn.training.estimators import offers
    >>> stack = StackingClassifier([("tree", DecisionTreeClassifier())])
    >>> hasattr(stack, "predict"), offers(stack, "predict"), offers(stack, "transform_twice")
    (False, True, False)
    """
    if isinstance(estimator, Pipeline):
        return offers(estimator.steps[-1][1], method)
    if getattr(estimator, "final_estimator", estimator) is None:
        return hasattr(LogisticRegression() if is_classifier(estimator) else RidgeCV(), method)
    return hasattr(estimator, method)


def refuse_frozen(estimator: BaseEstimator, method: str) -> None:
    """Refuse estimators that were trained elsewhere.

    Parameters
    ----------
    estimator : estimator
        What an exact method was asked to retrain.
    method : str
        Name of the method, for the error.

    Raises
    ------
    ValueError
        If `estimator`, or an estimator inside it, is frozen.
    """
    parts = [estimator, *(estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else [])]
    if any(isinstance(part, FrozenEstimator) for part in parts):
        raise ValueError(
            f"{method} is exact: it retrains its estimator without the forgotten rows, and cannot know which rows a "
            "FrozenEstimator has seen. Pass the unfitted estimator."
        )


def inherit_tags(tags: Tags, estimator: BaseEstimator) -> Tags:
    """Take over from the inner estimator what kind of input it accepts."""
    check_estimator(estimator, "an unlearner")
    inner = get_tags(estimator)
    tags.input_tags = replace(inner.input_tags, allow_nan=_allows_nan(estimator))
    tags.target_tags.multi_output = inner.target_tags.multi_output and inner.estimator_type != "classifier"
    tags.target_tags.positive_only = inner.target_tags.positive_only
    tags.non_deterministic = inner.non_deterministic
    if tags.classifier_tags and inner.classifier_tags:
        tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        tags.classifier_tags.poor_score = inner.classifier_tags.poor_score
    if tags.regressor_tags and inner.regressor_tags:
        tags.regressor_tags.poor_score = inner.regressor_tags.poor_score
    return tags


def _allows_nan(estimator: BaseEstimator) -> bool:
    """Tell whether an estimator takes NaN; scikit-learn's compositions say so of themselves at most.

    A pipeline takes it if every step does, up to one that fills it in, in some columns or in all.
    """
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if isinstance(step, BaseEstimator)]
        filled = next((place for place, step in enumerate(steps, start=1) if _fills_in(step)), None)
        return all(map(_allows_nan, steps[:filled]))
    return get_tags(estimator).input_tags.allow_nan or any(map(_allows_nan, _parts_of(estimator)))


def _fills_in(estimator: BaseEstimator) -> bool:
    return type(estimator).__name__.endswith("Imputer") or any(map(_fills_in, _parts_of(estimator)))


def _parts_of(estimator: BaseEstimator) -> list[BaseEstimator]:
    named = [part for name, part in estimator.get_params(deep=True).items() if "__" not in name]
    return [part for part in named if isinstance(part, BaseEstimator)]


def fresh_copy(estimator: BaseEstimator, seed: int) -> BaseEstimator:
    """Clone an estimator and seed the clone."""
    return set_seed(clone(estimator), seed)


def check_takes_weight(estimator: BaseEstimator, weight: Any, method: str = "fit") -> None:
    """Refuse sample weights that the estimator would not use.

    Parameters
    ----------
    estimator : estimator
        The inner estimator.
    weight : array or None
        Weights given to `fit`.
    method : {'fit', 'partial_fit'}, default='fit'
        The call they would go to.

    Raises
    ------
    ValueError
        If weights were given and the estimator takes none.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    takes = has_fit_parameter(last, "sample_weight") if method == "fit" else accepts(last.partial_fit, "sample_weight")
    if weight is not None and not takes:
        raise ValueError(f"{type(last).__name__}.{method} takes no sample_weight; fit without it.")


def takes_items(estimator: Any) -> bool:
    """Tell whether an estimator learns from rows that are read item by item, such as those of a dataset.

    Parameters
    ----------
    estimator : object
        What the user passed; what is inside a ``FrozenEstimator`` counts.

    Returns
    -------
    bool
        True for torch modules, skorch nets and what says so itself by ``takes_items = True``; what holds them inside,
        such as a pipeline, wants to see arrays.
    """
    estimator = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    return getattr(as_estimator(estimator), "takes_items", False) is True


def accepts(call: Any, name: str) -> bool:
    """Tell whether a method has a parameter of this name."""
    return name in signature(call).parameters


def template_of(estimator: Any, method: str, task: Task | None = None) -> BaseEstimator:
    """Copy what the user passed into what copies are made of at every training, after refusing what cannot be exact.

    Parameters
    ----------
    estimator : estimator, torch module (class or instance) or skorch net
        Never changed; what happens to it later does not count.
    method : str
        Name of the method, for errors.
    task : {'classifier', 'regressor'} or None, default=None
        What it has to be for; None takes both.

    Returns
    -------
    estimator
        Not fitted. Works on copies of its input, and writes nothing to disk.

    Raises
    ------
    TypeError, ValueError
        If it is no estimator, one for another task, trained elsewhere, or keeps what it learns on disk.
    """
    estimator = as_estimator(estimator, task)
    check_estimator(estimator, method, task)
    refuse_frozen(estimator, method)
    template = keep_off_disk(clone(estimator), method)
    in_place = [name for name, value in template.get_params(deep=True).items() if value is False and _is_copy(name)]
    return template.set_params(**dict.fromkeys(in_place, True))


def _is_copy(name: str) -> bool:
    return name.rpartition("__")[2].lower() in ("copy", "copy_x")


def fit_block(model: BaseEstimator, block: Block) -> BaseEstimator:
    """Fit an estimator on a block, its weights included."""
    if block.weight is None:
        return model.fit(block.X, block.y)
    by_step = isinstance(model, Pipeline) and not get_config()["enable_metadata_routing"]  # else its steps request them
    name = f"{model.steps[-1][0]}__sample_weight" if by_step else "sample_weight"
    return model.fit(block.X, block.y, **{name: block.weight})
