"""LoTUS: smooth the predictions on the rows to forget until they are as accurate as on rows never seen."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.divergences import soft_cross_entropy
from mlunlearn.networks.loop import Descent, adamw
from mlunlearn.parameters import check_count, check_positive, check_share

_ENOUGH = 0.01


class LoTUSClassifier(EditedClassifier):
    r"""Forget by imitating a smoothed version of the network before on the rows to forget.

    The network before, the teacher, has logits :math:`z`. The network learns, by cross entropy, the soft sample
    :math:`\mathrm{softmax}((z + g) / \tau)` with Gumbel noise :math:`g` on rows to forget, and the class
    :math:`\arg\max (z + g)` on a share of the retained ones. Before each pass the temperature follows the accuracy
    :math:`A_f` on the rows to forget and the accuracy :math:`A_v` on rows never seen,

    .. math:: \tau = \exp(\alpha (A_f - A_v))

    and forgetting ends as soon as :math:`A_f` is a hundredth below :math:`A_v`.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=3
        Passes over the rows to forget and the share of the retained ones, at most.
    alpha : float, default=2
        :math:`\alpha`: the larger, the smoother the predictions that are imitated.
    retain_share : float, default=0.3
        Share of the retained rows that are read.
    lr : float, default=0.001
        Learning rate of AdamW.
    weight_decay : float, default=0.0005
        Of AdamW.
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
    Guarantee: approximate. Needs the inputs of the retained rows, not their labels, and the rows to forget with labels,
    which are only counted. :math:`A_v` is the teacher's accuracy on rows given as ``fit(..., held_out=(X, y))``, and
    without them that of guessing, one over the number of classes: too much is forgotten then where similar rows
    remain. It is 0 where a class is forgotten. Changes all weights and the statistics of batch normalisation. Cost:
    `max_epochs` passes over `retain_share` of the retained rows, and twice that over the rows to forget. The receipt
    names the accuracies and the temperatures. Fails on whole classes of small networks, where a smoothed prediction
    still names the class, and where the teacher is not confident: classes drawn for retained rows are then noise.

    References
    ----------
    "LoTUS: Large-Scale Machine Unlearning with a Taste of Uncertainty", arXiv:2503.18314. `published` gives the
    settings of the authors' code, whose learning rate moves small networks hardly at all.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import LoTUSClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LoTUSClassifier(nn.Linear(4, 3), random_state=0).fit(X[::2], y[::2], held_out=(X[1::2], y[1::2]))
    >>> sorted(model.unlearn([3, 17, 60]).receipts_[-1].work.details)
    ['forget_accuracy', 'target_accuracy', 'temperature']
    """

    needs = frozenset({"retain", "forget", "forget_labels"})
    moves_buffers = True
    takes_held_out = True

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 3,
        alpha: float = 2.0,
        retain_share: float = 0.3,
        lr: float = 1e-3,
        weight_decay: float = 5e-4,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.alpha = alpha
        self.retain_share = retain_share
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings that the authors' code starts with.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        LoTUSClassifier
            Unfitted.
        """
        return cls(estimator, **{"alpha": 1.0, "lr": 1e-4, "batch_size": 128, **others})

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)
        check_share("retain_share", self.retain_share)
        check_positive("lr", self.lr)
        for name in ("alpha", "weight_decay"):
            check_positive(name, getattr(self, name), zero=True)
        check_count("batch_size", self.batch_size, optional=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        target, accuracies, temperatures = self._target(run), [], []
        rows = forget | retain.draw(max(round(self.retain_share * len(retain)), 1), run.seed("retained rows"))
        noise = torch.Generator(next(module.parameters()).device).manual_seed(run.seed("noise"))
        batch_size = self.batch_size or run.batch_size
        n_steps = self.max_epochs * rows.n_steps(batch_size)
        with Descent(module, adamw(self.lr, self.weight_decay), n_steps=n_steps) as descent:
            for epoch in run.progress(range(self.max_epochs), "smoothing"):
                accuracies.append(run.accuracy(module, forget))
                if accuracies[-1] <= target - _ENOUGH:
                    break
                temperatures.append(math.exp(self.alpha * (accuracies[-1] - target)))
                for batch in rows.passes(batch_size, 1, run.seed(f"batches {epoch}")):
                    taught = smoothed(run.outputs(run.original, batch), batch.forget, temperatures[-1], noise)
                    descent.step(soft_cross_entropy(taught, run.outputs(module, batch)))
        return {"target_accuracy": target, "forget_accuracy": accuracies, "temperature": temperatures}

    def _target(self, run: Run) -> float:
        """Accuracy on the rows to forget of a network that never saw them."""
        if run.classes:
            return 0.0
        return 1 / run.n_outputs if run.held_out is None else run.accuracy(run.original, run.held_out)


def smoothed(logits: Tensor, forget: Tensor, temperature: float, noise: torch.Generator) -> Tensor:
    """Draw what the network learns: soft samples for rows to forget, and classes for the others.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Of the network before.
    forget : torch.Tensor of bool, shape (n,)
        Rows to forget.
    temperature : float
        Of the soft samples.
    noise : torch.Generator
        Draws the Gumbel noise.

    Returns
    -------
    torch.Tensor of shape (n, n_classes)
        Probabilities.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.lotus import smoothed
    >>> logits, noise = torch.tensor([[60.0, 0.0], [60.0, 0.0]]), torch.Generator().manual_seed(0)
    >>> smoothed(logits, torch.tensor([True, False]), 1e6, noise).round(decimals=2).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    gumbel = -torch.empty_like(logits).exponential_(generator=noise).log()
    perturbed = logits + gumbel
    hard = functional.one_hot(perturbed.argmax(dim=1), logits.shape[1]).to(logits)
    return torch.where(forget[:, None], functional.softmax(perturbed / temperature, dim=1), hard)
