"""JiT: make the network less sensitive around the rows to forget."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate._inputs import numbers, spread_of
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.layers import forward
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_choice, check_count, check_positive


class JiTClassifier(EditedClassifier):
    r"""Forget by smoothing the network around the rows to forget: just in time, with nothing but these rows.

    The network minimises its Lipschitz constant there, as it is seen in :math:`N` copies of each row that are perturbed
    by Gaussian noise :math:`\xi_j` and stay in the range of the inputs,

    .. math:: \min_\theta \frac1N \sum_{j=1}^N \mathbb{E}_{x \sim D_f}
        \frac{\| f_\theta(x) - f_\theta(x'_j) \|}{\| x - x'_j \|}, \qquad x'_j = x + \sigma \xi_j

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    noise : float, default=0.5
        :math:`\sigma`, in standard deviations of the inputs.
    n_copies : int, default=25
        :math:`N`.
    variant : {'definition', 'official'}, default='definition'
        The latter lets no gradient flow through the perturbed copies, as the authors' code does.
    max_epochs : int, default=1
        Passes over the rows to forget.
    lr : float, default=0.05
        Learning rate of stochastic gradient descent.
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
    Guarantee: approximate. Needs the inputs of the rows to forget; no label, and no retained row. Range and standard
    deviation are those of the rows to forget: of each column of a table, and of all numbers together where inputs have
    more axes, as images do. Changes all weights; the network stays in evaluation mode. Cost: a look at the inputs and
    `max_epochs` passes over the rows to forget, each row in `n_copies` perturbed copies besides. Fails by its learning
    rate, where a little less does nothing and a little more flattens the whole network, and for scattered rows with
    retained neighbours, which are flattened as much. Needs inputs that are numbers.

    The authors' loop never clears the gradients, so that each step repeats all those before; here they are cleared.
    Without a gradient through the copies a row is only drawn to the mean of what is around it, and the slopes need not
    fall.

    References
    ----------
    "Zero-Shot Machine Unlearning at Scale via Lipschitz Regularization", arXiv:2402.01401. `published` gives its
    settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import JiTClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = JiTClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> model.unlearn([3, 17, 60]).receipts_[-1].work.samples
    6
    """

    needs = frozenset({"forget"})

    def __init__(
        self,
        estimator: Any,
        *,
        noise: float = 0.5,
        n_copies: int = 25,
        variant: Literal["definition", "official"] = "definition",
        max_epochs: int = 1,
        lr: float = 0.05,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.noise = noise
        self.n_copies = n_copies
        self.variant = variant
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, network: Literal["vgg", "vit"] = "vgg", **others: Any) -> Self:
        """Use the settings of the paper.

        Parameters
        ----------
        estimator : as for the class
            The network.
        network : {'vgg', 'vit'}, default='vgg'
            For VGG16, or for a vision transformer that forgets a class.
        **others
            Further parameters of the class.

        Returns
        -------
        JiTClassifier
            Unfitted.
        """
        check_choice("network", network, ("vgg", "vit"))
        settings = {"noise": 0.5, "lr": 3e-4} if network == "vgg" else {"noise": 0.8, "lr": 1.5}
        return cls(estimator, **{**settings, "n_copies": 25, "max_epochs": 1, "variant": "official", **others})

    def _check_settings(self) -> None:
        check_positive("noise", self.noise)
        check_count("n_copies", self.n_copies)
        check_choice("variant", self.variant, ("definition", "official"))
        check_count("max_epochs", self.max_epochs)
        check_positive("lr", self.lr)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> None:
        name, batch_size = type(self).__name__, self.batch_size or run.batch_size
        spread = spread_of(forget, batch_size, name)
        generator = torch.Generator().manual_seed(run.seed("noise"))

        def loss_of(batch: Batch) -> Tensor:
            X, outputs = numbers(batch, name), run.outputs(module, batch)
            slopes = []
            for _ in range(self.n_copies):
                noise = torch.randn(X.shape, generator=generator).to(X) * self.noise * spread.deviation
                copy = spread.inside(X + noise)
                with torch.set_grad_enabled(self.variant == "definition"):
                    moved = run.read_outputs(forward(module, copy))
                slopes.append(slope(outputs - moved, X - copy))
            return torch.stack(slopes).mean()

        run.descend(
            module,
            loss_of,
            forget.passes(batch_size, self.max_epochs, run.seed("batches")),
            optimizer=sgd(self.lr),
            n_steps=self.max_epochs * forget.n_steps(batch_size),
            mode="eval",
            label="smoothing",
        )


def slope(rise: Tensor, moves: Tensor) -> Tensor:
    """Divide how far outputs are apart by how far inputs are apart.

    Parameters
    ----------
    rise : torch.Tensor of shape (n, n_outputs)
        Differences of outputs.
    moves : torch.Tensor of shape (n, ...)
        Differences of inputs.

    Returns
    -------
    torch.Tensor of shape ()
        Mean over rows; one whose input did not move counts as flat.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.jit import slope
    >>> slope(torch.tensor([[3.0, 4.0], [3.0, 4.0]]), torch.tensor([[[0.0, 5.0]], [[0.0, 0.0]]])).item()
    0.5
    """
    lengths = torch.linalg.vector_norm(moves.flatten(start_dim=1), dim=1)
    ratios = torch.linalg.vector_norm(rise, dim=1) / lengths.where(lengths > 0, torch.ones_like(lengths))
    return ratios.where(lengths > 0, torch.zeros_like(ratios)).mean()
