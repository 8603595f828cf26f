"""Means of gradients, refused where they are no numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def averaged(total: dict[str, Tensor], n: int) -> dict[str, Tensor]:
    """Divide sums of gradients by the number of their terms.

    Parameters
    ----------
    total : dict of str to torch.Tensor
        By name of a parameter.
    n : int
        Terms.

    Returns
    -------
    dict of str to torch.Tensor
        Their means.

    Raises
    ------
    FloatingPointError
        If a mean is not finite, from which nothing would follow about any weight.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks.averages import averaged
    >>> averaged({"weight": torch.tensor([6.0])}, 2)
    {'weight': tensor([3.])}
    """
    for name, value in total.items():
        if not bool(torch.isfinite(value).all()):
            raise FloatingPointError(
                f"gradients by {name} are not finite in the step that averages them: the loss of some row is no finite "
                "number, or its gradient too large for the precision of the network."
            )
    return {name: value / n for name, value in total.items()}
