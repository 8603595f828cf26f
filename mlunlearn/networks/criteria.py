"""What a classifier's network returns, read as logits, and the loss it was trained with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier
from torch import Tensor, nn
from torch.nn import functional


def logits_of(net: NeuralNet) -> Callable[[Tensor], Tensor]:
    """Read the output of a classifier's network as one logit a class.

    Parameters
    ----------
    net : skorch.NeuralNet
        A network trained with cross entropy returns logits; with ``NLLLoss``, as skorch uses it, probabilities; a
        binary classifier one number a row, the logit of the second class.

    Returns
    -------
    callable
        From output to logits of shape (n, n_classes).

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetBinaryClassifier
    >>> from torch import nn
    >>> from mlunlearn.networks import logits_of
    >>> net = NeuralNetBinaryClassifier(nn.Linear(2, 1)).initialize()
    >>> logits_of(net)(torch.tensor([[3.0]])).tolist()
    [[0.0, 3.0]]
    """
    if isinstance(net, NeuralNetBinaryClassifier):
        return lambda output: torch.stack([torch.zeros_like(output.reshape(-1)), output.reshape(-1)], dim=1)
    if isinstance(net.criterion_, nn.NLLLoss):
        return lambda output: torch.log(output + torch.finfo(output.dtype).eps)
    return lambda output: output


def class_loss(net: NeuralNet) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of logits against class numbers.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its criterion is the loss.

    Returns
    -------
    callable
        From logits, as `logits_of` gives them, and class numbers to the mean loss.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from mlunlearn.networks import class_loss
    >>> net = NeuralNetClassifier(nn.Linear(2, 2), criterion=nn.CrossEntropyLoss).initialize()
    >>> round(class_loss(net)(torch.zeros(1, 2), torch.tensor([1])).item(), 4)
    0.6931
    """
    criterion = net.criterion_
    if isinstance(net, NeuralNetBinaryClassifier):
        return lambda logits, y: criterion(logits[:, 1] - logits[:, 0], y.to(logits.dtype))
    if isinstance(criterion, nn.NLLLoss):
        return lambda logits, y: criterion(functional.log_softmax(logits, dim=1), y)
    return lambda logits, y: criterion(logits, y)
