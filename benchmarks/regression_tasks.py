"""The tasks of the regression benchmark, and what was made smaller for a processor without an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.callbacks import LRScheduler

from mlunlearn.regression import (
    AllCNN,
    RegressionTask,
    ResNet18,
    Windows,
    diabetes_progression,
    load_forecaster,
    mufac_ages,
    read_ett,
    sts_benchmark,
)


@dataclass(frozen=True)
class Setting:
    """A task, and what was made smaller for a processor without an accelerator."""

    task: RegressionTask
    note: str


def diabetes(seed: int) -> Setting:
    task = diabetes_progression(seed=seed)
    task.net.set_params(optimizer__fused=True)
    return Setting(task, "all 309 training rows of a split drawn by the seed; MLP 10-64-64-1, 100 epochs")


def sts(seed: int) -> Setting:
    task = sts_benchmark(n_buckets=4096)
    annealed(task.net.set_params(module__n_dimensions=64, max_epochs=15, batch_size=128, lr=2e-3))
    return Setting(task, "all pairs; no GloVe file: hashed words (4,096), learned embedding of 64, 15 epochs")


def etth1(seed: int) -> Setting:
    series = read_ett()[["OT"]]
    hours = len(series)
    train, val = int(0.6 * hours), int(0.8 * hours)
    first = series.iloc[:train]
    scaled = (series - first.mean()) / first.std()
    parts = []
    for part in (scaled.iloc[:train], scaled.iloc[train - 96 : val], scaled.iloc[val - 96 :]):
        cutter = Windows(n_past=96, horizon=24, stride=12)
        X, y = cutter.cut(part, cutter.starts(part))
        parts += [X.astype(np.float32), y]
    net = annealed(load_forecaster(max_epochs=30, n_hidden=32).set_params(lr=3e-3))
    task = RegressionTask("ETTh1", *parts, net, "standard deviations")
    return Setting(task, "oil temperature, 96 hours to 24, a window every 12 hours; band by the mean of the target")


def mufac(
    seed: int,
    *,
    size: int = 32,
    images: int | None = None,
    epochs: int = 20,
    network: str = "allcnn",
    device: str = "cpu",
) -> Setting:
    task = mufac_ages(size=size, limit=images, module={"allcnn": AllCNN, "resnet18": ResNet18}[network])
    narrow = {"module__width": 0.125} if network == "allcnn" else {}
    annealed(task.net.set_params(module__padding=size // 8, max_epochs=epochs, batch_size=64, lr=3e-3, device=device))
    task.net.set_params(**narrow)
    kind = "AllCNN of an eighth of the width" if narrow else "ResNet-18"
    return Setting(task, f"{len(task.X):,} of 10,025 images at {size}x{size}; {kind}, {epochs} epochs")


def annealed(net: Any) -> Any:
    """Let the learning rate fall along half a cosine: short trainings that end in noise have no noise floor to tell."""
    schedule = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=net.max_epochs)
    return net.set_params(callbacks=[("schedule", schedule)], optimizer__fused=True)


TASKS: dict[str, Callable[..., Setting]] = {"diabetes": diabetes, "sts": sts, "etth1": etth1, "mufac": mufac}
