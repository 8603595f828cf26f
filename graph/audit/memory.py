"""Peak memory of a piece of work in this process."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_PROCESS = Path("/proc/self")


@dataclass
class PeakMemory:
    """What was needed beyond what was held before.

    Parameters
    ----------
    mib : float
        Mebibytes; not a number until the work is done, or where the system does not tell.

    Examples
    --------
    >>> from mlunlearn.graph.audit import PeakMemory
    >>> PeakMemory().mib
    nan
    """

    mib: float = float("nan")


@contextmanager
def peak_memory(device: str = "cpu") -> Iterator[PeakMemory]:
    """Measure the peak memory of what is done inside, above what was held before it.

    Parameters
    ----------
    device : str, default='cpu'
        Where the work is done: the memory of a CUDA device, or of this process.

    Yields
    ------
    PeakMemory
        Filled in at the end.

    Notes
    -----
    On the CPU: the kernel's own peak of resident memory (``VmHWM``), set back before the work and after memory that
    is free was returned; on other systems than Linux, not a number. It belongs to the whole process, so nothing else
    should run in it, and work that finds room in memory which the allocator kept shows less than it used: some
    mebibytes. On CUDA: torch's own count of allocated memory, which is exact.

    Examples
    --------
    >>> from mlunlearn.graph.audit import peak_memory
    >>> with peak_memory() as peak:
    ...     held = [0] * 10
    >>> isinstance(peak.mib, float)
    True
    """
    peak = PeakMemory()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        torch.cuda.synchronize(device)
        peak.mib = (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    start = _start()
    yield peak
    if start is not None:
        peak.mib = max(0.0, (_resident("VmHWM") - start) / 1024)


def _start() -> float | None:
    """Return free memory, set the peak back, and say what is resident now; None where that cannot be done."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        (_PROCESS / "clear_refs").write_text("5")
    except (AttributeError, OSError, TypeError):
        return None
    return _resident("VmRSS")


def _resident(name: str) -> float:
    """Kibibytes, from what the kernel says of this process."""
    lines = (_PROCESS / "status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))
