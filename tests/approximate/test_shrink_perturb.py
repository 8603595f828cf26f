"""Shrink and perturb: between fine-tuning and training anew."""

import numpy as np
import pytest
import torch

from mlunlearn.approximate import FineTuneClassifier, RestartClassifier, ShrinkPerturbClassifier

ROWS = np.arange(30)
SETTINGS = {"n_steps": 6, "lr": 0.01, "random_state": 0}


@pytest.mark.parametrize(
    ("keep", "other", "options"), [(1.0, FineTuneClassifier, {"decay": True}), (0.0, RestartClassifier, {})]
)
def test_the_limits_are_the_two_controls_to_the_bit(keep, other, options, frozen, blobs, module_of, same_weights):
    X, y, *_ = blobs
    model = ShrinkPerturbClassifier(frozen, keep=keep, **SETTINGS).fit(X, y).unlearn(ROWS)
    control = other(frozen, **options, **SETTINGS).fit(X, y).unlearn(ROWS)
    assert same_weights(module_of(model), module_of(control))


def test_it_starts_on_the_line_between_the_trained_and_the_untrained_weights(frozen, trained, blobs, module_of):
    X, y, *_ = blobs
    still = {**SETTINGS, "lr": 1e-12}
    weights = {
        keep: torch.cat([p.flatten() for p in module_of(model.unlearn(ROWS)).parameters()])
        for keep in (0.0, 0.3, 1.0)
        for model in [ShrinkPerturbClassifier(frozen, keep=keep, **still).fit(X, y)]
    }
    torch.testing.assert_close(weights[0.3], 0.3 * weights[1.0] + 0.7 * weights[0.0])
    torch.testing.assert_close(weights[1.0], torch.cat([p.flatten() for p in trained.net_.module_.parameters()]))


@pytest.mark.parametrize("keep", [-0.1, 1.5, float("nan")])
def test_a_share_outside_is_refused(keep, frozen, blobs):
    with pytest.raises(ValueError, match="keep"):
        ShrinkPerturbClassifier(frozen, keep=keep).fit(*blobs[:2])
