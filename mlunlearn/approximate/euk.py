"""EU-k: the last k layers are trained anew on the retained rows."""

from __future__ import annotations

import torch
from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.last_layers import LastLayers
from mlunlearn.approximate.run import Run
from mlunlearn.networks.depth import Layer


@described
class EUkClassifier(LastLayers, EditedClassifier):
    r"""Forget by training the last :math:`k` layers anew on the retained rows, while the others are frozen.

    With the weights split into the first layers and the last :math:`k`, :math:`\theta = (\phi, \psi)`, and untrained
    weights :math:`\psi_u`,

    .. math:: \min_\psi \mathbb{E}_{D_r} \ell(f_{\phi^*, \psi}(x), y), \qquad \psi_0 = \psi_u

    Parameters
    ----------
    %(estimator)s
    n_layers : int, default=1
        :math:`k`. A layer is the smallest part that runs and holds weights (a convolution, a linear map, a whole
        attention), with the normalisations that run after it; layers are counted in the order in which they run.
    max_epochs : int or None, default=None
        Passes over the retained rows; None takes as many as training took.
    lr : float, default=0.01
        Learning rate, divided by ten after 50, 80 and 90 per cent of the steps.
    %(optimizer)s
    %(weight_decay)s
    %(batch_size)s
    random_state : int, RandomState instance or None, default=None
        Seeds training, the untrained weights and the batches.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    CFkClassifier : The same from the trained weights of the last layers.
    RestartClassifier : All layers.

    Notes
    -----
    Guarantee: approximate: of the last layers no weight is a function of a forgotten row but through the frozen ones.
    Needs the retained rows with labels; reads nothing of the forgotten ones, which may have been erased. Changes the
    last `n_layers` layers and the statistics of their normalisations; the others stay as they are to the bit, and run
    as they do when they predict. Where the network was passed as an instance of a module, its weights as passed are
    the untrained ones; otherwise they are drawn anew. The receipt names the layers. Cost: `max_epochs` passes over the
    retained rows, without the gradients of the frozen layers. How long a frozen module was trained is not known and is
    taken for 20 epochs. Fails where the rows are remembered in the frozen layers: what a probe on top of them reads is
    what it read before.

    References
    ----------
    "Towards Adversarial Evaluations for Inexact Machine Unlearning", arXiv:2201.06640.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import EUkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    >>> model = EUkClassifier(net, n_layers=2, max_epochs=2, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.details
    {'layers': ['0', '3']}
    """

    def _default_epochs(self, run: Run) -> int:
        return run.epochs

    @torch.no_grad()
    def _start(self, module: nn.Module, last: list[Layer], run: Run) -> None:
        untrained = _tensors(run.fresh("weights"))
        trained = _tensors(module)
        for name in (name for layer in last for name in layer.tensors):
            if trained[name].requires_grad or not isinstance(trained[name], nn.Parameter):
                trained[name].copy_(untrained[name])


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict([*module.named_parameters(), *module.named_buffers()])
