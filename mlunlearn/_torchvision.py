"""Import torchvision, also the build for CUDA beside a torch for the CPU."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch

_SCHEMAS = ("nms", "qnms")
_DECLARED: list[Any] = []  # a library's declarations last as long as the object


def import_torchvision() -> ModuleType:
    """Import torchvision.

    Returns
    -------
    module
        ``torchvision``.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.

    Notes
    -----
    The registry's build for CUDA registers fake versions of operators that its library for CUDA defines; beside a
    torch for the CPU that library does not load and the import fails. The schemas are then declared here; whoever
    calls the operators still gets an error.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _SCHEMAS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)
    return importlib.import_module("torchvision")
