"""The way of a request, from `unlearn` to the parameters that change: through at most four files.

A file counts if one of its functions is on the stack while a parameter changes, and was handed the request: the
positions that the user passed, the `ForgetRequest` made of them, or the rows to forget. What looks positions up and
has returned is not on the way, and neither is a loop, which is handed batches and a loss.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

import mlunlearn
from mlunlearn.approximate import SCRUBClassifier
from mlunlearn.networks import Rows
from mlunlearn.regression import BlindspotRegressor, GaussianAmnesiacRegressor
from mlunlearn.requests import ForgetRequest

ROWS = np.arange(7, 19)
FOLDERS = [str(Path(mlunlearn.__file__).parent), str(Path(BlindspotRegressor.__init__.__code__.co_filename).parent)]


def is_the_request(value):
    if isinstance(value, ForgetRequest):
        return True
    if isinstance(value, Rows):
        return np.array_equal(value.positions, ROWS)
    return value is ROWS or (isinstance(value, tuple) and any(part is ROWS for part in value))


def files_on_the_way(model):
    """Files whose functions were handed the request, outermost first, at the first step that changes a parameter."""
    stacks = []

    def look(optimizer, args, kwargs):
        frame, found = sys._getframe(1), []
        while frame is not None:
            names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount + 2]
            ours = frame.f_code.co_filename.startswith(tuple(FOLDERS))
            if ours and any(is_the_request(frame.f_locals.get(name)) for name in names):
                found.append("/".join(Path(frame.f_code.co_filename).parts[-2:]))
            frame = frame.f_back
        stacks.append(list(dict.fromkeys(reversed(found))))

    handle = register_optimizer_step_pre_hook(look)
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
