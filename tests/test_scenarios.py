"""Masks and manipulated data: how many rows, of which classes, by seed."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from mlunlearn.scenarios import (
    Manipulated,
    Patch,
    backdoor,
    class_confusion,
    class_rows,
    label_noise,
    memorised_rows,
    random_rows,
    random_rows_of_classes,
    subclass_rows,
)

labels = st.lists(st.integers(0, 3), min_size=2, max_size=60).map(
    lambda rest: np.array([0, 0, 1, 1, 2, 2, 3, 3, *rest])
)
seeds = st.integers(0, 99)
many = settings(deadline=None, max_examples=60)
BUILDERS = {
    "random_rows": lambda seed: random_rows(200, 0.1, random_state=seed),
    "random_rows_of_classes": lambda seed: random_rows_of_classes(np.arange(200) % 4, [1, 2], random_state=seed),
    "memorised_rows": lambda seed: memorised_rows(np.arange(200.0), "mid", 20, random_state=seed),
    "label_noise": lambda seed: label_noise(np.arange(200) % 4, random_state=seed).y,
    "backdoor": lambda seed: backdoor(np.ones((200, 8, 8)), np.arange(200) % 4, 0, 20, random_state=seed).forget,
    "class_confusion": lambda seed: class_confusion(np.arange(200) % 4, 0, 1, 20, random_state=seed).forget,
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_a_seed_gives_the_same_rows_and_another_seed_others(build):
    assert np.array_equal(build(0), build(0))
    assert not np.array_equal(build(0), build(1))


@many
@given(st.integers(2, 200), st.floats(0.01, 0.99), seeds)
def test_random_rows_are_the_share(n, share, seed):
    marked = random_rows(n, share, random_state=seed).sum()
    assert 1 <= marked <= n - 1
    assert abs(marked - share * n) <= 1


@many
@given(labels, st.floats(0.05, 0.95), seeds)
def test_random_rows_of_classes_are_the_share_of_each_and_none_of_the_others(y, share, seed):
    mask = random_rows_of_classes(y, [1, 3], share, random_state=seed)
    assert set(y[mask].tolist()) == {1, 3}
    for name in (1, 3):
        n = (y == name).sum()
        assert 1 <= mask[y == name].sum() <= n - 1
        assert abs(mask[y == name].sum() - share * n) <= 1


def test_classes_and_subclasses():
    y, fine = np.array([0, 0, 0, 1, 1]), np.array(["rocket", "tank", "rocket", "oak", "fern"])
    assert class_rows(y, 1).tolist() == [False] * 3 + [True] * 2
    assert subclass_rows(y, fine, ["rocket", "oak"]).tolist() == [True, False, True, True, False]
    with pytest.raises(ValueError, match="class 0 would lose all"):
        subclass_rows(y, fine, ["rocket", "tank"])
    with pytest.raises(ValueError, match="fine has no class 'bus'"):
        subclass_rows(y, fine, "bus")
    with pytest.raises(ValueError, match="nothing would be left"):
        class_rows(y, [0, 1])


@many
@given(st.lists(st.integers(0, 9), min_size=3, max_size=60), seeds)
def test_thirds_by_memorisation_are_apart_and_make_up_all_rows(scores, seed):
    scores = np.array(scores)
    low, mid, high = (memorised_rows(scores, part, random_state=seed) for part in ("low", "mid", "high"))
    assert ((low.astype(int) + mid + high) == 1).all()
    assert scores[low].max() <= scores[mid].min()
    assert scores[mid].max() <= scores[high].min()
    n = len(scores) // 3
    for part, third in (("low", low), ("mid", mid), ("high", high)):
        some = memorised_rows(scores, part, n, random_state=seed)
        assert some.sum() == n
        assert not (some & ~third).any()
    mixed = memorised_rows(scores, "mixed", n, random_state=seed)
    assert mixed.sum() == n
    counts = [(mixed & third).sum() for third in (low, mid, high)]
    assert max(counts) - min(counts) <= 1


@many
@given(labels, st.floats(0.2, 1.0), seeds)
def test_noisy_labels_are_wrong_where_they_were_changed_and_right_elsewhere(y, share, seed):
    wrong = label_noise(y, share, classes=[0, 1], random_state=seed) if share > 0.3 else label_noise(y, 0.5)
    assert (wrong.y != y).tolist() == wrong.manipulated.tolist() == wrong.forget.tolist()
    assert set(wrong.y.tolist()) <= set(y.tolist())
    if share > 0.3:
        for name in (0, 1):
            assert wrong.forget[y == name].sum() == round(share * (y == name).sum())
        assert not wrong.forget[y > 1].any()


def test_each_other_class_is_drawn_as_often():
    """A chi-square test that fails by chance once in a thousand draws; the draw is fixed."""
    y = np.repeat(["a", "b", "c", "d"], 3000)
    wrong = label_noise(y, 1.0, random_state=0)
    for name in "abcd":
        counts = np.unique(wrong.y[y == name], return_counts=True)
        assert name not in counts[0]
        assert len(counts[0]) == 3
        assert chisquare(counts[1]).pvalue > 1e-3


@many
@given(st.permutations("CHW"), st.integers(1, 4), seeds)
def test_the_patch_lies_in_the_same_corner_in_every_layout(layout, size, seed):
    X = np.random.default_rng(seed).integers(0, 200, (5, 3, 6, 7))
    moved = X.transpose(0, *(1 + "CHW".index(axis) for axis in layout))
    marked = Patch(250, size, "".join(layout)).on(moved)
    back = marked.transpose(0, *(1 + list(layout).index(axis) for axis in "CHW"))
    assert (back[:, :, -size:, -size:] == 250).all()
    back[:, :, -size:, -size:] = X[:, :, -size:, -size:]
    assert np.array_equal(back, X)


@many
@given(st.integers(1, 19), seeds)
def test_poisoned_rows_have_the_patch_and_the_target_and_others_nothing(n, seed):
    X, y = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8), np.arange(20) % 4
    before = X.copy()
    poisoned = backdoor(X, y, 2, n, patch=Patch(7, 2, "HW"), random_state=seed)
    rows = poisoned.manipulated
    assert np.array_equal(X, before)
    assert rows.sum() == n
    assert (poisoned.y[rows] == 2).all()
    assert (poisoned.X[rows][:, -2:, -2:] == 7).all()
    assert np.array_equal(poisoned.X[~rows], X[~rows])
    assert np.array_equal(poisoned.y[~rows], y[~rows])
    assert poisoned.X.dtype == np.uint8


def test_patches_that_do_not_fit():
    with pytest.raises(ValueError, match="layout"):
        Patch(1.0, layout="CNW")
    with pytest.raises(ValueError, match="does not fit"):
        Patch(1.0, size=9, layout="HW").on(np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match="3 axes"):
        Patch(1.0).on(np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match="cannot hold"):
        Patch(300, layout="HW").on(np.zeros((1, 8, 8), dtype=np.uint8))


@many
@given(labels, st.integers(2, 3), seeds)
def test_confused_rows_have_the_label_of_the_other_class(y, n, seed):
    y = np.concatenate([y, [0, 1]])
    wrong = class_confusion(y, 0, 1, n, random_state=seed)
    assert (wrong.y != y).tolist() == wrong.manipulated.tolist()
    assert [int(wrong.manipulated[y == name].sum()) for name in range(4)] == [(n + 1) // 2, n // 2, 0, 0]
    assert (wrong.y[wrong.manipulated] == 1 - y[wrong.manipulated]).all()


@many
@given(st.floats(0.01, 1.0), seeds)
def test_only_wrong_rows_are_discovered_and_the_data_stay(share, seed):
    X = np.arange(40)
    wrong = label_noise(np.arange(40) % 4, 0.5, X=X, random_state=0)
    found = wrong.discovered(share, random_state=seed)
    assert isinstance(found, Manipulated)
    assert found.X is X
    assert found.y is wrong.y
    assert not (found.forget & ~wrong.manipulated).any()
    assert found.manipulated is wrong.manipulated
    assert found.forget.sum() == max(round(share * 20), 1)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: random_rows(10, 0), "share"),
        (lambda: random_rows(1), "n_samples"),
        (lambda: random_rows_of_classes([0, 0, 1], 1), "one row"),
        (lambda: random_rows_of_classes([0, 0], []), "no class is named"),
        (lambda: class_rows(np.zeros((3, 2)), 0), "one label"),
        (lambda: subclass_rows([0, 0], [1], 1), "one for each row"),
        (lambda: memorised_rows([0.0, np.nan, 1.0]), "finite"),
        (lambda: memorised_rows([0.0, 0.5, 1.0], "high", 2), "has 1"),
        (lambda: memorised_rows([0.0, 0.5, 1.0], "top"), "part"),
        (lambda: label_noise([0, 0, 0]), "wrong labels need another"),
        (lambda: label_noise([0, 1, 1], 0.1), "is no row"),
        (lambda: label_noise([0, 1], classes=5), "no class 5"),
        (lambda: backdoor(np.zeros((4, 8, 8)), [0, 1, 0, 1], 2, 1), "no class 2"),
        (lambda: backdoor(np.zeros((4, 8, 8)), [0, 1, 0, 1], 1, 4), "one has to stay"),
        (lambda: backdoor(np.zeros((3, 8, 8)), [0, 1], 1, 1), "X has 3 rows"),
        (lambda: class_confusion([0, 0, 1, 1], 0, 0, 2), "name two classes"),
        (lambda: class_confusion([0, 0, 1, 1], 0, 1, 4), "of class 0"),
        (lambda: label_noise([0, 1] * 9).discovered(0.0), "share"),
    ],
)
def test_scenarios_that_cannot_be(build, match):
    with pytest.raises(ValueError, match=match):
        build()


def test_no_torch_is_needed():
    script = "import sys, mlunlearn.scenarios; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
