"""What fit and unlearn leave alone, and what a fit does not depend on."""

from __future__ import annotations

import copy
import random
import sys
from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import clone

from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import after, check, estimator_inside, learn, require, start
from mlunlearn.checks.state import assert_same_state, flatten_state, learned_state
from mlunlearn.training.seeds import set_seed


@check
def check_arguments_are_left_alone(estimator: Any, problem: Problem) -> None:
    """Check that fit and unlearn change neither the estimator nor the arrays they were given: they are the user's."""
    model = start(estimator)
    given = {"params": model.get_params(deep=False), "X": problem.X, "y": problem.y}
    before = flatten_state(given)
    model.fit(problem.X, problem.y)
    assert_same_state(flatten_state(given), before, "fit changed what it was given; work on a clone and on copies.")
    model.unlearn(problem.draw(3, seed=8))
    assert_same_state(flatten_state(given), before, "unlearn changed what fit was given; work on copies.")


@check
def check_random_states_are_left_alone(estimator: Any, problem: Problem) -> None:
    """Check that the global random generators are untouched; else a request changes the user's next experiment."""
    model = start(estimator)
    for call in (lambda: model.fit(problem.X, problem.y), lambda: model.unlearn(problem.draw(2, seed=9))):
        before = _random_states()
        call()
        message = "A global random generator was used; draw from generators of your own, seeded by random_state."
        assert_same_state(_random_states(), before, message)


def _random_states() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    states = {"numpy.random": np.random.get_state(legacy=False), "random": random.getstate()}  # noqa: NPY002
    return flatten_state(states if torch is None else {**states, "torch": torch.get_rng_state()})


@check
def check_clone_and_refit(estimator: Any, problem: Problem) -> None:
    """Check that nothing of an earlier fit survives clone or fit, forgotten rows and receipts included."""
    fresh = learned_state(learn(estimator, problem))
    used = learn(estimator, problem).unlearn(problem.draw(2, seed=10))
    twin = clone(used)
    require(not hasattr(twin, "forgotten_"), "clone brought fitted attributes along; keep __init__ to its parameters.")
    assert_same_state(learned_state(twin.fit(problem.X, problem.y)), fresh, "A clone learned something else.")
    assert_same_state(learned_state(used.fit(problem.X, problem.y)), fresh, "A second fit remembers the first.")
    require(list(used.receipts_) == [], "the receipts of an earlier fit survived a second one.")


@check
def check_seeds(estimator: Any, problem: Problem) -> None:
    """Check that one seed gives one model and another seed another: no run can be repeated, or averaged, otherwise."""
    model = learn(estimator, problem)
    assert_same_state(
        learned_state(learn(estimator, problem)), learned_state(model), "Two fits with the same random_state differ."
    )
    if "random_state" not in model.get_params(deep=False):
        raise SkipTest(f"{type(model).__name__} takes no random_state")
    if getattr(model, "n_shards_", 1) == 1 and not _draws(estimator_inside(estimator), problem):
        raise SkipTest("the estimator inside does not depend on its seed")
    other = _learned_numbers(learn(estimator, problem, random_state=1))
    require(other != _learned_numbers(model), "random_state=0 and random_state=1 gave the same model; pass it on.")


def _draws(inner: Any, problem: Problem) -> bool:
    twins = [set_seed(copy.deepcopy(inner), seed).fit(problem.X, problem.y) for seed in (0, 1)]
    return _learned_numbers(twins[0]) != _learned_numbers(twins[1])


def _learned_numbers(model: Any) -> list[bytes]:
    leaves = learned_state(model).values()
    return [leaf.tobytes() for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"]


@check
def check_n_jobs_changes_no_bit(estimator: Any, problem: Problem) -> None:
    """Check that a model does not depend on how many processes trained it."""
    if "n_jobs" not in estimator.get_params(deep=False):
        raise SkipTest(f"{type(estimator).__name__} takes no n_jobs")
    rows = problem.draw(6, seed=11)
    one, two = (after(learn(estimator, problem, n_jobs=n_jobs), rows) for n_jobs in (1, 2))
    assert_same_state(learned_state(two), learned_state(one), "n_jobs=2 gave another model than n_jobs=1.")
