"""Evidence that a model has forgotten: train one without the forgotten rows, and compare every number."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from mlunlearn.base import UnlearnerMixin
from mlunlearn.checks.rounding import beyond_rounding, tolerance_of
from mlunlearn.checks.state import State, learned_state, state_differences

TOLD = 3  # differences that are spelled out


@dataclass(frozen=True)
class Verification:
    """What comparing a model with one that never saw the forgotten rows has shown; true if they are equal.

    Parameters
    ----------
    differences : mapping of str to str
        Parts of the state that differ, and how.
    n_numbers : int
        Numbers that were compared.
    n_forgotten, n_retained : int
        Rows that the model has forgotten, and rows that the other one was trained on.
    seconds : float
        Time that training the other model took.
    tolerance : float, default=0.0
        Rounding that the method states, as a share of the largest number of a part; 0 where it promises the same bits.

    Examples
    --------
    >>> from mlunlearn.verification import Verification
    >>> bool(Verification({"coef_": "1 of 4 values differ"}, n_numbers=4, n_forgotten=1, n_retained=9, seconds=0.1))
    False
    """

    differences: Mapping[str, str]
    n_numbers: int
    n_forgotten: int
    n_retained: int
    seconds: float
    tolerance: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.equal

    def __str__(self) -> str:
        """A sentence for people."""
        other = f"a model trained on the {self.n_retained:,} retained rows, without the {self.n_forgotten:,} forgotten"
        if self.equal:
            how = "to the last bit" if not self.tolerance else f"up to rounding ({self.tolerance:g})"
            return f"equal: all {self.n_numbers:,} numbers are those of {other}, {how} ({self.seconds:.3g} s)"
        lines = [f"  {path}: {how}" for path, how in list(self.differences.items())[:TOLD]]
        more = [f"  and {len(self.differences) - TOLD} more"] if len(self.differences) > TOLD else []
        return "\n".join([f"NOT equal to {other}: {len(self.differences)} part(s) of the state differ", *lines, *more])


def verify(model: Any, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> Verification:
    """Train without the forgotten rows, and compare every number of the model with the result.

    Nothing of the forgotten rows is needed: not what they held, not their targets, and not the ids of anybody.

    Parameters
    ----------
    model : unlearner
        Fitted; left as it is. Its guarantee is ``"exact"``, to the bit or up to rounding.
    X, y, sample_weight : as given to `fit`
        The retained rows alone, in order; or all rows given to `fit`, of which the forgotten ones may hold anything.
    **fit_params : dict
        What else `fit` was given and the model does not keep, such as ``deletion_probability``, for all rows. Ids are
        not among it: the model keeps which retained rows belong together.

    Returns
    -------
    Verification
        True if everything is equal; printed, it says what was compared.

    Raises
    ------
    TypeError
        If `model` is no unlearner of rows.
    ValueError
        If it does not promise equality, if the number of rows fits neither form, or if `fit` was given sample weights
        or other arguments that are missing here.
    DataChangedError
        If the retained rows are not those that the model was fitted on.

    See Also
    --------
    mlunlearn.audit.audit : For methods that are approximate, or exact in another sense.

    Notes
    -----
    The other model has the parameters that the model has now, and its seed. Cost: one fit, and a copy of the retained
    rows in memory.

    Equality shows that the model is what it would be if the rows had never been there. It does not show that they are
    gone elsewhere: backups, copies, other models, and whoever compares the models before and after.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import SISAClassifier, verify
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SISAClassifier(LogisticRegression(max_iter=500), n_shards=3, random_state=0).fit(X, y)
    >>> left = ~model.unlearn([3, 17, 60]).forgotten_
    >>> result = verify(model, X[left], y[left])
    >>> bool(result), result.n_forgotten, result.differences
    (True, 3, {})
    """
    exactness = _checked_promise(model)
    missing = [name for name in model._fit_options if name not in fit_params]
    if missing:
        raise ValueError(
            f"fit was given {missing[0]}, which the model does not keep and the other one needs: "
            f"verify(model, X, y, {missing[0]}=...), for all rows given to fit."
        )
    retained = np.flatnonzero(~model.forgotten_)
    held = copy.copy(model).attach_data(X, y, sample_weight)
    block = held._data.block(retained).spread(retained, held.n_samples_fit_)
    options = dict(fit_params)
    if block.weight is not None:
        options["sample_weight"] = block.weight
    if held._ids is not None:
        options["sample_ids"] = held._ids
    if len(retained) < held.n_samples_fit_:
        options["exclude"] = held.forgotten_
    started = perf_counter()
    never = _unfitted(model).fit(block.X, block.y, **options)
    seconds = perf_counter() - started
    tolerance = tolerance_of(model) if exactness == "rounding" else 0.0
    state, expected = _learned(held), _learned(never)
    return Verification(
        beyond_rounding(state, expected, tolerance) if tolerance else state_differences(state, expected),
        n_numbers=sum(leaf.size for leaf in state.values() if isinstance(leaf, np.ndarray)),
        n_forgotten=held.n_samples_fit_ - len(retained),
        n_retained=len(retained),
        seconds=seconds,
        tolerance=tolerance,
    )


def _checked_promise(model: Any) -> str:
    name = type(model).__name__
    if not isinstance(model, UnlearnerMixin):
        raise TypeError(
            f"verify takes a model of this package that forgets rows, got {name}; compare others with a model fitted "
            "without what was forgotten by mlunlearn.checks.learned_state and state_differences."
        )
    check_is_fitted(model, "receipts_")
    exactness = model._earned_exactness()
    if model.guarantee != "exact":
        raise ValueError(
            f"{name} is {model.guarantee}: it does not promise the model that never saw the rows, so comparing numbers "
            "shows nothing. Use mlunlearn.audit.audit(model, X_test, y_test), which compares behaviour."
        )
    if exactness not in ("bits", "rounding"):
        parts = ", ".join(getattr(model, "irreproducible_parts_", ()))
        why = f": training it twice gives two results ({parts})" if parts else ""
        raise ValueError(
            f"this {name} is exact in the sense of {exactness!r}, not to the bit{why}. Two fits without the rows may "
            "differ, so comparing numbers shows nothing; use mlunlearn.audit.audit(model, X_test, y_test)."
        )
    return exactness


def _unfitted(model: Any) -> Any:
    """Return the model as it was before `fit`, with the seeds that it drew, even if they came from a generator."""
    before = clone(model)
    for prefix, part in [("", model), *((f"{name}__", part) for name, part in model.get_params(deep=True).items())]:
        if hasattr(part, "seed_") and "random_state" in part.get_params(deep=False):
            before.set_params(**{f"{prefix}random_state": part.seed_})
    return before


def _learned(model: Any) -> State:
    """Everything but where seeds came from; the seeds themselves are compared."""
    return {path: leaf for path, leaf in learned_state(model).items() if not _is_source_of_seeds(path)}


def _is_source_of_seeds(path: str) -> bool:
    return path.startswith("random_state") or ".random_state" in path
