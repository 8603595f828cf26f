"""Shrink and perturb, and its limits."""

import pytest
from sklearn.frozen import FrozenEstimator

from mlunlearn.regression import FineTuneRegressor, ShrinkPerturbRegressor


@pytest.mark.parametrize("wrong", [{"keep": -0.1}, {"budget": 0.0}])
def test_shrinking_too_far_or_for_nothing_is_refused(wrong, patients, frozen):
    X, y, _ = patients
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShrinkPerturbRegressor(frozen, random_state=0, **wrong).fit(X, y)


def test_keeping_nothing_is_training_anew(patients, mlp, threefold, module_of, same_weights):
    X, y, gone = patients
    one, two = (
        ShrinkPerturbRegressor(FrozenEstimator(net), keep=0.0, random_state=0).fit(X, y).unlearn(gone)
        for net in (mlp, threefold)
    )
    assert same_weights(module_of(one), module_of(two))


def test_keeping_everything_is_continued_training(patients, frozen, module_of, same_weights):
    X, y, gone = patients
    same = {"n_steps": 10, "lr": 1e-2, "random_state": 0}
    shrunken = ShrinkPerturbRegressor(frozen, keep=1.0, **same).fit(X, y).unlearn(gone)
    continued = FineTuneRegressor(frozen, decay=True, batch_size=None, **same).fit(X, y).unlearn(gone)
    assert same_weights(module_of(shrunken), module_of(continued))
