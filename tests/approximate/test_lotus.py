"""LoTUS: the temperature follows the accuracies, and the samples follow the teacher."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from mlunlearn.approximate import LoTUSClassifier
from mlunlearn.approximate.lotus import smoothed

ROWS = np.arange(30)


def details(model):
    return model.receipts_[-1].work.details


def test_the_temperature_is_the_exponential_of_the_difference_in_accuracy(frozen, trained, blobs):
    X, y, X_other, y_other = blobs
    model = LoTUSClassifier(frozen, alpha=3.0, random_state=0).fit(X, y, held_out=(X_other, y_other)).unlearn(ROWS)
    found = details(model)
    assert found["target_accuracy"] == trained.score(X_other, y_other)
    assert found["forget_accuracy"][0] == trained.score(X[ROWS], y[ROWS])
    expected = [np.exp(3.0 * (a - found["target_accuracy"])) for a in found["forget_accuracy"]]
    np.testing.assert_allclose(found["temperature"], expected[: len(found["temperature"])])


def test_it_stops_before_the_first_pass_where_nothing_is_memorised(frozen, blobs, module_of, same_weights, trained):
    X, y, X_other, _ = blobs
    wrong = np.where(np.isin(np.arange(len(y)), ROWS), (trained.predict(X) + 1) % 3, y)
    held_out = (X_other, trained.predict(X_other))
    model = LoTUSClassifier(frozen, random_state=0).fit(X, wrong, held_out=held_out).unlearn(ROWS)
    assert details(model) == {"target_accuracy": 1.0, "forget_accuracy": [0.0], "temperature": []}
    assert same_weights(module_of(model), trained.net_.module_)
    assert model.receipts_[-1].work.samples == 30 + len(X_other)


def test_the_target_is_nought_for_a_class_and_guessing_without_held_out_rows(frozen, blobs):
    X, y, X_other, y_other = blobs
    fitted = LoTUSClassifier(frozen, random_state=0).fit(X, y, held_out=(X_other, y_other))
    assert details(fitted.unlearn(classes=[1]))["target_accuracy"] == 0
    assert details(LoTUSClassifier(frozen, random_state=0).fit(X, y).unlearn(ROWS))["target_accuracy"] == 1 / 3


def test_predictions_on_rows_to_forget_are_less_certain_afterwards(frozen, trained, blobs):
    X, y, *_ = blobs
    model = LoTUSClassifier(frozen, lr=5e-3, max_epochs=10, random_state=0).fit(X, y).unlearn(ROWS)
    drop = trained.predict_proba(X).max(axis=1) - model.predict_proba(X).max(axis=1)
    assert drop[:30].mean() > max(0, drop[30:].mean())


def test_classes_are_drawn_with_the_probabilities_of_the_teacher():
    """A chi-square test that fails by chance once in a thousand draws; the draw is fixed."""
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0])
    noise = torch.Generator().manual_seed(0)
    drawn = smoothed(logits.repeat(20_000, 1), torch.zeros(20_000, dtype=torch.bool), 1.0, noise)
    expected = 20_000 * logits.double().softmax(dim=0).numpy()
    assert chisquare(drawn.sum(dim=0).double().numpy(), expected * 20_000 / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize(("temperature", "largest"), [(1e6, 0.25), (1e-6, 1.0)])
def test_limits_of_the_temperature(temperature, largest):
    taught = smoothed(
        torch.randn(50, 4), torch.ones(50, dtype=torch.bool), temperature, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(taught.max(dim=1).values, torch.full((50,), largest), atol=1e-3, rtol=0)
    torch.testing.assert_close(taught.sum(dim=1), torch.ones(50))
