"""An audit of models that learned from a dataset is that of the same models on arrays."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Dataset

from mlunlearn import Retrain
from mlunlearn.approximate import FineTuneClassifier
from mlunlearn.audit import audit, compare
from mlunlearn.nets import TorchClassifier

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = (DIGITS[:360] / 16).astype(np.float32), LABELS[:360]
TRAIN, TEST = slice(0, 200), slice(200, 360)
ROWS = np.arange(20)


class Images(Dataset):
    def __init__(self, part):
        self.X, self.y = DIGITS[part], LABELS[part]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, place):
        return torch.as_tensor(self.X[place]), self.y[place]


def net():
    return NeuralNetClassifier(
        nn.Linear,
        module__in_features=64,
        module__out_features=10,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        lr=0.5,
        verbose=0,
        train_split=None,
        callbacks="disable",
    )


def data(as_items, part):
    return (Images(part), None) if as_items else (DIGITS[part], LABELS[part])


def asked(report, as_items):
    found = report(as_items)
    frame = found.to_frame() if hasattr(found, "to_frame") else found
    return frame.drop(columns=[name for name in frame if "seconds" in name])


def test_audit_of_a_dataset():
    def report(as_items):
        model = Retrain(net(), random_state=0).fit(*data(as_items, TRAIN)).unlearn(ROWS)
        train = data(as_items, TRAIN)
        return audit(
            model, *data(as_items, TEST), train=train, n_references=2, n_bootstrap=5, random_state=0
        ).predictions

    arrays, items = report(False), report(True)
    for name, said in arrays.models().items():
        for part, outputs in said.items():
            np.testing.assert_array_equal(items.models()[name][part].proba, outputs.proba)
    for part, targets in arrays.targets.items():
        np.testing.assert_array_equal(items.targets[part], targets)


def test_comparison_on_a_dataset_has_its_controls():
    def report(as_items):
        given, train = data(as_items, TRAIN), data(as_items, TRAIN)
        before = FineTuneClassifier(net(), n_steps=5, random_state=0).fit(*given)
        model = FineTuneClassifier(net(), n_steps=5, random_state=0).fit(*given).unlearn(ROWS)
        return compare(
            {"fine-tuning": model}, *data(as_items, TEST), train=train, original=before, n_references=2, random_state=0
        )

    items = asked(report, True)
    assert {"fine-tuning", "from scratch", "continued"} <= set(items.index)
    arrays = asked(report, False)
    pd.testing.assert_frame_equal(items.loc[arrays.index].drop("from scratch"), arrays.drop("from scratch"))


def test_networks_from_elsewhere_are_asked_as_they_are():
    def trained(rows, seed):
        torch.manual_seed(seed)
        return net().fit(DIGITS[TRAIN][rows], LABELS[TRAIN][rows])

    kept = np.setdiff1d(np.arange(200), ROWS)
    with torch.random.fork_rng():
        models = [trained(kept, seed) for seed in range(3)]
        before = trained(np.arange(200), 3)
    found = [
        audit(
            models[0],
            *data(as_items, TEST),
            train=data(as_items, TRAIN),
            forget_idx=ROWS,
            references=models[1:],
            original=before,
            n_bootstrap=5,
            random_state=0,
        ).predictions
        for as_items in (False, True)
    ]
    np.testing.assert_allclose(found[1].unlearned["forget"].proba, found[0].unlearned["forget"].proba, rtol=1e-6)


def test_a_dataset_of_another_length_is_refused():
    model = Retrain(net(), random_state=0).fit(Images(TRAIN)).unlearn(ROWS)
    with pytest.raises(ValueError, match="200"):
        audit(model, Images(TEST), None, train=(Images(slice(0, 199)), None), n_references=2)


def test_a_bare_network_has_the_control_from_scratch():
    X, y = data(False, TRAIN)
    model = Retrain(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), random_state=0).fit(X, y).unlearn(ROWS)
    report = compare({"exact": model}, *data(False, TEST), train=(X, y), n_references=2, random_state=0)
    assert report.table.loc["from scratch", "distance"] > 0


def test_training_from_scratch_is_no_control_where_the_network_came_trained():
    """A frozen network that is copied and fitted is the trained one still: it would stand in the table as a control."""
    X, y = data(False, TRAIN)
    before = TorchClassifier(net(), random_state=0).fit(X, y)
    references = [TorchClassifier(net(), random_state=k).fit(X[len(ROWS) :], y[len(ROWS) :]) for k in (1, 2)]
    model = FineTuneClassifier(FrozenEstimator(before), n_steps=5, random_state=0)
    model.fit(X, y).unlearn(ROWS)
    said = {"train": (X, y), "original": before, "references": references, "random_state": 0}
    report = compare({"fine-tuning": model}, *data(False, TEST), **said)
    assert "from scratch" not in report.table.index
    assert any("'from scratch' is missing: its estimator came trained" in note for note in report.notes)
