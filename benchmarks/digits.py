"""Forgetting from a small network on a table of handwritten digits: ``python -m benchmarks.digits``.

1,797 rows of 64 columns that ship with scikit-learn; see `benchmarks.classification` for what is measured. Half an hour
of one core for five seeds.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks.classification import arguments, key_of, run
from benchmarks.classification_scenarios import Task
from mlunlearn.scenarios import Patch

EPOCHS, WIDTH = 40, 64


class MLP(nn.Module):
    """Two hidden layers."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, 10)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Score rows of 64 numbers from 0 to 16."""
        return self.head(self.body(X / 8 - 1))


class OnRows(Patch):
    """A patch on images that are kept as rows of 64 numbers."""

    def on(self, X, rows=slice(None)):
        return super().on(X.reshape(-1, 8, 8), rows).reshape(len(X), 64)


def net() -> NeuralNetClassifier:
    """Make the untrained network."""
    return NeuralNetClassifier(
        MLP,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=2e-3,
        max_epochs=EPOCHS,
        batch_size=64,
        train_split=None,
        callbacks="disable",
        verbose=0,
    )


def task() -> Task:
    """Digits, split once for all seeds."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype("float32"), y, test_size=597, stratify=y, random_state=0)
    X_test, X_held, y_test, y_held = train_test_split(X_test, y_test, test_size=147, stratify=y_test, random_state=0)
    return Task(
        name="digits",
        note=f"{len(X):,} training rows of 64 numbers, {len(X_test)} test rows; MLP 64-64-64-10, {EPOCHS} epochs",
        train=(X, y),
        test=(X_test, y_test),
        held_out=(X_held, y_held),
        net=net,
        forgotten_class=3,
        pair=(3, 5),
        patch=OnRows(value=16.0, size=2, layout="HW"),
        n_references=5,
    )


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    key = key_of(epochs=EPOCHS, width=WIDTH)
    run(task(), options.seeds, options.scenarios, options.resume, key, options.methods)
