"""Exactness to the bit is earned: seeded wherever a seed can reach, tried where it cannot, and told where it fails."""

import random

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, StackingRegressor, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from mlunlearn import Retrain, SISAClassifier, SISARegressor, UnlearningWarning, verify
from mlunlearn._testing import small_net
from mlunlearn.checks.state import learned_state, state_differences
from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.training.estimators import as_estimator
from mlunlearn.training.reproducibility import from_known_libraries
from mlunlearn.training.seeds import set_seed

X, Y = make_classification(n_samples=160, n_features=4, n_informative=3, n_redundant=0, random_state=0)


def net(**options):
    return small_net(**{"max_epochs": 2, **options})


class DrawsFromNumpy(nn.Module):
    """Draws its initial weights and its noise from numpy's global generator."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.linear.weight.data = torch.as_tensor(np.random.randn(2, 4), dtype=torch.float32)  # noqa: NPY002

    def forward(self, inputs):
        noise = np.random.randn(*inputs.shape) if self.training else 0.0  # noqa: NPY002
        return self.linear(inputs + torch.as_tensor(noise, dtype=torch.float32))


class Draws(TransformerMixin, BaseEstimator):
    """Learns a shift from a generator that is given by name; takes no seed."""

    def __init__(self, source="numpy"):
        self.source = source

    def fit(self, X, y=None):
        sources = {
            "numpy": np.random.random,
            "python": random.random,
            "torch": lambda: torch.rand(1).item(),
            "its own": np.random.default_rng().random,
        }
        self.shift_ = float(sources[self.source]())
        return self

    def transform(self, X):
        return X + self.shift_


REACHED = {
    "splitter": CalibratedClassifierCV(GaussianNB(), cv=KFold(3, shuffle=True)),
    "splitter in a search": GridSearchCV(
        SGDClassifier(), {"alpha": [0.1, 0.001, 1e-5]}, cv=StratifiedKFold(3, shuffle=True)
    ),
    "splitter in a stack": StackingClassifier(
        [("a", GaussianNB()), ("b", SGDClassifier())], LogisticRegression(), cv=StratifiedKFold(3, shuffle=True)
    ),
    "splitter with a generator": CalibratedClassifierCV(
        GaussianNB(), cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=np.random.RandomState(0))
    ),
    "net in a pipeline": make_pipeline(StandardScaler(), net()),
    "module in a pipeline": make_pipeline(StandardScaler(), nn.Sequential(nn.Linear(4, 2))),
    "net after a column transformer": make_pipeline(
        ColumnTransformer([("scale", StandardScaler(), [0, 1])], remainder="passthrough"), net(max_epochs=1)
    ),
    "net in a search": GridSearchCV(net(), {"lr": [0.1, 0.001]}, cv=2),
    "net in a search over a pipeline": GridSearchCV(
        make_pipeline(net()), {"neuralnetclassifier__lr": [0.1, 0.01]}, cv=2
    ),
    "nets in a grid": GridSearchCV(
        make_pipeline(StandardScaler(), GaussianNB()),
        {"gaussiannb": [net(), net(lr=0.001), LogisticRegression()]},
        cv=2,
    ),
    "nets in one of several grids": RandomizedSearchCV(
        make_pipeline(StandardScaler(), GaussianNB()),
        [{"gaussiannb": [GaussianNB()]}, {"gaussiannb": (net(), nn.Sequential(nn.Linear(4, 2)))}],
        n_iter=3,
        cv=2,
    ),
    "splitters and seeds in a grid": GridSearchCV(
        make_pipeline(SGDClassifier()),
        {"sgdclassifier": [CalibratedClassifierCV(SGDClassifier(), cv=KFold(3, shuffle=True)), SGDClassifier()]},
        cv=2,
    ),
    "net in a vote": VotingClassifier([("net", net()), ("bayes", GaussianNB())], voting="soft"),
    "net in a bag": BaggingClassifier(net(), n_estimators=2),
    "net in a stack": StackingClassifier([("net", net())], LogisticRegression(), cv=2),
    "module that draws from numpy": DrawsFromNumpy,
    "numpy's generator": make_pipeline(Draws("numpy"), GaussianNB()),
    "python's generator": make_pipeline(Draws("python"), GaussianNB()),
    "torch's generator": make_pipeline(Draws("torch"), GaussianNB()),
}


def generators():
    return (
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        random.getstate(),
        torch.random.get_rng_state().numpy().tobytes(),
    )


@pytest.mark.parametrize("method", [Retrain, SISAClassifier])
@pytest.mark.parametrize("name", REACHED)
def test_what_a_seed_can_reach_is_exact_and_moves_no_generator(name, method):
    options = {"n_shards": 2} if method is SISAClassifier else {}
    before = generators()
    model = method(REACHED[name], random_state=0, **options).fit(X, Y).unlearn([3]).unlearn([5, 70])
    assert generators() == before
    np.random.random(3), random.random(), torch.rand(3)  # noqa: NPY002
    never = method(REACHED[name], random_state=0, **options).fit(X, Y, exclude=[3, 5, 70])
    assert state_differences(learned_state(model), learned_state(never)) == {}
    np.testing.assert_array_equal(model.predict(X), never.predict(X))
    assert model.reproducible_
    assert model.irreproducible_parts_ == ()
    assert model._earned_exactness() == "bits"


@pytest.mark.parametrize("method", [Retrain, SISAClassifier])
@pytest.mark.parametrize(
    ("estimator", "part"),
    [
        (make_pipeline(StandardScaler(), Draws("its own"), LogisticRegression()), r"steps\['draws'\] \(Draws\)"),
        (
            BaggingClassifier(make_pipeline(Draws("its own"), GaussianNB()), n_estimators=2),
            r"estimators_\[0\]\.steps\['draws'\] \(Draws\)",
        ),
    ],
)
def test_what_no_seed_reaches_is_told_with_its_place(estimator, part, method):
    with pytest.warns(UnlearningWarning, match=rf"not exact to the bit .* Not reproducible: {part}"):
        model = method(estimator, random_state=0).fit(X, Y)
    assert not model.reproducible_
    assert model._earned_exactness() == "influence"
    assert model.unlearn([3]).forgotten_.sum() == 1


class Calls(ClassifierMixin, BaseEstimator):
    """Counts its calls in the class, refuses few rows if asked to, and gives back other answers at every call."""

    seen = ()

    def __init__(self, fewest=0, noisy=False):
        self.fewest, self.noisy = fewest, noisy

    def fit(self, X, y):
        if len(X) < self.fewest:
            raise RuntimeError("too few rows")
        Calls.seen = (*Calls.seen, len(X))
        self.classes_ = np.unique(y)
        self._hidden = _Opaque(len(Calls.seen) if self.noisy else 0)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self._hidden.value % 2])


class _Opaque:
    """Keeps a number where no walk over attributes finds it."""

    __slots__ = ("_tell",)

    def __init__(self, value):
        self._tell = value.__int__

    value = property(lambda self: self._tell())

    def __getstate__(self):
        return None


def test_a_trial_takes_few_rows_of_every_class_or_more_where_few_do_not_do():
    rows = np.random.default_rng(0).normal(size=(4000, 2))
    labels = np.repeat([0, 1], [3990, 10])
    Calls.seen = ()
    Retrain(Calls(), random_state=0).fit(rows, labels)
    assert Calls.seen == (80, 80, 4000)
    Calls.seen = ()
    Retrain(Calls(fewest=200), random_state=0).fit(rows, labels)
    assert Calls.seen == (320, 320, 4000)
    Calls.seen = ()
    with pytest.raises(RuntimeError, match="too few rows"):
        Retrain(Calls(fewest=5000), random_state=0).fit(rows, labels)


def test_what_cannot_be_looked_into_is_compared_by_its_answers():
    with pytest.warns(UnlearningWarning, match=r"Not reproducible: Calls"):
        Retrain(Calls(noisy=True), random_state=0).fit(X, Y)


def test_what_scikit_learn_and_torch_ship_needs_no_trial():
    assert from_known_libraries(
        GridSearchCV(make_pipeline(StandardScaler(), SGDClassifier()), {"alpha": [1]}, cv=KFold())
    )
    assert from_known_libraries(TorchClassifier(NeuralNetClassifier(nn.Sequential(nn.Linear(2, 2)))))
    assert not from_known_libraries(TorchClassifier(NeuralNetClassifier(DrawsFromNumpy)))
    assert not from_known_libraries(make_pipeline(FunctionTransformer(lambda rows: rows), GaussianNB()))
    assert not from_known_libraries(CalibratedClassifierCV(GaussianNB(), cv=(split for split in ())))
    assert not from_known_libraries(TorchClassifier(NeuralNetClassifier(nn.Linear, device="cuda")))


def test_seeds_of_splitters_leave_those_of_estimators_as_they_are():
    plain, with_splitter = (
        set_seed(GridSearchCV(SGDClassifier(), {}, cv=cv), 7) for cv in (3, StratifiedKFold(3, shuffle=True))
    )
    assert with_splitter.estimator.random_state == plain.estimator.random_state
    assert isinstance(with_splitter.cv.random_state, int)
    chosen = set_seed(GridSearchCV(SGDClassifier(), {}, cv=StratifiedKFold(3, shuffle=True, random_state=5)), 7)
    assert chosen.cv.random_state == 5


def test_nets_are_wrapped_where_they_stand_and_what_was_passed_is_not_touched():
    inner = NeuralNetRegressor(nn.Linear(4, 1))
    pipeline = make_pipeline(StandardScaler(), inner)
    wrapped = as_estimator(pipeline)
    assert isinstance(wrapped[-1], TorchRegressor)
    assert wrapped[-1].net is inner
    assert pipeline[-1] is inner
    assert isinstance(
        as_estimator(VotingClassifier([("a", nn.Linear), ("b", GaussianNB())])).estimators[0][1], TorchClassifier
    )
    untouched = make_pipeline(StandardScaler(), GaussianNB())
    assert as_estimator(untouched) is untouched


@pytest.mark.parametrize("around", [lambda stack: stack, lambda stack: make_pipeline(StandardScaler(), stack)])
def test_a_stack_with_the_final_estimator_of_scikit_learn(around):
    X, y = make_classification(120, random_state=0)
    rows = [1, 5, 70]
    stack = around(StackingClassifier([("tree", DecisionTreeClassifier())], cv=KFold(3, shuffle=True)))
    model = SISAClassifier(stack, n_shards=2, random_state=0).fit(X, y)
    assert model.aggregation_ == "mean"
    assert verify(model.unlearn(rows), X, y)
    regressor = around(StackingRegressor([("tree", DecisionTreeRegressor())], cv=KFold(3, shuffle=True)))
    assert verify(SISARegressor(regressor, n_shards=2, random_state=0).fit(X, X[:, 0]).unlearn(rows), X, X[:, 0])
