"""Random labels: never the true one, uniform among the others, fixed or drawn anew."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from mlunlearn.approximate import RandomLabelClassifier
from mlunlearn.approximate.wrong_labels import WrongLabels
from mlunlearn.networks import Batch, Rows

ROWS = np.arange(30)


def batch_of(y, forget):
    rows = torch.arange(len(y))
    return Batch(torch.zeros(len(y), 1), torch.as_tensor(y), rows, torch.as_tensor(forget))


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 7), st.integers(0, 2**31), st.data())
def test_a_wrong_label_is_wrong_and_retained_labels_stay(n_classes, seed, data):
    y = np.array(data.draw(st.lists(st.integers(0, n_classes - 1), min_size=1, max_size=40)))
    forget = np.array(data.draw(st.lists(st.booleans(), min_size=len(y), max_size=len(y))))
    never = () if n_classes < 4 else (0, 1)
    if never:
        y[forget] %= 2  # as in a request for two classes
    draw = WrongLabels(Rows(np.flatnonzero(forget), read=None), n_classes, seed, never=never)
    found = draw(batch_of(y, forget)).numpy()
    assert (found[~forget] == y[~forget]).all()
    assert (found[forget] != y[forget]).all()
    assert not np.isin(found[forget], never).any()
    assert ((found >= 0) & (found < n_classes)).all()


def test_wrong_labels_are_uniform():
    """A chi-square test that fails by chance once in a thousand draws; the draw is fixed."""
    n = 30_000
    draw = WrongLabels(Rows(np.arange(n), read=None), 5, seed=0)
    found = draw(batch_of(np.full(n, 2), np.ones(n, dtype=bool))).numpy()
    counts = np.bincount(found, minlength=5)
    assert counts[2] == 0
    assert chisquare(counts[[0, 1, 3, 4]]).pvalue > 1e-3


def labels_learned(model, monkeypatch, **request):
    """Labels that each row is learned with, pass by pass."""
    seen = {}
    original = RandomLabelClassifier._edit

    def edit(self, module, forget, retain, run):
        inside, outputs, rows = run.criterion, run.outputs, []
        run.outputs = lambda module, batch: (rows.append(batch.rows), outputs(module, batch))[1]

        def note(logits, labels):
            for row, label in zip(rows[-1].tolist(), labels.tolist(), strict=True):
                seen.setdefault(row, []).append(label)
            return inside(logits, labels)

        run.criterion = note
        return original(self, module, forget, retain, run)

    monkeypatch.setattr(RandomLabelClassifier, "_edit", edit)
    model.unlearn(**request)
    return seen


@pytest.mark.parametrize("successive", [False, True])
def test_labels_are_drawn_once_or_anew_for_each_pass(successive, frozen, blobs, monkeypatch):
    X, y, *_ = blobs
    model = RandomLabelClassifier(frozen, max_epochs=6, successive=successive, random_state=0).fit(X, y)
    learned = labels_learned(model, monkeypatch, forget_idx=ROWS)
    assert all(len(learned[row]) == 6 for row in range(120))
    assert all(learned[row] == [y[row]] * 6 for row in range(30, 120))
    assert all(y[row] not in learned[row] for row in ROWS)
    several = [row for row in ROWS if len(set(learned[row])) > 1]
    assert len(several) == 0 if not successive else len(several) > 20


def test_no_row_of_a_forgotten_class_is_called_by_another_forgotten_class(frozen, blobs, monkeypatch):
    X, y, *_ = blobs
    model = RandomLabelClassifier(frozen, random_state=0).fit(X, y)
    learned = labels_learned(model, monkeypatch, classes=[0, 2])
    assert all(set(labels) == {1} for labels in learned.values())


def test_the_network_learns_the_wrong_labels(frozen, blobs):
    X, y, *_ = blobs
    model = RandomLabelClassifier(frozen, max_epochs=60, lr=0.02, random_state=0).fit(X, y)
    before = (model.predict(X[ROWS]) == y[ROWS]).mean()
    assert (model.unlearn(ROWS).predict(X[ROWS]) == y[ROWS]).mean() < before - 0.2


def test_published_settings(frozen):
    model = RandomLabelClassifier.published(frozen)
    assert (model.max_epochs, model.lr, model.batch_size) == (3, 1e-4, 128)
