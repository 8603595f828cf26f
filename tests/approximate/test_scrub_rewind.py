"""SCRUB+R: SCRUB, and the pass that is gone back to."""

import copy

import numpy as np
import pytest

from mlunlearn.approximate import SCRUBClassifier, SCRUBRewindClassifier

ROWS = np.arange(30)
SETTINGS = {"lr": 0.02, "max_epochs": 8, "forget_epochs": 6, "random_state": 0}


def details(model):
    return model.receipts_[-1].work.details


def test_the_error_of_the_pass_gone_back_to_is_the_nearest(frozen, blobs):
    X, y, X_other, y_other = blobs
    model = SCRUBRewindClassifier(frozen, **SETTINGS).fit(X, y, held_out=(X_other, y_other)).unlearn(classes=[2])
    found = details(model)
    gaps = np.abs(np.subtract(found["forget_error"], found["reference_error"]))
    assert len(gaps) == 8
    assert gaps[found["rewound_to"] - 1] == gaps.min()
    assert 1 - model.score(X[y == 2], y[y == 2]) == pytest.approx(found["forget_error"][found["rewound_to"] - 1])


def test_without_going_back_it_is_scrub_to_the_bit(frozen, blobs, module_of, same_weights):
    """Held-out rows that are those to forget: their error is that of the last pass, the latest with it."""
    X, y, *_ = blobs
    model = SCRUBRewindClassifier(frozen, **SETTINGS).fit(X, y, held_out=(X[ROWS], y[ROWS])).unlearn(ROWS)
    other = SCRUBClassifier(frozen, **SETTINGS).fit(X, y).unlearn(ROWS)
    assert details(model)["rewound_to"] == 8
    assert same_weights(module_of(model), module_of(other))


def test_the_pass_gone_back_to_is_scrub_that_stopped_there(frozen, blobs, module_of, same_weights, monkeypatch):
    """The schedule of the rate is that of all passes, so the shorter run is stopped, not asked for."""
    X, y, X_other, y_other = blobs
    model = SCRUBRewindClassifier(frozen, **SETTINGS).fit(X, y, held_out=(X_other, y_other)).unlearn(classes=[2])
    snapshots, scrub = [], SCRUBClassifier._scrub

    def watched(self, module, *given, **options):
        return scrub(self, module, *given, after_pass=lambda: snapshots.append(copy.deepcopy(module)))

    monkeypatch.setattr(SCRUBClassifier, "_scrub", watched)
    SCRUBClassifier(frozen, **SETTINGS).fit(X, y).unlearn(classes=[2])
    assert same_weights(module_of(model), snapshots[details(model)["rewound_to"] - 1])


def test_the_reference_is_the_error_of_the_last_pass_on_rows_of_the_forgotten_classes(frozen, blobs):
    X, y, X_other, y_other = blobs
    model = SCRUBRewindClassifier(frozen, **SETTINGS).fit(X, y, held_out=(X_other, y_other))
    last = SCRUBClassifier(frozen, **SETTINGS).fit(X, y)
    rows = ROWS[y[ROWS] != 1]
    found, alike = details(model.unlearn(rows)), y_other != 1
    assert found["reference_error"] == pytest.approx(1 - last.unlearn(rows).score(X_other[alike], y_other[alike]))


def test_held_out_rows_without_a_class_are_refused_before_any_change(frozen, blobs):
    X, y, X_other, y_other = blobs
    kept = y_other != 1
    model = SCRUBRewindClassifier(frozen, random_state=0).fit(X, y, held_out=(X_other[kept], y_other[kept]))
    before = dict(vars(model))
    with pytest.raises(ValueError, match="held_out holds no row of class 1"):
        model.unlearn(ROWS)
    assert vars(model) == before
    assert model.unlearn(ROWS[y[ROWS] != 1]).receipts_


def test_held_out_rows_are_asked_for(frozen, blobs):
    with pytest.raises(ValueError, match="held_out"):
        SCRUBRewindClassifier(frozen).fit(*blobs[:2])
