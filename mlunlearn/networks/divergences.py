"""How far two predictions are apart, averaged over the rows of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def kl(target: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    r"""Kullback-Leibler divergence :math:`\mathrm{KL}(p \,\|\, q)` of softmax outputs.

    Parameters
    ----------
    target : torch.Tensor of shape (n, n_classes)
        Logits of :math:`p`, such as those of the network before.
    logits : torch.Tensor of shape (n, n_classes)
        Logits of :math:`q`.
    temperature : float, default=1
        Divides both.

    Returns
    -------
    torch.Tensor of shape ()
        Mean over rows, of the sum over classes, in nats. Not multiplied by the square of the temperature.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import kl
    >>> round(kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]])).item(), 6)
    0.0
    """
    p = functional.log_softmax(target / temperature, dim=1)
    q = functional.log_softmax(logits / temperature, dim=1)
    return functional.kl_div(q, p, reduction="batchmean", log_target=True)


def js(first: Tensor, second: Tensor) -> Tensor:
    r"""Jensen-Shannon divergence of softmax outputs, in bits.

    With :math:`m = (p + q) / 2` it is :math:`\frac12 \mathrm{KL}(p \,\|\, m) + \frac12 \mathrm{KL}(q \,\|\, m)`.

    Parameters
    ----------
    first, second : torch.Tensor of shape (n, n_classes)
        Logits.

    Returns
    -------
    torch.Tensor of shape (n,)
        Between 0 and 1, for each row.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import js
    >>> js(torch.tensor([[99.0, 0.0]]), torch.tensor([[0.0, 99.0]])).tolist()
    [1.0]
    """
    p, q = functional.log_softmax(first, dim=1), functional.log_softmax(second, dim=1)
    m = torch.logaddexp(p, q) - math.log(2)
    return ((p.exp() * (p - m)).sum(dim=1) + (q.exp() * (q - m)).sum(dim=1)) / (2 * math.log(2))


def soft_cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    r"""Cross entropy :math:`-\sum_k t_k \log q_k` with soft targets.

    Parameters
    ----------
    target : torch.Tensor of shape (n, n_classes)
        Probabilities.
    logits : torch.Tensor of shape (n, n_classes)
        Logits of :math:`q`.

    Returns
    -------
    torch.Tensor of shape ()
        Mean over rows, in nats.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import soft_cross_entropy
    >>> round(soft_cross_entropy(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)).item(), 4)
    0.6931
    """
    return -(target * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()


def entropy(logits: Tensor) -> Tensor:
    """Entropy of softmax outputs.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Logits.

    Returns
    -------
    torch.Tensor of shape (n,)
        In nats, for each row.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import entropy
    >>> round(entropy(torch.zeros(1, 2)).item(), 4)
    0.6931
    """
    q = functional.log_softmax(logits, dim=1)
    return -(q.exp() * q).sum(dim=1)


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """One minus the cosine of the angle between embeddings.

    Parameters
    ----------
    first, second : torch.Tensor of shape (n, ...)
        Embeddings; further axes are flattened.

    Returns
    -------
    torch.Tensor of shape (n,)
        Between 0 and 2, for each row.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import cosine_distance
    >>> cosine_distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])).tolist()
    [1.0]
    """
    return 1 - functional.cosine_similarity(first.flatten(start_dim=1), second.flatten(start_dim=1), dim=1)
