"""Untrained copies, heads and embeddings, and networks that were trained elsewhere."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from mlunlearn._testing import small_net
from mlunlearn.nets import TorchClassifier, TorchRegressor
from mlunlearn.networks import (
    Head,
    Rebuild,
    Reset,
    adopt,
    class_loss,
    find_head,
    forward,
    js,
    kl,
    logits_of,
    recorded,
    reset_parameters,
)
from mlunlearn.networks.fresh import untrained


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


class Two(nn.Module):
    """An extractor and a head of two layers; the last layer by definition is not the last to run."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 3))
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())

    def forward(self, X):
        return self.head(self.body(X)), "something else"


class TestUntrained:
    def test_every_weight_is_drawn_anew_and_nothing_of_the_trained_ones_is_left(self):
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        trained = nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.Embedding(5, 8), layer, nn.Linear(8, 2))
        for p in trained.parameters():
            p.data.add_(1.0)
        trained[1].running_mean.fill_(7.0)
        fresh = Reset(trained)(0)
        for (name, mine), theirs in zip(trained.named_parameters(), fresh.parameters(), strict=True):
            assert not (mine == theirs).any(), name
        assert not fresh[1].running_mean.any()

    def test_the_draw_depends_on_the_seed_alone(self):
        first, second = nn.Linear(3, 2), nn.Linear(3, 2)
        state = torch.get_rng_state()
        assert torch.equal(Reset(first)(4).weight, Reset(second)(4).weight)
        assert not torch.equal(Reset(first)(4).weight, Reset(first)(5).weight)
        assert torch.equal(torch.get_rng_state(), state)

    def test_frozen_parts_stay(self):
        net = nn.Sequential(nn.Embedding(4, 3).requires_grad_(False), nn.Linear(3, 1))
        assert torch.equal(Reset(net)(0)[0].weight, net[0].weight)

    def test_what_cannot_be_reset_is_refused_before_anything_is(self):
        class Bare(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.weight = nn.Linear(2, 2), nn.Parameter(torch.ones(2))

        net = Bare()
        before = net.first.weight.clone()
        with pytest.raises(TypeError, match=r"Bare .* has parameters and no reset_parameters"):
            reset_parameters(net, 0)
        assert torch.equal(net.first.weight, before)

    def test_a_part_that_resets_itself_is_trusted(self):
        class Own(nn.Linear):
            def reset_parameters(self):
                nn.init.constant_(self.weight, 3.0)
                nn.init.constant_(self.bias, 3.0)

        assert (Reset(Own(2, 2))(0).weight == 3).all()

    def test_rebuilding_starts_where_training_started(self, iris):
        X, y = iris
        model = TorchClassifier(small_net(max_epochs=1, lr=0.0), random_state=3).fit(X, y)
        assert torch.equal(Rebuild(model)(3).body[0].weight, model.net_.module_.body[0].weight)
        assert not torch.equal(Rebuild(model)(4).body[0].weight, model.net_.module_.body[0].weight)
        assert type(untrained(model)) is Rebuild


class TestHeads:
    def test_the_last_layer_that_runs(self):
        net = Two().train()
        head = find_head(net, torch.zeros(2, 4))
        assert head == Head("head.1")
        assert net.training
        assert net.head[0].training

    def test_a_named_head(self):
        net, X = Two(), torch.randn(5, 4)
        head = find_head(net, X, "head")
        assert torch.equal(net.head(head.embed(net, X)), forward(net, X))
        assert torch.equal(head.embed(net, X), net.body(X))
        assert len(head.parameters(net)) == 4
        assert {id(p) for p in head.extractor(net)} == {id(p) for p in net.body.parameters()}

    def test_gradients_flow_through_embeddings(self):
        net = Two()
        Head("head").embed(net, torch.randn(5, 4)).sum().backward()
        assert net.body[0].weight.grad is not None
        assert net.head[0].weight.grad is None

    @pytest.mark.parametrize(("net", "named", "match"), [(nn.ReLU(), None, "head="), (Two(), "tail", "tail")])
    def test_no_head(self, net, named, match):
        with pytest.raises(ValueError, match=match):
            find_head(net, torch.zeros(2, 4), named)

    def test_inputs_and_outputs_are_recorded(self):
        net, X = Two(), torch.randn(2, 4)
        with recorded(net, ["body", "head.0"]) as outputs, recorded(net, ["head"], inputs=True) as inputs:
            net(X)
        assert len(outputs) == 2
        assert torch.equal(outputs[0], inputs[0])
        assert not net.head._forward_hooks

    def test_inputs_by_name(self):
        class Named(nn.Module):
            def forward(self, a, b):
                return a - b

        assert forward(Named(), {"b": torch.ones(2), "a": torch.zeros(2)}).tolist() == [-1.0, -1.0]


def trained_binary(X, y):
    net = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    return TorchClassifier(NeuralNetBinaryClassifier(net, max_epochs=3, train_split=None, verbose=0)).fit(X, y)


def trained_with_probabilities(X, y):
    net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
    return TorchClassifier(NeuralNetClassifier(net, max_epochs=3, train_split=None, verbose=0)).fit(X, y)


class TestOutputs:
    @pytest.mark.parametrize("make", [trained_binary, trained_with_probabilities])
    def test_logits_are_those_of_the_probabilities_and_the_loss_is_the_net_s_own(self, make, iris):
        X, y = iris
        if make is trained_binary:
            X, y = X[:100], y[:100]
        model = make(X, y)
        net, inputs = model.net_, torch.as_tensor(model.cast(X))
        with torch.no_grad():
            output = net.infer(inputs)
            logits, codes = logits_of(net)(output), torch.as_tensor(y)
            np.testing.assert_allclose(logits.softmax(dim=1), model.predict_proba(X), atol=1e-6)
            target = codes.float() if make is trained_binary else codes
            torch.testing.assert_close(
                class_loss(net)(logits, codes), net.get_loss(output, target), atol=1e-5, rtol=1e-5
            )

    def test_divergences_by_hand(self):
        p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
        expected = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
        assert kl(p.log(), q.log()).item() == pytest.approx(expected)
        assert kl(2 * p.log(), 2 * q.log(), temperature=2.0).item() == pytest.approx(expected)
        m = (p + q) / 2
        halves = [(r * (r / m).log2()).sum().item() for r in (p, q)]
        assert js(p.log(), q.log()).item() == pytest.approx(sum(halves) / 2)


class TestAdoption:
    def test_whatever_was_trained_predicts_as_it_did(self, iris):
        X, y = iris
        wrapped = TorchClassifier(small_net(max_epochs=2), random_state=0).fit(X, y)
        pipeline = make_pipeline(StandardScaler(), TorchClassifier(small_net(max_epochs=2), random_state=0)).fit(X, y)
        for trained in (wrapped, pipeline):
            np.testing.assert_array_equal(adopt(trained, "classifier", X[:2], y).predict(X), trained.predict(X))
        for trained in (wrapped.net_, wrapped.net_.module_):
            adopted = adopt(trained, "classifier", X[:2], y)
            np.testing.assert_array_equal(adopted.predict(X), wrapped.predict(X))
            assert type(untrained(adopted)) is Reset

    def test_a_regressor(self, iris):
        X, _ = iris
        trained = TorchRegressor(small_net(NeuralNetRegressor, max_epochs=2), random_state=0).fit(X[:, :3], X[:, 3])
        adopted = adopt(trained.net_, "regressor", X[:2, :3], X[:, 3])
        np.testing.assert_array_equal(adopted.predict(X[:, :3]), trained.predict(X[:, :3]))

    def test_it_is_a_copy(self, iris):
        X, y = iris
        net = nn.Linear(4, 3)
        before = copy.deepcopy(net)
        adopted = adopt(net, "classifier", X[:2], y)
        adopted.net_.module_.weight.data.zero_()
        assert torch.equal(net.weight, before.weight)

    @pytest.mark.parametrize(
        ("labels", "classes"), [([0, 2, 2], [0, 1, 2]), (["a", "b", "c"], ["a", "b", "c"]), ([5, 7, 9], [5, 7, 9])]
    )
    def test_what_outputs_stand_for(self, labels, classes):
        adopted = adopt(nn.Linear(2, 3), "classifier", np.eye(2), np.array(labels))
        assert adopted.classes_.tolist() == classes

    @pytest.mark.parametrize(
        ("trained", "task", "y", "error", "match"),
        [
            (StandardScaler(), "classifier", [0, 1], TypeError, "TorchClassifier"),
            (TorchRegressor(nn.Linear(2, 1)), "classifier", [0, 1], TypeError, "TorchClassifier"),
            (nn.Linear(2, 2), "classifier", ["a", "b", "c"], ValueError, "2 outputs for 3 labels"),
            (nn.Linear(2, 3), "regressor", [0.5, 1.5], ValueError, "should return"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, trained, task, y, error, match):
        with pytest.raises(error, match=match):
            adopt(trained, task, np.eye(2), np.array(y))

    def test_labels_that_it_was_not_trained_for_are_refused(self, iris):
        X, y = iris
        trained = TorchClassifier(small_net(max_epochs=1), random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="y holds 7"):
            adopt(trained, "classifier", X[:2], np.where(y == 2, 7, y))
