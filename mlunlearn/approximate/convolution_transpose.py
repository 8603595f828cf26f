"""Convolution transpose: turn every kernel about its diagonal, and train on the retained rows."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.learning import learn
from mlunlearn.approximate.run import Run
from mlunlearn.networks.adoption import final_of
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.loop import cosine, sgd
from mlunlearn.parameters import check_count, check_positive, check_share


class ConvolutionTransposeClassifier(EditedClassifier):
    r"""Forget by swapping height and width of every kernel, and repairing the network on the retained rows.

    .. math:: K_{o i h w} \leftarrow K_{o i w h}

    for every square kernel of a two-dimensional convolution. The network is then trained on the retained rows at a
    learning rate that falls to zero along half a cosine.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    n_steps : int or None, default=None
        Gradient steps. None takes three passes over the retained rows, at least 50 steps.
    lr : float, default=0.05
        Learning rate of stochastic gradient descent.
    momentum : float, default=0.9
        Of the descent.
    batch_size : int or None, default=None
        Rows of a step; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : TorchClassifier or Pipeline
        The model after forgetting.
    classes_, n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    Notes
    -----
    Guarantee: approximate. Needs the retained rows with labels; reads nothing of the forgotten ones, which may have
    been erased. `fit` refuses a network without a square kernel of more than one weight. Changes all weights and the
    statistics of batch normalisation. Cost: the steps over the retained rows. The receipt tells how many
    kernels were transposed. Fails where kernels are symmetric, which it does not change; and a second request
    transposes back what the first one transposed.

    See Also
    --------
    MaskedSmallGradientsClassifier : Another recipe of the same competition.

    References
    ----------
    Fifth place of the NeurIPS 2023 machine unlearning challenge, as described in "Deep Unlearn: Benchmarking Machine
    Unlearning for Image Classification", arXiv:2410.01276. `published` gives its settings, whose learning rate repairs
    small networks hardly at all.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from torch import nn
    >>> from mlunlearn.approximate import ConvolutionTransposeClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    >>> model = ConvolutionTransposeClassifier(net, random_state=0).fit(X[:200].reshape(-1, 1, 8, 8), y[:200])
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.details
    {'transposed': 1}
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        n_steps: int | None = None,
        lr: float = 0.05,
        momentum: float = 0.9,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_steps = n_steps
        self.lr = lr
        self.momentum = momentum
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings of the competition's entry.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        ConvolutionTransposeClassifier
            Unfitted.
        """
        return cls(estimator, **{"lr": 1e-3, **others})

    def _check_settings(self) -> None:
        check_positive("lr", self.lr)
        check_share("momentum", self.momentum, one=False)
        for name in ("n_steps", "batch_size"):
            check_count(name, getattr(self, name), optional=True)

    def _fit(self, held_out: Any = None) -> None:
        super()._fit(held_out)
        square_kernels(final_of(self.estimator_).net_.module_)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        batch_size = self.batch_size or run.batch_size
        n_steps = self.n_steps or default_steps(len(retain), batch_size, epochs=3, at_least=50)
        transposed = transpose_kernels(module)
        learn(
            module,
            retain,
            run,
            batch_size=batch_size,
            n_steps=n_steps,
            optimizer=sgd(self.lr, self.momentum),
            schedule=cosine,
            label="repairing",
        )
        return {"transposed": transposed}


def square_kernels(module: nn.Module) -> list[Tensor]:
    """List the kernels that can be transposed.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    list of torch.Tensor
        Of two-dimensional convolutions, as high as wide, larger than one by one, and free to change.

    Raises
    ------
    ValueError
        If there are none.
    """
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Conv2d)]
    found = [w for w in weights if w.requires_grad and w.shape[-1] == w.shape[-2] > 1]
    if not found:
        raise ValueError(
            f"ConvolutionTransposeClassifier transposes kernels, and {type(module).__name__} has no trainable Conv2d "
            "with a square kernel of more than one weight; take a method that works on any network."
        )
    return found


@torch.no_grad()
def transpose_kernels(module: nn.Module) -> int:
    """Swap height and width of every square kernel.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place; doing so twice changes nothing.

    Returns
    -------
    int
        Kernels transposed.

    Examples
    --------
    >>> from torch import nn
    >>> from mlunlearn.approximate.convolution_transpose import transpose_kernels
    >>> net = nn.Conv2d(1, 1, 2)
    >>> before = net.weight.detach().clone()
    >>> transpose_kernels(net), bool((net.weight[0, 0] == before[0, 0].T).all())
    (1, True)
    """
    kernels = square_kernels(module)
    for kernel in kernels:
        kernel.copy_(kernel.transpose(-1, -2).clone())
    return len(kernels)
