"""Settings that make no sense are refused before anything is trained, and before a request changes anything."""

import inspect

import numpy as np
import pytest
from torch_geometric.nn import GCN

from mlunlearn import graph
from mlunlearn.graph import (
    CEU,
    D2DGN,
    GIF,
    MEGU,
    CertifiedGNN,
    DescentToDelete,
    FineTuneGNN,
    GNNDelete,
    GradientAscent,
    GraphEraser,
    LinkPredictor,
    LogisticGNN,
    NodeClassifier,
    RestartGNN,
    Retrain,
    RidgeGNN,
    UtU,
)
from mlunlearn.parameters import ParameterError


def never():
    """A network that nobody must ask for."""
    raise AssertionError("training was begun")


NONSENSE = [
    (CEU, {"noise": 0.0}),
    (CEU, {"epsilon": -1.0}),
    (CEU, {"max_newton_steps": 0}),
    (CEU, {"max_iter": 2.5}),
    (D2DGN, {"alpha": 7}),
    (D2DGN, {"temperature": -1}),
    (D2DGN, {"destroyer": "typo"}),
    (D2DGN, {"knowledge": "all"}),
    (D2DGN, {"max_epochs": -5}),
    (D2DGN, {"lr": 0.0}),
    (D2DGN, {"forget_share": 1.0}),
    (DescentToDelete, {"delta": 1.0}),
    (DescentToDelete, {"max_epochs": 0}),
    (DescentToDelete, {"lr": np.nan}),
    (FineTuneGNN, {"budget": 0.0}),
    (FineTuneGNN, {"decay": "no"}),
    (GIF, {"solver": "newton"}),
    (GIF, {"damping": -1.0}),
    (GIF, {"scale": 0.0}),
    (GNNDelete, {"alpha": 9}),
    (GNNDelete, {"max_epochs": True}),
    (GradientAscent, {"max_epochs": 1.5}),
    (GradientAscent, {"lr": -1e-3}),
    (GraphEraser, {"n_shards": 0}),
    (GraphEraser, {"partition": "metis"}),
    (MEGU, {"kappa": -1.0}),
    (MEGU, {"smooth": (0.8, 2.0)}),
    (MEGU, {"smooth": (0.8,)}),
    (MEGU, {"temperature": 0.0}),
    (RestartGNN, {"budget": np.inf}),
    (RestartGNN, {"lr": 0.0}),
]
OF_ESTIMATORS = [
    {"batch_size": 0},
    {"batch_size": 8, "n_neighbors": 0},
    {"lr": -1.0},
    {"max_epochs": 0},
    {"weight_decay": -1.0},
]


@pytest.mark.parametrize(("method", "nonsense"), NONSENSE)
def test_nonsense_is_refused_before_training(blocks, method, nonsense):
    with pytest.raises(ParameterError, match=f"{next(iter(nonsense))} must be"):
        method(NodeClassifier(never), **nonsense).fit(blocks)


METHODS = sorted(name for name in graph.__all__ if hasattr(getattr(graph, name), "unlearn"))
# What any object may be, or what is no setting of the method.
FREE = {"estimator", "random_state", "verbose", "device", "module"}


def settings_of(made):
    """Names of the settings that have a meaning of their own."""
    return [name for name in inspect.signature(made).parameters if name not in FREE]


def test_the_list_of_methods_is_not_short():
    assert len(METHODS) >= 15


@pytest.mark.parametrize(
    ("method", "name"), [(method, name) for method in METHODS for name in settings_of(getattr(graph, method))]
)
@pytest.mark.parametrize("value", [object(), "typo", -7])
def test_no_setting_of_any_method_takes_anything(blocks, method, name, value):
    made = getattr(graph, method)
    around = (NodeClassifier(never),) if "estimator" in inspect.signature(made).parameters else ()
    with pytest.raises((ParameterError, TypeError), match=f"{name} must be"):
        made(*around, **{name: value}).fit(blocks)


@pytest.mark.parametrize("kind", [NodeClassifier, LinkPredictor])
@pytest.mark.parametrize("name", settings_of(NodeClassifier))
@pytest.mark.parametrize("value", [object(), "typo", -7])
def test_no_setting_of_an_estimator_takes_anything(blocks, kind, name, value):
    with pytest.raises(ParameterError, match=f"{name} must be"):
        kind(never, **{name: value}).fit(blocks)


@pytest.mark.parametrize("nonsense", OF_ESTIMATORS)
@pytest.mark.parametrize("kind", [NodeClassifier, LinkPredictor])
@pytest.mark.parametrize("method", [D2DGN, Retrain, UtU])
def test_nonsense_of_the_estimator_is_refused_before_training(blocks, method, kind, nonsense):
    estimator = kind(never, **nonsense)
    for model in (estimator, method(estimator)):
        with pytest.raises(ParameterError, match="must be"):
            model.fit(blocks)


@pytest.mark.parametrize("method", [CertifiedGNN, LogisticGNN, RidgeGNN])
@pytest.mark.parametrize("alpha", [0.0, "1", np.inf])
def test_linear_models_need_a_penalty(blocks, method, alpha):
    with pytest.raises(ParameterError, match="alpha must be a number above 0"):
        method(alpha=alpha).fit(blocks)


@pytest.mark.parametrize("method", [CEU, MEGU])
def test_a_link_predictor_is_refused_before_it_is_trained(links, method):
    with pytest.raises(TypeError, match="needs a node classifier"):
        method(LinkPredictor(never)).fit(links)


@pytest.mark.parametrize(("method", "nonsense"), NONSENSE[::5])
def test_nonsense_set_after_fit_changes_nothing(blocks, method, nonsense):
    module = GCN(blocks.num_features, 4, 2, out_channels=3)
    model = method(NodeClassifier(module, max_epochs=1), random_state=0).fit(blocks).set_params(**nonsense)
    before = dict(vars(model))
    with pytest.raises(ParameterError):
        model.unlearn([3])
    assert vars(model) == before
