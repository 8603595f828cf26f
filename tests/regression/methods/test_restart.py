"""Restarts, the control: nothing of the trained weights, and as many samples as the others read."""

from sklearn.frozen import FrozenEstimator

from mlunlearn.regression import FineTuneRegressor, RestartRegressor, ShrinkPerturbRegressor


def test_a_restart_keeps_nothing_of_the_trained_weights(patients, mlp, threefold, module_of, same_weights):
    X, y, gone = patients
    one, two = (
        RestartRegressor(FrozenEstimator(net), random_state=0).fit(X, y).unlearn(gone) for net in (mlp, threefold)
    )
    assert same_weights(module_of(one), module_of(two))
    assert (one.guarantee, one.exactness) == ("approximate", None)
    assert (RestartRegressor(mlp).guarantee, RestartRegressor(mlp).exactness) == ("exact", "influence")


def test_a_restart_owes_nothing_to_a_forgotten_row(patients, mlp, module_of, same_weights):
    """Whatever stood in them: other targets of the rows to forget change no bit."""
    X, y, gone = patients
    other = y.copy()
    other[gone] *= -3
    one, two = (RestartRegressor(mlp, random_state=0).fit(X, targets).unlearn(gone) for targets in (y, other))
    assert same_weights(module_of(one), module_of(two))


def test_controls_read_as_many_samples(patients, mlp):
    X, y, gone = patients
    trained = FrozenEstimator(mlp)
    models = (
        ShrinkPerturbRegressor(trained, random_state=0),
        RestartRegressor(trained, random_state=0),
        FineTuneRegressor(trained, budget=0.18, decay=True, batch_size=None, random_state=0),
    )
    read = [model.fit(X, y).unlearn(gone).receipts_[-1].work.samples for model in models]
    assert read[0] == read[1] == read[2] > 0
