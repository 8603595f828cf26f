"""What shards and slices are for: one row matters to one shard, from one slice on, and costs no more than that."""

from __future__ import annotations

import re
from typing import Any
from unittest import SkipTest

import numpy as np

from mlunlearn.checks.data import Problem
from mlunlearn.checks.harness import after, check, learn, need_shards, require, rows_shown, shards_of, watch
from mlunlearn.checks.state import learned_state, state_differences

FOLLOWS_ROWS = ("_forgotten", "allocation_", "_checksums", "_shard_classes", "_spent")
"""State that names or fingerprints the rows themselves, not what was learned from them."""


def _changed_elsewhere(got: Any, expected: Any, allowed: dict[int, int]) -> dict[str, str]:
    """Compare two models, but for the checkpoints of some shards from a slice on."""

    def may_differ(path: str) -> bool:
        place = re.match(r"checkpoints_\[(\d+)\]\[(\d+)\]", path)
        if place is None:
            return path.startswith(FOLLOWS_ROWS)
        shard, part = map(int, place.groups())
        return part >= allowed.get(shard, np.inf)

    differing = state_differences(learned_state(got), learned_state(expected))
    return {path: how for path, how in differing.items() if not may_differ(path)}


def _moved(values: np.ndarray) -> np.ndarray:
    return values * 2.0 + 1.0


def _spare_row(model: Any, problem: Problem, shard: int, part: int) -> int | None:
    """Return a row of a slice that is not the last of its class in the shard."""
    rows = model.allocation_.rows(shard)
    for row in rows[model.allocation_.slice[rows] == part].tolist():
        if not problem.labelled or (problem.y[rows] == problem.y[row]).sum() > 1:
            return row
    return None


@check
def check_isolation(estimator: Any, problem: Problem) -> None:
    """Check that a row changes its own shard alone, from its slice on; what crosses shards is never unlearned."""
    model = learn(estimator, problem)
    need_shards(model)
    last = model.n_slices_ - 1
    edited = {0: (last, _spare_row(model, problem, 0, last))}
    if model.n_shards_ > 2:
        edited[1] = (0, _spare_row(model, problem, 1, 0))
    allowed = {shard: part for shard, (part, row) in edited.items() if row is not None}
    rows = np.array([row for _, row in edited.values() if row is not None], dtype=int)
    if not len(rows):
        raise SkipTest("every row is the last of its class in its shard")
    other = learn(estimator, problem.with_rows(rows, X=problem.others(rows, _moved)))
    leaked = _changed_elsewhere(other, model, allowed)
    lines = [f"  {path}: {how}" for path, how in list(leaked.items())[:6]]
    what = f"Other values in rows {rows} (shards {list(allowed)}) changed more than their shards from their slices on:"
    require(not leaked, "\n".join([what, *lines, "Compute nothing over several shards; put it inside the estimator."]))


@check
def check_one_request_touches_one_shard(estimator: Any, problem: Problem) -> None:
    """Check that forgetting a row retrains its shard from its slice on and nothing else; that is what shards buy."""
    model = learn(estimator, problem, n_jobs=1)
    need_shards(model)
    part = model.n_slices_ - 1
    for shard, rows in {0: shards_of(model)[0], model.n_shards_ - 1: shards_of(model)[-1]}.items():
        row = _spare_row(model, problem, shard, part)
        if row is None:
            continue
        with watch(estimator) as calls:
            other = after(model, [row])
        changed = _changed_elsewhere(other, model, {shard: part})
        require(
            not changed,
            f"Forgetting row {row} (shard {shard}, slice {part}) changed {list(changed)[:6]}; leave other shards, and "
            "the checkpoints before the slice, as they are.",
        )
        strangers = np.setdiff1d(np.flatnonzero(rows_shown(calls, problem)), rows)
        require(
            not len(strangers),
            f"Forgetting row {row} of shard {shard} showed rows {strangers} of other shards to the estimator.",
        )


@check
def check_receipts_count_the_work(estimator: Any, problem: Problem) -> None:
    """Check the cost in the receipt against a recount of the rows shown to the estimator inside; it is a promise.

    A method that is exact to the bit says the very number; others are off by a factor of two at most.
    """
    exact = getattr(estimator, "exactness", None) == "bits"
    rows = problem.draw(5, seed=40)
    model = learn(estimator, problem, n_jobs=1)
    with watch(estimator) as served:
        work = model.unlearn(rows).receipts_[-1].work
    with watch(estimator) as whole:
        learn(estimator, problem, exclude=rows, n_jobs=1)
    if not served:
        raise SkipTest("unlearn does not train the estimator inside")
    for name, calls in (("samples", served), ("full", whole)):
        counted = sum(call.samples for call in calls)
        told = getattr(work, name)
        near = told == counted if exact else counted / 2 <= told <= 2 * counted
        require(near, f"the receipt says work.{name}={told}, the estimator inside was shown {counted} rows.")


@check
def check_cost_follows_the_formula(estimator: Any, problem: Problem) -> None:
    """Check that forgetting one row costs, on average, the share of its shard that the theory of slices says.

    With R slices that is ``2/3 + 1/(3R)`` of the shard's training where every slice goes over the union of those before
    it, and ``1/2 + 1/(2R)`` where it adds its own rows alone.
    """
    model = learn(estimator, problem)
    need_shards(model)
    shard = int(np.argmax([len(rows) for rows in shards_of(model)]))
    parts = [_spare_row(model, problem, shard, part) for part in range(model.n_slices_)]
    if any(row is None for row in parts):
        raise SkipTest("a slice has no row that its shard can spare")
    sizes = model.allocation_.counts(slice(None))[shard]
    works = [after(model, [row]).receipts_[-1].work for row in parts]
    shares = [work.samples / (work.full * sizes.sum() / len(problem)) for work in works]
    share = np.average(shares, weights=sizes)
    low, high = 1 / 2 + 1 / (2 * model.n_slices_), 2 / 3 + 1 / (3 * model.n_slices_)
    room = model.n_slices_ / sizes.sum()  # slices differ by a row, and budgets are rounded to rows
    require(
        low - room <= share <= high + room,
        f"one row costs {share:.2f} of its shard on average over {model.n_slices_} slices, expected {low:.2f} to "
        f"{high:.2f}; restart from the checkpoint before the row's slice, not earlier, and in its shard alone.",
    )
