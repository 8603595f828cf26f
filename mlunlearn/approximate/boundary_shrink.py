"""Boundary shrink: teach the nearest other class for each row to forget."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate._inputs import numbers, spread_of
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.layers import device_of, forward
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_count, check_positive, check_share


class BoundaryShrinkClassifier(EditedClassifier):
    r"""Forget by giving each row to forget the class on the other side of the nearest boundary.

    The neighbour of a row is found by one step of the fast gradient sign method on the network before,

    .. math:: x' = x + \epsilon\, r \odot \mathrm{sign}\, \nabla_x \ell(f_{\theta^*}(x), y), \qquad
        y' = \arg\max_k f_{\theta^*}(x')_k

    where :math:`r` is the range of the inputs, in which :math:`x'` stays. Where the step does not cross a boundary,
    :math:`y'` is the runner-up at :math:`x'`. The network then learns :math:`y'` for :math:`x` by cross entropy.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    epsilon : float, default=0.1
        :math:`\epsilon`, as a share of the range of the inputs.
    max_epochs : int, default=10
        Passes over the rows to forget.
    lr : float, default=0.005
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
    Guarantee: approximate. Needs the rows to forget with their labels, and no retained row. The range is that of the
    rows to forget: of each column of a table, and of all numbers together where inputs have more axes, as images do.
    Changes all weights; the network stays in evaluation mode, since the statistics of batch normalisation would become
    those of the rows to forget. Cost: `max_epochs` passes over the rows to forget, and two to find their neighbours.
    The receipt tells how many steps crossed a boundary. Fails where nothing holds the retained rows: their accuracy
    falls with the number of steps. Needs inputs that are numbers.

    See Also
    --------
    BoundaryExpandClassifier : Gives the rows to forget a class of their own.

    References
    ----------
    "Boundary Unlearning: Rapid Forgetting of Deep Networks via Shifting the Decision Boundary", arXiv:2303.11570.
    `published` gives its settings, whose learning rate moves small networks hardly at all.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import BoundaryShrinkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BoundaryShrinkClassifier(nn.Linear(4, 3), max_epochs=2, random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    12
    """

    needs = frozenset({"forget", "forget_labels"})

    def __init__(
        self,
        estimator: Any,
        *,
        epsilon: float = 0.1,
        max_epochs: int = 10,
        lr: float = 5e-3,
        momentum: float = 0.9,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.epsilon = epsilon
        self.max_epochs = max_epochs
        self.lr = lr
        self.momentum = momentum
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings of the paper.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        BoundaryShrinkClassifier
            Unfitted.
        """
        return cls(estimator, **{"epsilon": 0.1, "max_epochs": 10, "lr": 1e-5, "momentum": 0.9, **others})

    def _check_settings(self) -> None:
        check_positive("epsilon", self.epsilon, zero=True)
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)
        check_share("momentum", self.momentum, one=False)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        batch_size = self.batch_size or run.batch_size
        neighbours, crossed = self._neighbours(forget, run)

        def loss_of(batch: Batch) -> Tensor:
            places = torch.searchsorted(torch.as_tensor(forget.positions), batch.rows)
            return run.loss(run.outputs(module, batch), neighbours[places.to(neighbours.device)])

        run.descend(
            module,
            loss_of,
            forget.passes(batch_size, self.max_epochs, run.seed("batches")),
            optimizer=sgd(self.lr, self.momentum),
            n_steps=self.max_epochs * forget.n_steps(batch_size),
            mode="eval",
            label="shrinking",
        )
        return {"crossed": crossed}

    def _neighbours(self, forget: Rows, run: Run) -> tuple[Tensor, int]:
        """Find a wrong class for each row to forget, in the order of the rows, and count the steps that led to it."""
        name = type(self).__name__
        spread = spread_of(forget, run.batch_size, name)
        step = self.epsilon * (spread.high - spread.low)
        found, crossed = [], 0
        for batch in forget.in_order(run.batch_size):
            X = numbers(batch, name).detach().clone().requires_grad_()
            loss = run.loss(run.read_outputs(forward(run.original, X)), batch.y)
            (slope,) = torch.autograd.grad(loss, X)
            with torch.no_grad():
                logits = run.read_outputs(forward(run.original, spread.inside(X + step * slope.sign())))
            nearest, hit = other_class(logits, batch.y)
            found.append(nearest)
            crossed += hit
        return torch.cat(found).to(device_of(run.module)), crossed


def other_class(logits: Tensor, y: Tensor) -> tuple[Tensor, int]:
    """Name the class of the largest logit other than the true one, and count where it is the largest of all.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Of the neighbours.
    y : torch.Tensor of int, shape (n,)
        True classes.

    Returns
    -------
    torch.Tensor of int, shape (n,)
        Never the true class.
    int
        Rows that a boundary lies in front of.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.boundary_shrink import other_class
    >>> other_class(torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), torch.tensor([0, 1]))
    (tensor([2, 0]), 1)
    """
    crossed = int((logits.argmax(dim=1) != y).sum())
    return logits.scatter(1, y[:, None], float("-inf")).argmax(dim=1), crossed
