"""Divergences between a teacher and a student."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _SoftTargets(torch.autograd.Function):
    """Scaled divergences whose gradient is exactly zero where student and teacher agree to the bit.

    Adam turns a gradient made of rounding errors into full steps, so a student that has nothing to learn would drift.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        s, t = student / temperature, teacher / temperature
        target, answer = _probabilities(t), _probabilities(s)
        ctx.save_for_backward(answer - target)
        ctx.temperature = temperature
        if s.ndim == 1:
            logs = torch.nn.functional.logsigmoid
            divergence = target * (logs(t) - logs(s)) + (1 - target) * (logs(-t) - logs(-s))
        else:
            divergence = (target * (t.log_softmax(dim=1) - s.log_softmax(dim=1))).sum(dim=1)
        return temperature**2 * divergence.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> tuple[Tensor, None, None]:
        (gap,) = ctx.saved_tensors
        scale = grad[0] if gap.ndim == 1 else grad[0][:, None]
        return ctx.temperature * scale * gap, None, None


def _probabilities(logits: Tensor) -> Tensor:
    return logits.sigmoid() if logits.ndim == 1 else logits.softmax(dim=1)


def response_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Average the Kullback-Leibler divergence from a student's soft answers to a teacher's.

    Parameters
    ----------
    student, teacher : Tensor, shape (n, n_classes) or (n,)
        Logits of nodes, or scores of pairs, which stand for the two-point distribution of their sigmoid. The teacher's
        is the first argument of the divergence.
    temperature : float, default=1.0
        Divides the logits; the result is multiplied by its square.

    Returns
    -------
    Tensor
        One number, at least 0; 0 where there is nothing to average.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.graph.distillation.divergences import response_divergence
    >>> scores = torch.tensor([0.3, -2.0])
    >>> response_divergence(scores, scores).item(), round(response_divergence(scores, -scores).item(), 2)
    (0.0, 0.78)
    """
    if not len(student):
        return student.sum()
    return _SoftTargets.apply(student, teacher, temperature).mean()


def feature_distance(student: list[Tensor], teacher: list[Tensor], rows: Tensor) -> Tensor:
    """Sum over layers the mean squared distance of embeddings, divided by their widths.

    Parameters
    ----------
    student, teacher : list of Tensor, each of shape (n_nodes, d_l)
        Outputs of the layers.
    rows : Tensor of int or bool
        The nodes that count.

    Returns
    -------
    Tensor
        One number; 0 where there is nothing to average.
    """
    total = torch.zeros((), device=student[0].device)
    for h, target in zip(student, teacher, strict=True):
        difference = h[rows] - target[rows]
        total = total + difference.square().sum() / max(difference.numel(), 1)
    return total
