"""What a network descends that imitates blindspot models on the rows to forget."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch
from mlunlearn.networks.layers import recorded
from mlunlearn.regression.methods.activations import MapKind, attention_distance


def blindspot_loss(
    run: Run,
    module: nn.Module,
    teachers: Sequence[nn.Module],
    batch: Batch,
    *,
    layers: Sequence[str] = (),
    weight: float = 50.0,
    imitation: float = 1.0,
    kind: MapKind = "unit",
) -> Tensor:
    """Loss of one batch: labels for the rows to keep, blindspot models for those to forget.

    Parameters
    ----------
    run : Run
        The loss of the training.
    module : torch.nn.Module
        The network.
    teachers : sequence of torch.nn.Module
        Frozen blindspot models, in evaluation mode.
    batch : Batch
        Rows of both sides, or of one.
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
    gone = batch.forget
    share = gone.double().mean().item()
    with recorded(module, layers) as activations:
        prediction = run.outputs(module, batch)
    total = torch.zeros((), device=prediction.device)
    if share < 1:
        total = total + (1 - share) * run.loss(prediction[~gone], batch.part(~gone).y)
    if share > 0:
        student = [activation[gone] for activation in activations]
        total = total + imitation * share * _imitation(
            run, teachers, batch.part(gone), prediction[gone], student, layers, weight, kind
        )
    return total


def _imitation(
    run: Run,
    teachers: Sequence[nn.Module],
    batch: Batch,
    prediction: Tensor,
    student: list[Tensor],
    layers: Sequence[str],
    weight: float,
    kind: MapKind,
) -> Tensor:
    """Distance to the mean output of the teachers, and the mean distance to their attention maps."""
    outputs, distances = [], []
    for teacher in teachers:
        with torch.no_grad(), recorded(teacher, layers) as activations:
            outputs.append(run.outputs(teacher, batch))
        if student:
            distances.append(attention_distance(student, activations, kind))
    loss = run.loss(prediction, torch.stack(outputs).mean(dim=0))
    return loss + weight * torch.stack(distances).mean() if distances else loss
