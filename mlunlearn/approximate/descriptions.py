"""What methods say alike about their parameters and attributes, written once."""

from __future__ import annotations

import re
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type[Any])

COMMON = {
    "lr_of_adam": """
        lr : float, default=0.001
            Learning rate of Adam.
        """,
    "decay": """
        decay : bool, default=False
            Let the learning rate fall to zero along half a cosine.
        """,
    "optimizer": """
        optimizer : {'adam', 'sgd'}, default='adam'
            The latter with momentum 0.9.
        """,
    "weight_decay": """
        weight_decay : float, default=0
            L2 penalty of the optimiser.
        """,
    "batch_size": """
        batch_size : int or None, default=None
            Rows of a step; None takes the network's own.
        """,
    "published_batch_size": """
        batch_size : int or None, default=256
            Rows of a step; None takes the network's own.
        """,
    "budget": """
        budget : float, default=0.18
            Samples that a request may read, as a share of what training on the retained rows from scratch reads; at
            least 60 steps are taken. How long a frozen module was trained is not known and is taken for 20 epochs.
        """,
    "steps_of_budget": """
        n_steps : int or None, default=None
            Gradient steps. None follows `budget`.
        lr : float, default=0.01
            Learning rate of Adam at the start; it falls to zero along half a cosine.
        """,
    "steps_of_one_pass": """
        n_steps : int or None, default=None
            Gradient steps of a request. None takes one pass over all rows, at least 48 steps.
        """,
    "steps_or_budget": """
        budget : float or None, default=None
            Samples that a request may read, as a share of what training on the retained rows from scratch reads; at
            least 60 steps are taken. Give it to compare with a method that reads as many.
        n_steps : int or None, default=None
            Gradient steps of a request. None follows `budget`, and without one takes five passes over the retained
            rows, at least 50 steps.
        """,
    "seed_and_bar": """
        random_state : int, RandomState instance or None, default=None
            Seeds training, and everything that a request draws.
        verbose : int, default=0
            Show progress bars.
        """,
}
BY_TASK = {
    "classifier": {
        "estimator": """
        estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
            The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
        """,
        "fitted": """
        estimator_ : TorchClassifier or Pipeline
            The model after forgetting.
        classes_, n_samples_fit_, forgotten_, receipts_, seed_
            As for every unlearner.
        """,
    },
    "regressor": {
        "estimator": """
        estimator : torch module, skorch net, TorchRegressor, Pipeline or FrozenEstimator
            The network; an unfitted one is trained by `fit` on standardised targets (see `StandardizedRegressor`), of
            a frozen one a copy is edited. Its criterion is the loss everywhere.
        """,
        "fitted": """
        estimator_ : StandardizedRegressor or Pipeline
            The model after forgetting.
        n_samples_fit_, forgotten_, receipts_, seed_
            As for every unlearner.
        """,
    },
}
_PLACE = re.compile(r"^( *)%\((\w+)\)s$", re.MULTILINE)


def described(method: Class) -> Class:
    """Put the descriptions that methods share into the places of a class docstring that name them.

    Parameters
    ----------
    method : type
        A class; a line ``%(name)s`` of its docstring stands for a description of this module.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    KeyError
        If there is no such description.

    Examples
    --------
    >>> from mlunlearn.approximate import FineTuneClassifier
    >>> "batch_size : int or None, default=None" in FineTuneClassifier.__doc__
    True
    """
    texts = COMMON | BY_TASK[method._task]

    def text(place: re.Match[str]) -> str:
        lines = texts[place[2]].rstrip().strip("\n").split("\n")
        return "\n".join(place[1] + line.removeprefix(" " * 8) for line in lines)

    if method.__doc__:  # there is none under python -OO
        method.__doc__ = _PLACE.sub(text, method.__doc__)
    return method
