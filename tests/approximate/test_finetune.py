"""Fine-tuning: continued training and nothing else."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from mlunlearn.approximate import FineTuneClassifier
from mlunlearn.networks import step_batches


def test_it_is_training_on_with_the_retained_rows_to_the_bit(
    trained_conv, digits, module_of, same_weights, monkeypatch
):
    """The batch normalisation of the network learns from batches of retained rows alone; dropout is seeded alike."""
    X, y = digits
    expected, seeds = copy.deepcopy(trained_conv.net_.module_).train(), {}
    original = FineTuneClassifier._edit

    def edit(self, module, forget, retain, run):
        seeds["batches"], seeds["state"] = run.seed("batches"), torch.get_rng_state()
        return original(self, module, forget, retain, run)

    monkeypatch.setattr(FineTuneClassifier, "_edit", edit)
    model = (
        FineTuneClassifier(FrozenEstimator(trained_conv), n_steps=4, random_state=0).fit(X, y).unlearn(np.arange(50))
    )
    before = torch.get_rng_state()
    torch.set_rng_state(seeds["state"])
    optimizer = torch.optim.Adam(expected.parameters(), lr=1e-3, fused=True)
    for rows in step_batches(250, 32, 4, seeds["batches"]):
        places = 50 + rows.numpy()
        loss = torch.nn.functional.cross_entropy(
            expected(torch.as_tensor(X[places].astype(np.float32))), torch.as_tensor(y[places])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_rng_state(before)
    assert same_weights(module_of(model), expected)


@pytest.mark.parametrize(("budget", "share"), [(1.0, 1.0), (2.0, 2.0)])
def test_the_budget_is_the_share_of_a_training_that_is_read(budget, share, frozen, blobs):
    X, y, *_ = blobs
    model = FineTuneClassifier(frozen, budget=budget, batch_size=10, random_state=0).fit(X, y).unlearn(range(20))
    assert model.receipts_[-1].retrained_share == pytest.approx(share)
