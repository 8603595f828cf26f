"""Boundary expand: give the rows to forget a class of their own, and drop it."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.layers import device_of, recorded
from mlunlearn.networks.loop import sgd
from mlunlearn.parameters import check_count


@described
class BoundaryExpandClassifier(EditedClassifier):
    r"""Forget by teaching a class that does not exist for the rows to forget, and dropping its output.

    With the embedding :math:`e_\theta(x)` that the head is given, one logit is appended to the :math:`C` there are,

    .. math:: \min_{\theta, w, b} \mathbb{E}_{D_f}\, \mathrm{CE}\left(
        \left[f_\theta(x),\; w^\top e_\theta(x) + b\right],\; C + 1\right)

    and :math:`w` and :math:`b` are thrown away. The outputs keep their number.

    Parameters
    ----------
    %(estimator)s
    max_epochs : int, default=10
        Passes over the rows to forget.
    lr : float, default=0.005
        Learning rate of stochastic gradient descent.
    momentum : float, default=0.9
        Of the descent.
    %(batch_size)s
    head : str or None, default=None
        Name of the submodule that turns embeddings into outputs; None finds it.
    %(seed_and_bar)s

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs the inputs of the rows to forget; no label, and no retained row. Changes all weights;
    the network stays in evaluation mode, since the statistics of batch normalisation would become those of the rows to
    forget. Cost: `max_epochs` passes over the rows to forget. The receipt names the head. Fails for rows of
    several classes, at which one new class pulls alike, and where nothing holds the retained rows: their accuracy falls
    with the number of steps.

    See Also
    --------
    BoundaryShrinkClassifier : Gives each row the nearest class there is.

    References
    ----------
    "Boundary Unlearning: Rapid Forgetting of Deep Networks via Shifting the Decision Boundary", arXiv:2303.11570.
    `published` gives its settings, whose learning rate moves small networks hardly at all.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import BoundaryExpandClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> model = BoundaryExpandClassifier(net, random_state=0).fit(X, y).unlearn([3, 17, 60])
    >>> model.receipts_[-1].work.details, model.predict_proba(X).shape
    ({'head': '2'}, (150, 3))
    """

    needs = frozenset({"forget"})

    def __init__(
        self,
        estimator: Any,
        *,
        max_epochs: int = 10,
        lr: float = 5e-3,
        momentum: float = 0.9,
        batch_size: int | None = None,
        head: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.max_epochs = max_epochs
        self.lr = lr
        self.momentum = momentum
        self.batch_size = batch_size
        self.head = head
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
        BoundaryExpandClassifier
            Unfitted.
        """
        return cls(estimator, **{"max_epochs": 10, "lr": 1e-5, "momentum": 0.9, **others})

    def _check_settings(self) -> None:
        check_count("max_epochs", self.max_epochs)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        batch_size = self.batch_size or run.batch_size
        extra = self._extra_logit(module, forget, run)

        def loss_of(batch: Batch) -> Tensor:
            with recorded(module, [run.head.name], inputs=True) as embeddings:
                logits = run.outputs(module, batch)
            logits = torch.cat([logits, extra(embeddings[0].flatten(start_dim=1))], dim=1)
            return functional.cross_entropy(logits, torch.full_like(batch.forget, run.n_outputs, dtype=torch.long))

        run.descend(
            module,
            loss_of,
            forget.passes(batch_size, self.max_epochs, run.seed("batches")),
            optimizer=sgd(self.lr, self.momentum),
            n_steps=self.max_epochs * forget.n_steps(batch_size),
            mode="eval",
            parameters=[p for part in (module, extra) for p in part.parameters() if p.requires_grad],
            label="expanding",
        )
        return {"head": run.head.name}

    def _extra_logit(self, module: nn.Module, forget: Rows, run: Run) -> nn.Module:
        """Make the layer of the class that does not exist, for embeddings as the head is given them."""
        few = next(forget.draw(1, run.seed("width")).in_order(1))
        with torch.no_grad():
            width = run.head.embed(run.original, few.X)[0].numel()
        device = device_of(module)
        with seeded(run.seed("extra logit"), str(device)):
            return nn.Linear(width, 1).to(device)
