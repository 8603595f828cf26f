"""Torch's generators, seeded for a while and then as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mlunlearn.training.generators import TURNS, KeptGenerators, SeededGenerators
from mlunlearn.training.threads import one_thread


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
    with TURNS, one_thread(), KeptGenerators(), SeededGenerators(seed), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
