"""The way of a request, from `unlearn` to the parameters that change: through at most four files.

A file counts if one of its functions is on the stack while a parameter changes, and was handed the request: the
positions that the user passed, the `ForgetRequest` made of them, or the rows to forget. What looks positions up and
has returned is not on the way, and neither is a loop, which is handed batches and a loss.
"""

import inspect
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch_geometric.data import Data
from torch_geometric.nn import GCN
from torch_geometric.utils import stochastic_blockmodel_graph

import mlunlearn.base
from mlunlearn import SISAClassifier
from mlunlearn.approximate import SCRUBClassifier
from mlunlearn.graph import D2DGN, NodeClassifier
from mlunlearn.graph.requests import Deletion
from mlunlearn.networks import Rows
from mlunlearn.regression import BlindspotRegressor, GaussianAmnesiacRegressor
from mlunlearn.requests import ForgetRequest

ROWS = np.arange(7, 19)
OURS = (mlunlearn.base, D2DGN, BlindspotRegressor)
FOLDERS = [str(Path(inspect.getfile(part)).parents[0 if part is mlunlearn.base else 1]) for part in OURS]


def is_the_request(value):
    if isinstance(value, (ForgetRequest, Deletion)):
        return True
    if isinstance(value, Rows):
        return np.array_equal(value.positions, ROWS)
    return value is ROWS or (isinstance(value, tuple) and any(part is ROWS for part in value))


def files_on_the_stack():
    """Files whose functions were handed the request, outermost first."""
    frame, found = sys._getframe(1), []
    while frame is not None:
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount + 2]
        ours = frame.f_code.co_filename.startswith(tuple(FOLDERS))
        if ours and any(is_the_request(frame.f_locals.get(name)) for name in names):
            found.append("/".join(Path(frame.f_code.co_filename).parts[-2:]))
        frame = frame.f_back
    return list(dict.fromkeys(reversed(found)))


def files_on_the_way(model):
    """Files whose functions were handed the request, outermost first, at the first step that changes a parameter."""
    stacks = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: stacks.append(files_on_the_stack()))
    try:
        model.unlearn(ROWS)
    finally:
        handle.remove()
    return max(stacks, key=len)


@pytest.mark.parametrize(
    ("method", "file"),
    [
        (SCRUBClassifier, "scrub.py"),
        (BlindspotRegressor, "blindspot.py"),
        (GaussianAmnesiacRegressor, "gaussian.py"),
    ],
)
def test_a_request_passes_four_files(method, file):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = rng.normal(size=60) if method._task == "regressor" else np.arange(60) % 2
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1 if method._task == "regressor" else 2))
    model = method(FrozenEstimator(net), random_state=0).fit(X, y)
    *house, last = files_on_the_way(model)
    assert house == ["mlunlearn/base.py", "mlunlearn/state.py", "approximate/base.py"]
    assert last.endswith(file)


class Watched(GaussianNB):
    """Notes who asks it to learn."""

    seen: ClassVar = []

    def fit(self, X, y):
        self.seen.append(files_on_the_stack())
        return super().fit(X, y)


def test_a_request_to_shards_passes_three_files():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    model = SISAClassifier(Watched(), n_shards=2, random_state=0).fit(X, y)
    Watched.seen.clear()
    model.unlearn(ROWS)
    assert max(Watched.seen, key=len) == ["mlunlearn/base.py", "mlunlearn/state.py", "sharded/shards.py"]


def test_a_request_to_a_graph_passes_four_files():
    torch.manual_seed(0)
    data = Data(x=torch.randn(40, 5), edge_index=stochastic_blockmodel_graph([20, 20], [[0.3, 0.1], [0.1, 0.3]]))
    data.y, data.train_mask = torch.arange(40) // 20, torch.arange(40) % 4 > 0
    data.val_mask = ~data.train_mask
    model = D2DGN(NodeClassifier(GCN(5, 4, 2, 2), max_epochs=2), max_epochs=1, random_state=0).fit(data)
    files = files_on_the_way(model)
    assert len(files) <= 4, files
    assert files[-1] == "methods/d2dgn.py"
