"""The whole suite over our own unlearners and the estimators people put inside them."""

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetRegressor

from mlunlearn import Retrain, SISAClassifier, SISARegressor, make_unlearning_pipeline
from mlunlearn._testing import small_net
from mlunlearn.checks import parametrize_with_unlearner_checks

SHARDS = {"n_shards": 4, "random_state": 0}
SLICES = {"n_shards": 3, "n_slices": 3, "max_epochs": 3, "random_state": 0}

ESTIMATORS = [
    Retrain(LogisticRegression(), random_state=0),
    Retrain(RandomForestClassifier(n_estimators=4), random_state=0),
    SISAClassifier(LogisticRegression(), **SHARDS),
    SISAClassifier(LogisticRegression(warm_start=True), **SLICES),
    SISAClassifier(SGDClassifier(), **SLICES),
    SISARegressor(SGDRegressor(), **SLICES),
    SISARegressor(Ridge(), **SHARDS),
    SISAClassifier(GaussianNB(), aggregation="mean", **SLICES),
    SISAClassifier(DecisionTreeClassifier(), **SHARDS),
    SISAClassifier(RandomForestClassifier(n_estimators=4), **SHARDS),
    SISAClassifier(RandomForestClassifier(n_estimators=6, warm_start=True), **SLICES),
    SISAClassifier(MLPClassifier((6,)), **SLICES),
    SISAClassifier(MLPClassifier((6,), solver="sgd", momentum=0.9), **SLICES),
    SISAClassifier(HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3), **SHARDS),
    SISAClassifier(make_pipeline(StandardScaler(), LogisticRegression()), **SHARDS),
    make_unlearning_pipeline(Normalizer(), SISAClassifier(SGDClassifier(), **SLICES)),
]
NETS = [
    SISAClassifier(small_net(max_epochs=3), **SLICES),
    SISARegressor(small_net(NeuralNetRegressor, max_epochs=3), **SLICES),
    Retrain(small_net(max_epochs=3), random_state=0),
]


@parametrize_with_unlearner_checks(ESTIMATORS)
def test_estimators(estimator, check):
    check(estimator)


@pytest.mark.torch
@parametrize_with_unlearner_checks(NETS)
def test_nets(estimator, check):
    check(estimator)
