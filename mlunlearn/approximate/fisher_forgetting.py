"""Fisher forgetting: noise on the weights that the retained rows say little about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.nets.casting import Inputs
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.curvature import Vector, fisher_diagonal, trainable
from mlunlearn.parameters import check_choice, check_positive, check_share

_EPSILON, _LARGEST, _LARGEST_OF_HEAD = 1e-8, 1e3, 1e2
_WIDER, _VARIANCE_OF_CLASS = 10, 1e-4  # of the authors' code


@described
class FisherForgettingClassifier(EditedClassifier):
    r"""Forget by noise whose variance is the inverse of what the retained rows tell about a weight.

    .. math:: \theta_i = \theta^*_i + \sqrt{\alpha / F_i}\; z_i, \quad z_i \sim \mathcal N(0, 1), \qquad
        F_i = \mathbb{E}_{D_r} \sum_k p_k(x) \left(\partial_{\theta_i} \log p_k(x)\right)^2

    where :math:`p_k` is the probability of class :math:`k` under the network before. No :math:`1 / F_i` is larger than
    1000.

    Parameters
    ----------
    %(estimator)s
    alpha : float, default=0.001
        :math:`\alpha`: forgetting against usefulness.
    retain_share : float, default=1
        Share of the retained rows that the information is estimated on.
    variant : {'definition', 'official'}, default='definition'
        The latter follows the authors' code: variances are averaged over the inputs of a unit; those of the head, for
        which no :math:`1 / F_i` is larger than 100, and of vectors such as biases are ten times as large; and the
        weights of a forgotten class in the head are drawn around 0 with variance 0.001.
    batch_size : int or None, default=None
        Rows that are read at once; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and noise.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs the inputs of the retained rows; no label, and no row to forget: the sum goes over all
    classes. Changes all weights; the network stays in evaluation mode. Cost: a pass over the retained rows with one
    gradient of each row for each class. Fails because one number trades forgetting against usefulness, and because
    noise does not know what is to be forgotten: it blurs what only few rows support, whoever they are.

    References
    ----------
    "Eternal Sunshine of the Spotless Net: Selective Forgetting in Deep Networks", arXiv:1911.04933. `published` gives
    the settings of the authors' code.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import FisherForgettingClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = FisherForgettingClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    147
    """

    needs = frozenset({"retain"})

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float = 1e-3,
        retain_share: float = 1.0,
        variant: Literal["definition", "official"] = "definition",
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.retain_share = retain_share
        self.variant = variant
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings of the authors' code.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        FisherForgettingClassifier
            Unfitted.
        """
        return cls(estimator, **{"alpha": 1e-6, "variant": "official", **others})

    def _check_settings(self) -> None:
        check_positive("alpha", self.alpha, zero=True)
        check_share("retain_share", self.retain_share, zero=False)
        check_choice("variant", self.variant, ("definition", "official"))

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        rows = retain.draw(max(round(self.retain_share * len(retain)), 1), run.seed("retained rows"))
        fisher = class_fisher(module, rows, run, self.batch_size or run.batch_size)
        inverse = {name: (1 / (value + _EPSILON)).clamp(max=_LARGEST) for name, value in fisher.items()}
        mean = trainable(module)
        variance = {name: self.alpha * value for name, value in inverse.items()}
        if self.variant == "official":
            mean, variance = self._official(mean, inverse, run.n_outputs, list(run.classes))
        noise = torch.Generator().manual_seed(run.seed("noise"))
        for name, value in trainable(module).items():
            drawn = torch.randn(value.shape, generator=noise).to(value)
            value.copy_(mean[name] + variance[name].sqrt().to(value) * drawn)

    def _official(self, mean: Vector, inverse: Vector, n_outputs: int, classes: list[int]) -> tuple[Vector, Vector]:
        """Mean and variance of each weight in the authors' code, which knows the head by its number of outputs."""
        means, variances = {}, {}
        for name, value in mean.items():
            head = len(value) == n_outputs
            spread = self.alpha * (inverse[name].clamp(max=_LARGEST_OF_HEAD) if head else inverse[name])
            if value.ndim > 1:
                spread = spread.mean(dim=1, keepdim=True).expand_as(value).clone()
            centre = value.clone()
            if head:
                centre[classes], spread[classes] = 0.0, _VARIANCE_OF_CLASS
            means[name], variances[name] = centre, spread * (_WIDER if head or value.ndim == 1 else 1)
        return means, variances


def class_fisher(module: nn.Module, rows: Rows, run: Run, batch_size: int) -> Vector:
    """Diagonal of the Fisher information of the network's own predictions.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    rows : Rows
        Only inputs are read.
    run : Run
        Reads outputs as logits.
    batch_size : int
        Rows that are read at once.

    Returns
    -------
    dict of str to torch.Tensor
        By name of a parameter that requires a gradient.
    """

    def loss(output: Tensor, y: Tensor) -> Tensor:
        logits = run.read_outputs(output)[:, : run.n_outputs]
        weight = functional.softmax(logits.detach(), dim=1).gather(1, y[:, None]).sqrt()
        return (weight * -functional.log_softmax(logits, dim=1).gather(1, y[:, None])).mean()

    def each_class() -> Iterator[tuple[Inputs, Tensor]]:
        batches = run.progress(rows.in_order(batch_size), "information", -(-len(rows) // batch_size))
        for batch in batches:
            for k in range(run.n_outputs):
                yield batch.X, torch.full_like(batch.forget, k, dtype=torch.long)

    mean = fisher_diagonal(module, loss, each_class())
    return {name: run.n_outputs * value for name, value in mean.items()}
