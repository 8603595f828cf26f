"""Which samples an attack learns from and which it is judged on; groups of samples stay together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import check_random_state

# The face benchmark's own seeds: published figures depend on them.
BENCHMARK_SHUFFLE_SEED = 42
BENCHMARK_SPLIT_SEED = 0
BENCHMARK_SPLITS = 10
BENCHMARK_TEST_SIZE = 0.1

Splits = Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]


def trimmed_rows(n_forget: int, n_unseen: int, trim: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of both sides that the attack is fitted on, in the order of the published protocol."""
    rng = check_random_state(BENCHMARK_SHUFFLE_SEED)
    forget_rows, unseen_rows = np.arange(n_forget), np.arange(n_unseen)
    rng.shuffle(forget_rows)
    if trim == "both" and n_unseen > n_forget:
        rng.shuffle(unseen_rows)
        unseen_rows = unseen_rows[:n_forget]
    return forget_rows[:n_unseen], unseen_rows


def benchmark_splits(is_member: NDArray[np.bool_], groups: NDArray[np.intp] | None) -> Splits:
    """Training and held-out rows: the published random splits, or folds of whole groups."""
    if groups is None:
        smallest = min(is_member.sum(), (~is_member).sum())
        if smallest < BENCHMARK_SPLITS:
            raise ValueError(
                f"the smaller side has {smallest} samples; at least {BENCHMARK_SPLITS} are needed to hold out a tenth."
            )
        splitter = StratifiedShuffleSplit(
            BENCHMARK_SPLITS, test_size=BENCHMARK_TEST_SIZE, random_state=BENCHMARK_SPLIT_SEED
        )
        yield from splitter.split(is_member, is_member)
        return
    n_folds = min(BENCHMARK_SPLITS, groups_per_side(is_member, groups))
    fold = group_folds(is_member, groups, n_folds, check_random_state(BENCHMARK_SPLIT_SEED))
    for number in range(n_folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def joined_labels(
    of_members: ArrayLike, of_nonmembers: ArrayLike, n_members: int, n_nonmembers: int, names: tuple[str, str]
) -> NDArray:
    """Labels of both sides in one array, members first."""
    parts = [np.asarray(of_members), np.asarray(of_nonmembers)]
    for part, n, name in zip(parts, (n_members, n_nonmembers), names, strict=True):
        if part.shape != (n,):
            raise ValueError(f"{name} must have shape ({n},), one label per sample, got {part.shape}.")
    return np.concatenate(parts)


def joined_groups(
    of_members: ArrayLike | None, of_nonmembers: ArrayLike | None, n_members: int, n_nonmembers: int
) -> NDArray[np.intp] | None:
    """Group numbers of both sides, members first; None if there are no groups."""
    if of_members is None and of_nonmembers is None:
        return None
    if of_members is None or of_nonmembers is None:
        raise ValueError("groups are given for one side only; give them for both sides or for none.")
    names = ("groups of members", "groups of non-members")
    return np.unique(joined_labels(of_members, of_nonmembers, n_members, n_nonmembers, names), return_inverse=True)[1]


def groups_per_side(is_member: NDArray[np.bool_], groups: NDArray[np.intp]) -> int:
    """Number of groups on the side that has fewer, at least two."""
    fewest = min(np.unique(groups[is_member]).size, np.unique(groups[~is_member]).size)
    if fewest < 2:
        raise ValueError(f"each side needs at least two independent samples or groups to hold one out, got {fewest}.")
    return fewest


def group_folds(
    is_member: NDArray[np.bool_], groups: NDArray[np.intp], n_folds: int, rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Random fold of each row such that no group is divided and every fold has members and non-members.

    Groups are dealt out in turn: those without members first, then the mixed ones, then those of members
    only. So the groups of either side follow each other, and `n_folds` of them reach every fold.
    """
    _, codes = np.unique(groups, return_inverse=True)
    share = np.bincount(codes, weights=is_member) / np.bincount(codes)
    kind = np.floor(share) + np.ceil(share)
    order = np.lexsort((rng.permutation(kind.size), kind))
    fold = np.empty(kind.size, dtype=np.intp)
    fold[order] = np.arange(kind.size) % n_folds
    return fold[codes]
