"""A snapshot sees every part of a model, and a comparison every bit."""

import copy
import threading
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from mlunlearn import Retrain
from mlunlearn.checks import flatten_state, learned_state, state_differences
from mlunlearn.checks.state import assert_same_state

Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True, slots=True)
class Slotted:
    value: float


class Hiding:
    """Hides an attribute from pickle."""

    def __init__(self):
        self.shown, self.hidden = 1.0, 2.0

    def __getstate__(self):
        return {"shown": self.shown}


def differences(a, b):
    return state_differences(flatten_state(a), flatten_state(b))


def closure_over(value):
    return lambda: value


def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 4)), np.arange(60) % 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 1.0000000000000002),
        (0.0, -0.0),
        (1, 2),
        (2**100, 2**100 + 1),
        ("a", "b"),
        (None, 0),
        (np.float32(1), np.float64(1)),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.array([np.nan]), np.array([0x7FF8_0000_0000_0001], np.uint64).view(float)),
        (np.array(["a", None], object), np.array(["a", 1.0], object)),
        (np.array([(1, 2.0)], "i8,f8"), np.array([(1, 3.0)], "i8,f8")),
        ([1, [2, 3]], [1, [2, 4]]),
        ((), (1,)),
        ({"a": 1}, {"a": 1, "b": 1}),
        (OrderedDict(a=1), OrderedDict(a=2)),
        (deque([1]), deque([2])),
        ({1, 2}, {1, 3}),
        (Pair(1, 2), Pair(1, 3)),
        (Slotted(1.0), Slotted(2.0)),
        (bytearray(b"a"), bytearray(b"b")),
        (memoryview(b"a"), memoryview(b"b")),
        (sparse.csr_matrix([[0, 1.0]]), sparse.csr_matrix([[0, 2.0]])),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
        (pd.Series(["a"]), pd.Series(["b"])),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (closure_over([1.0]), closure_over([2.0])),
        ([1].count, [2].count),
        (len, abs),
        (int, float),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_difference_is_seen_and_equality_too(one, other):
    assert differences(one, other)
    assert differences(one, one) == {}


@pytest.mark.parametrize(
    "make",
    [
        LogisticRegression,
        SGDClassifier,
        lambda: DecisionTreeClassifier(max_depth=2, random_state=0),
        lambda: KNeighborsClassifier(algorithm="kd_tree"),
        lambda: HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5),
    ],
)
def test_models_are_looked_into(make):
    X, y = rows()
    one, same, other = make(), make(), make()
    if hasattr(one, "random_state"):
        for model in (one, same, other):
            model.set_params(random_state=0)
    one.fit(X, y), same.fit(X, y), other.fit(X * 2, y)
    assert differences(one, same) == {}
    assert any(np.issubdtype(type(leaf), np.ndarray) for leaf in flatten_state(one).values())
    assert differences(one, other)


def test_padding_between_fields_does_not_matter():
    kind = np.dtype([("small", "u1"), ("large", "f8")], align=True)
    one, other = np.zeros(2, kind), np.zeros(2, kind)
    other.view(np.uint8)[1] = 255
    assert one.tobytes() != other.tobytes()
    assert differences(one, other) == {}


def test_what_a_class_hides_from_pickle_is_seen():
    assert ".hidden".removeprefix(".") in flatten_state(Hiding())


def test_a_snapshot_does_not_follow_later_changes():
    held = {"w": np.zeros(2), "parts": [1]}
    before = flatten_state(held)
    held["w"][0] = 1.0
    held["parts"].append(2)
    assert list(state_differences(flatten_state(held), before)) == ["['w']", "['parts'][1]"]


def test_cycles_and_opaque_objects_end():
    loop = {"lock": threading.Lock(), "values": [1.0]}
    loop["self"] = loop["values"]
    loop["values"].append(loop)
    state = flatten_state(loop)
    assert state["['values'][1]"] == "<builtins.dict>"
    assert state["['lock']"].startswith("<_thread.")


def test_parts_can_be_left_out():
    assert list(flatten_state({"a": 1, "b": 2}, skip=lambda path, part: part == 2)) == ["['a']"]


def test_learned_state_is_what_was_learned():
    X, y = rows()
    models = [Retrain(LogisticRegression(), random_state=0).fit(X, y) for _ in range(2)]
    models[0].estimator_.refit_time_ = 1.0
    assert state_differences(*map(learned_state, models)) == {}
    assert not any(path.startswith(("_data", "receipts_", "random_state")) for path in learned_state(models[0]))
    assert "_checksums" in learned_state(models[0])


def test_of_other_estimators_public_fitted_attributes_count():
    model = LogisticRegression().fit(*rows())
    model._cache, model.C = 1.0, 2.0
    assert set(learned_state(model)) == {"coef_", "intercept_", "classes_", "n_iter_", "n_features_in_"}


def test_an_error_says_what_differs_and_where():
    one = {"coef": np.array([1.0, 2.0]), **{f"part {i}": i for i in range(9)}}
    other = {"coef": np.array([1.0, 2.5]), **{f"part {i}": i + 1 for i in range(9)}}
    with pytest.raises(AssertionError) as caught:
        assert_same_state(flatten_state(one), flatten_state(other), "They should agree.")
    text = str(caught.value)
    assert text.startswith("They should agree.\n10 of 10 parts of the state differ:\n")
    assert "['coef']: 1 of 2 values differ, by 0.5 at most" in text
    assert "['part 0']: is 0, expected 1" in text
    assert text.endswith("and 4 more")


def test_missing_parts_are_named():
    assert state_differences({"a": 1}, {"b": 1}) == {"b": "is missing", "a": "should not be there"}
    assert differences(np.array([np.inf]), np.array([-np.inf])) == {"": "1 of 1 values differ"}
    assert differences(np.zeros(2), np.zeros(3))[""] == "is float64[2], expected float64[3]"


@pytest.mark.torch
class TestTorch:
    @pytest.fixture
    def trained(self):
        torch = pytest.importorskip("torch")

        def train(seed, n_steps=2):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
            optimizer = torch.optim.Adam(module.parameters())
            X = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
            for _ in range(n_steps):
                optimizer.zero_grad(set_to_none=True)
                module(X).square().sum().backward()
                optimizer.step()
            return {"module": module, "optimizer": optimizer}

        return train

    def test_parameters_buffers_gradients_and_moments_are_seen(self, trained):
        assert differences(trained(0), trained(0)) == {}
        differing = "\n".join(differences(trained(0), trained(1)))
        for part in ("_parameters['weight']", "_buffers['running_mean']", ".grad", "['exp_avg']"):
            assert part in differing

    def test_a_copy_has_learned_the_same(self, trained):
        model = LogisticRegression()
        model.parts_ = trained(0)
        assert state_differences(learned_state(model), learned_state(copy.deepcopy(model))) == {}

    def test_generators_and_unusual_tensors(self):
        torch = pytest.importorskip("torch")
        assert differences(torch.Generator().manual_seed(0), torch.Generator().manual_seed(1))
        for one in (torch.ones(2).bfloat16(), torch.eye(2).to_sparse(), torch.ones(2, requires_grad=True)):
            assert differences(one, one) == {}
            assert differences(one, one * 2)
