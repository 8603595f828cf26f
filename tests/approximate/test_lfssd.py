"""LFSSD: importances without labels."""

import numpy as np
import torch

from mlunlearn.approximate import LFSSDClassifier

ROWS = np.arange(30)


def test_labels_never_enter(frozen, blobs, module_of, same_weights):
    X, y, *_ = blobs
    models = [
        LFSSDClassifier(frozen, random_state=0).fit(X, labels).unlearn(ROWS)
        for labels in (y, np.random.default_rng(0).permutation(y))
    ]
    assert same_weights(*map(module_of, models))


def test_importances_are_mean_sizes_of_gradients_of_squared_logits(trained, frozen, blobs):
    class Looking(LFSSDClassifier):
        def _dampener(self, *args):
            self.found_ = super()._dampener(*args)
            return self.found_

    X, y, *_ = blobs
    found = Looking(frozen, random_state=0).fit(X, y).unlearn(ROWS).found_.importances.forget
    module, total = trained.net_.module_.eval(), {}
    for x in torch.as_tensor(X[ROWS], dtype=torch.float32):
        module.zero_grad()
        module(x[None]).square().sum().backward()
        for name, p in module.named_parameters():
            total[name] = total.get(name, 0) + p.grad.abs() / 30
    module.zero_grad()
    for name, expected in total.items():
        torch.testing.assert_close(found[name].float(), expected, rtol=1e-4, atol=1e-5)


def test_published_settings(frozen):
    model = LFSSDClassifier.published(frozen, alpha=5.0)
    assert (model.alpha, model.dampening, model.per_sample) == (5.0, 1.0, False)
