"""What a network descends that imitates blindspot models on the rows to forget."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mlunlearn.regression.activations import MapKind, attention_distance, recorded
from mlunlearn.regression.editing import Edit
from mlunlearn.regression.losses import agreeing, first_output


def blindspot_loss(
    edit: Edit,
    teachers: Sequence[nn.Module],
    rows: torch.Tensor,
    *,
    layers: Sequence[str] = (),
    weight: float = 50.0,
    imitation: float = 1.0,
    kind: MapKind = "unit",
) -> torch.Tensor:
    """Loss of one batch: labels for the rows to keep, blindspot models for those to forget.

    Parameters
    ----------
    edit : Edit
        The network, the data and which rows to forget.
    teachers : sequence of torch.nn.Module
        Frozen blindspot models, in evaluation mode.
    rows : torch.Tensor of int, shape (n,)
        The batch.
    layers : sequence of str, default=()
        Submodules whose activations are compared.
    weight : float, default=50
        Weight of the attention term.
    imitation : float, default=1
        Weight of everything about the rows to forget.
    kind : {'unit', 'official'}, default='unit'
        Map of two-dimensional activations.

    Returns
    -------
    torch.Tensor of shape ()
        The loss. A term without rows is left out; labels of rows to forget are never read.
    """
    forget = edit.forget[rows]
    share = forget.double().mean().item()
    with recorded(edit.module, layers) as activations:
        prediction = edit.predict(rows)
    mask = forget.to(prediction.device)
    total = torch.zeros((), device=prediction.device)
    if share < 1:
        total = total + (1 - share) * edit.loss(prediction[~mask], edit.y[rows[~forget]])
    if share > 0:
        student = [activation[mask] for activation in activations]
        total = total + imitation * share * _imitation(
            edit, teachers, rows[forget], prediction[mask], student, layers, weight, kind
        )
    return total


def _imitation(
    edit: Edit,
    teachers: Sequence[nn.Module],
    rows: torch.Tensor,
    prediction: torch.Tensor,
    student: list[torch.Tensor],
    layers: Sequence[str],
    weight: float,
    kind: MapKind,
) -> torch.Tensor:
    """Distance to the mean output of the teachers, and the mean distance to their attention maps."""
    outputs, distances = [], []
    for teacher in teachers:
        with torch.no_grad(), recorded(teacher, layers) as activations:
            outputs.append(first_output(teacher(edit.inputs(rows))))
        if student:
            distances.append(attention_distance(student, activations, kind))
    loss = edit.criterion(*agreeing(prediction, torch.stack(outputs).mean(dim=0)))
    return loss + weight * torch.stack(distances).mean() if distances else loss
