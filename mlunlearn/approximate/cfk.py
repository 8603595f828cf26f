"""CF-k: catastrophic forgetting of the last k layers, which train on with the retained rows."""

from __future__ import annotations

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.last_layers import LastLayers


@described
class CFkClassifier(LastLayers, EditedClassifier):
    r"""Forget by training on the last :math:`k` layers with the retained rows alone, while the others are frozen.

    With the weights split into the first layers and the last :math:`k`, :math:`\theta = (\phi, \psi)`,

    .. math:: \min_\psi \mathbb{E}_{D_r} \ell(f_{\phi^*, \psi}(x), y), \qquad \psi_0 = \psi^*

    Parameters
    ----------
    %(estimator)s
    n_layers : int, default=1
        :math:`k`. A layer is the smallest part that runs and holds weights (a convolution, a linear map, a whole
        attention), with the normalisations that run after it; layers are counted in the order in which they run.
    max_epochs : int or None, default=None
        Passes over the retained rows; None takes ten.
    lr : float, default=0.01
        Learning rate, divided by ten after 50, 80 and 90 per cent of the steps.
    %(optimizer)s
    %(weight_decay)s
    %(batch_size)s
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    EUkClassifier : The same from untrained weights of the last layers.
    FineTuneClassifier : All layers.

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones, which may have
    been erased. Changes the last `n_layers` layers and the statistics of their normalisations; the others stay as they
    are to the bit, and run as they do when they predict. The receipt names the layers. Cost: `max_epochs` passes over
    the retained rows, without the gradients of the frozen layers. Fails where the rows are remembered in the frozen
    layers: what a probe on top of them reads is what it read before. With one layer it only hides.

    References
    ----------
    "Towards Adversarial Evaluations for Inexact Machine Unlearning", arXiv:2201.06640.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import CFkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    >>> model = CFkClassifier(net, n_layers=1, max_epochs=2, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.details
    {'layers': ['3']}
    """
