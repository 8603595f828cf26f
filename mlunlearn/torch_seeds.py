"""Torch's generators, seeded for a while and then as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch

from mlunlearn.generators import seeded_numpy_and_python
from mlunlearn.training import one_thread

_TRAINING = RLock()  # torch draws from one generator per process, so threads take turns


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed the global generators for a while, and restore them; one thread trains, one model at a time in a process.

    Those of numpy and Python are seeded as well, from which some modules and datasets draw.

    Parameters
    ----------
    seed : int
        The seed.
    device : str, default="cpu"
        Where the model is; the generator of a CUDA device is seeded too.
    """
    devices = [torch.device(device).index or 0] if str(device).startswith("cuda") else []
    with _TRAINING, one_thread(), seeded_numpy_and_python(seed), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
