"""scikit-learn's own checks over every public estimator."""

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetRegressor

from mlunlearn import Retrain, SISAClassifier, SISARegressor, make_unlearning_pipeline
from mlunlearn._testing import small_net
from mlunlearn.nets import TorchClassifier, TorchRegressor

DEALT = "rows are dealt out to shards, so a row with weight two is not the same as the row twice"
NO_WEIGHTS = "torch nets take no sample_weight, and say so instead of ignoring it"
STEPS = "as in scikit-learn's Pipeline, fit puts the fitted steps in their place"

WEIGHT_EQUIVALENCE = {f"check_sample_weight_equivalence_on_{kind}_data": DEALT for kind in ("dense", "sparse")}
WEIGHTS = {
    name: NO_WEIGHTS
    for name in (
        "check_sample_weights_pandas_series",
        "check_sample_weights_not_an_array",
        "check_sample_weights_list",
        "check_sample_weights_shape",
        "check_sample_weights_not_overwritten",
        "check_sample_weight_equivalence_on_dense_data",
        "check_classifiers_one_label_sample_weights",
    )
}
ZERO_SLICE = {
    "check_classifiers_one_label_sample_weights": "partial_fit refuses a slice in which all weights are zero",
}
REPLACED_STEPS = {
    "check_estimators_overwrite_params": STEPS,
    "check_dont_overwrite_parameters": STEPS,
}

PLAIN = [
    Retrain(LogisticRegression(), random_state=0),
    Retrain(Ridge()),
    Retrain(HistGradientBoostingClassifier(max_iter=5), random_state=0),
    TorchClassifier(small_net(), random_state=0),
    TorchRegressor(small_net(NeuralNetRegressor), random_state=0),
]
SHARDED = [
    SISAClassifier(LogisticRegression(), n_shards=2, random_state=0),
    SISAClassifier(LogisticRegression(), n_shards=2, aggregation="mean", weighting="size", random_state=0),
    SISAClassifier(make_pipeline(StandardScaler(), LogisticRegression()), n_shards=2, random_state=0),
    SISARegressor(Ridge(), n_shards=2, random_state=0),
    SISARegressor(SGDRegressor(), n_shards=2, n_slices=2, random_state=0),
]
SLICED = [
    SISAClassifier(SGDClassifier(), n_shards=2, n_slices=2, random_state=0),
    SISAClassifier(GaussianNB(), n_shards=2, n_slices=2, random_state=0),
]
NETS = [
    SISAClassifier(small_net(), n_shards=2, n_slices=2, random_state=0),
    Retrain(small_net(), random_state=0),
]
PIPELINES = [
    make_unlearning_pipeline(Normalizer(), SISAClassifier(LogisticRegression(), n_shards=2, random_state=0)),
]

GROUPS = [
    (PLAIN, {}),
    (SHARDED, WEIGHT_EQUIVALENCE),
    (SLICED, WEIGHT_EQUIVALENCE | ZERO_SLICE),
    (NETS, WEIGHTS),
    (PIPELINES, WEIGHT_EQUIVALENCE | REPLACED_STEPS),
]
EXPECTED = {id(estimator): failures for estimators, failures in GROUPS for estimator in estimators}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # scikit-learn's own check
@parametrize_with_checks(
    [estimator for estimators, _ in GROUPS for estimator in estimators],
    expected_failed_checks=lambda estimator: EXPECTED.get(id(estimator), {}),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
