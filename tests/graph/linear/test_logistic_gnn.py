"""The logistic head: against scikit-learn's solver and fits from scratch."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from mlunlearn.graph import SGC, LogisticGNN, stochastic_block_model


def test_scikit_learn_finds_the_same_weights():
    data = stochastic_block_model([50, 50, 50], n_features=6, random_state=0)
    model = LogisticGNN(SGC(2), alpha=0.01).fit(data)
    rows = data.train_mask.numpy()
    z, y = model._propagated.features(np.flatnonzero(rows)), data.y.numpy()[rows]
    for label in model.classes_:
        reference = LogisticRegression(C=1 / (0.01 * len(y)), fit_intercept=False, tol=1e-10, max_iter=5000)
        np.testing.assert_allclose(model.coef_[label], reference.fit(z, y == label).coef_[0], rtol=0, atol=1e-5)


def test_a_warm_start_needs_fewer_steps_and_ends_where_a_fit_ends():
    data = stochastic_block_model([200, 200, 200], n_features=10, random_state=0)
    model = LogisticGNN(alpha=1e-3).fit(data).unlearn([1])
    fresh = LogisticGNN(alpha=1e-3).fit(data, exclude=[1])
    assert np.abs(model.coef_ - fresh.coef_).max() < 2e-7  # what the guarantee says
    assert model.receipts_[-1].work.share < 0.7


def test_more_features_than_labelled_nodes():
    data = stochastic_block_model([15, 15], n_features=40, random_state=0)
    model, fresh = LogisticGNN(alpha=0.01).fit(data).unlearn([1, 20]), LogisticGNN(alpha=0.01)
    assert np.abs(model.coef_ - fresh.fit(data, exclude=[1, 20]).coef_).max() < 1e-8
