"""Masked small gradients: draw anew what neither side holds on to, and train on the retained rows."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.curvature import Vector
from mlunlearn.networks.gradients import mean_gradient, top_share
from mlunlearn.networks.layers import device_of
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_positive, check_share

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@described
class MaskedSmallGradientsClassifier(EditedClassifier):
    r"""Forget by drawing anew the weights with the smallest gradients, and training mostly these on the retained rows.

    With a sample :math:`D_s` of the retained rows that is as large as :math:`D_f`,

    .. math:: g = \nabla_\theta \left(\mathbb{E}_{D_s} \ell - \mathbb{E}_{D_f} \ell\right)(\theta^*)

    In each convolution, or in each linear layer of a network without convolutions, the weights with the smallest
    :math:`|g_i|` are drawn anew (He's normal distribution by the fan-out). The network is then trained on the retained
    rows at a learning rate that rises to its peak in the first half of the steps and falls to zero in the second;
    gradients of the weights that were kept in these layers are multiplied by `kept_factor`.

    Parameters
    ----------
    %(estimator)s
    share : float, default=0.3
        Share of the weights of each of these layers that is drawn anew.
    kept_factor : float, default=0.1
        What gradients of the others are multiplied by.
    n_steps : int or None, default=None
        Gradient steps. None takes five passes over the retained rows, at least 50 steps.
    lr : float, default=0.05
        Peak of the learning rate of stochastic gradient descent.
    momentum : float, default=0.9
        Of the descent.
    weight_decay : float, default=0.0005
        L2 penalty.
    %(batch_size)s
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs all rows with their labels. Changes all weights and the statistics of batch
    normalisation. Cost: one pass over the rows to forget, as many retained rows, and the steps over the
    retained rows. The receipt tells how many weights were drawn anew. Fails where the steps are too few to repair the
    damage, which costs usefulness on retained and forgotten rows alike.

    See Also
    --------
    ConvolutionTransposeClassifier : Another recipe of the same competition.

    References
    ----------
    Second place of the NeurIPS 2023 machine unlearning challenge, as described in "Deep Unlearn: Benchmarking Machine
    Unlearning for Image Classification", arXiv:2410.01276. `published` gives its settings, whose learning rate repairs
    small networks hardly at all.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import MaskedSmallGradientsClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MaskedSmallGradientsClassifier(nn.Linear(4, 3), share=0.25, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.details
    {'drawn': 3}
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        share: float = 0.3,
        kept_factor: float = 0.1,
        n_steps: int | None = None,
        lr: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.share = share
        self.kept_factor = kept_factor
        self.n_steps = n_steps
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
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
        MaskedSmallGradientsClassifier
            Unfitted.
        """
        return cls(estimator, **{"share": 0.3, "kept_factor": 0.1, "lr": 1e-3, **others})

    def _check_settings(self) -> None:
        check_share("share", self.share)
        check_positive("kept_factor", self.kept_factor, zero=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        batch_size = self.batch_size or run.batch_size
        n_steps = self.n_steps or default_steps(len(retain), batch_size, epochs=5, at_least=50)
        drawn = self._small(module, forget, retain.draw(len(forget), run.seed("sample")), batch_size, run)
        draw_anew(module, drawn, run.seed("weights"))
        run.learn(
            module,
            retain,
            batch_size=batch_size,
            n_steps=n_steps,
            optimizer=sgd(self.lr, self.momentum, self.weight_decay),
            schedule=triangle,
            masks={name: mask + self.kept_factor * ~mask for name, mask in drawn.items()},
            label="repairing",
        )
        return {"drawn": sum(int(mask.sum()) for mask in drawn.values())}

    def _small(self, module: nn.Module, forget: Rows, sample: Rows, batch_size: int, run: Run) -> Vector:
        """Mark the weights of each layer on which the two sides differ least."""
        loss_of = run.training_loss(module)
        ours, theirs = (mean_gradient(module, loss_of, rows.in_order(batch_size)) for rows in (sample, forget))
        kept = (top_share({name: ours[name] - theirs[name]}, 1 - self.share) for name in kernels(module))
        return {name: ~mask for layer in kept for name, mask in layer.items()}


def kernels(module: nn.Module) -> list[str]:
    """Name the weights of all convolutions, or of all linear layers where there are none.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    list of str
        Parameters that require a gradient.

    Raises
    ------
    ValueError
        If there is neither.
    """
    for kinds in (_CONVOLUTIONS, (nn.Linear,)):
        parts = [(name, part) for name, part in module.named_modules() if isinstance(part, kinds)]
        found = [f"{name}.weight".removeprefix(".") for name, part in parts if part.weight.requires_grad]
        if found:
            return found
    raise ValueError(f"{type(module).__name__} has no convolution and no linear layer to draw weights of anew.")


@torch.no_grad()
def draw_anew(module: nn.Module, drawn: Vector, seed: int) -> None:
    """Draw some weights from He's normal distribution by the fan-out.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    drawn : dict of str to torch.Tensor of bool
        By name of a parameter, which of its weights.
    seed : int
        Seed of the new weights.
    """
    with seeded(seed, str(device_of(module))):
        for name, mask in drawn.items():
            weight = module.get_parameter(name)
            fresh = nn.init.kaiming_normal_(torch.empty_like(weight), mode="fan_out", nonlinearity="relu")
            weight.copy_(torch.where(mask, fresh, weight))


def triangle(optimizer: Optimizer, n_steps: int) -> LRScheduler:
    """Let the learning rate rise from nothing to its peak in the middle of the steps, and fall again.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of the loop.
    n_steps : int
        Steps of the loop.

    Returns
    -------
    torch.optim.lr_scheduler.LRScheduler
        To be stepped after each step.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.masked_small_gradients import triangle
    >>> schedule = triangle(torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=1.0), 3)
    >>> [schedule.lr_lambdas[0](step) for step in range(3)]
    [0.5, 1.0, 0.5]
    """
    middle = (n_steps + 1) / 2
    return LambdaLR(optimizer, lambda step: max(1 - abs(step + 1 - middle) / middle, 0.0))
