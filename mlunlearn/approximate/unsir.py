"""UNSIR: impair a class by noise that stands for the opposite of it, and repair the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mlunlearn.approximate._inputs import Spread, numbers, spread_of
from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.run import Run
from mlunlearn.exceptions import ForgetRequestError
from mlunlearn.networks.batches import Rows, step_batches, steps_of_pass
from mlunlearn.networks.budgets import default_steps
from mlunlearn.networks.layers import forward
from mlunlearn.networks.loop import adam
from mlunlearn.parameters import check_choice, check_count, check_positive

_CLASSES_WORTH = 80 * 32 / 500  # 80 copies of 32 inputs beside 500 rows of each kept class


class UNSIRClassifier(EditedClassifier):
    r"""Forget classes without their rows: learn noise that contradicts a class, impair with it, and repair.

    For a class :math:`c` a batch of inputs :math:`N` is learned on the network before,

    .. math:: \min_N\; -\ell(f_{\theta^*}(N), c) + \lambda\, \mathbb{E} \| N \|^2

    Copies of it, labelled :math:`c`, and some rows of each kept class then impair the network in a pass of training,
    and training on those rows alone repairs it.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    n_noise : int, default=32
        Inputs in :math:`N`.
    noise_steps : int, default=25
        Steps of Adam that learn them.
    noise_lr : float, default=0.1
        Learning rate of these steps, in standard deviations of the inputs.
    penalty : float, default=0.1
        :math:`\lambda`, where :math:`N` is counted in standard deviations from the mean of the inputs.
    n_copies : int or None, default=None
        Copies of :math:`N` in the impairing pass. None takes as many as stand for 5.12 kept classes, as the published
        80 copies beside 500 rows a class do.
    rows_per_class : int, default=500
        Retained rows of each kept class, or all where there are fewer.
    max_epochs : int, default=1
        Impairing passes.
    repair_steps : int or None, default=None
        Steps of the repair. None takes one pass over the kept rows, at least 20 steps.
    lr : float, default=0.01
        Learning rate of Adam in the impairing passes.
    repair_lr : float, default=0.01
        Learning rate of Adam in the repairing passes.
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
    Guarantee: approximate. Serves requests that name classes, ``unlearn(classes=[label])``, and refuses others before
    anything changes. Needs the retained rows with labels, and no row of the classes. Mean and standard deviation are
    those of the kept rows: of each column of a table, and of all numbers together where inputs have more axes, as
    images do. Changes all weights and the statistics of batch normalisation. Cost: a look at the retained rows and
    their labels, one at the kept rows, and the passes over these and the noise. Fails where classes look alike: what
    impairs one impairs the other, and one pass does not repair it. Needs inputs that are numbers.

    References
    ----------
    "Fast Yet Effective Machine Unlearning", arXiv:2111.08947. `published` gives its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import UNSIRClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = UNSIRClassifier(nn.Linear(4, 3), random_state=0).fit(X, y)
    >>> model.unlearn(classes=[2]).receipts_[-1].work.details
    {'copies': 8, 'kept': 100}
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        n_noise: int = 32,
        noise_steps: int = 25,
        noise_lr: float = 0.1,
        penalty: float = 0.1,
        n_copies: int | None = None,
        rows_per_class: int = 500,
        max_epochs: int = 1,
        repair_steps: int | None = None,
        lr: float = 0.01,
        repair_lr: float = 0.01,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_noise = n_noise
        self.noise_steps = noise_steps
        self.noise_lr = noise_lr
        self.penalty = penalty
        self.n_copies = n_copies
        self.rows_per_class = rows_per_class
        self.max_epochs = max_epochs
        self.repair_steps = repair_steps
        self.lr = lr
        self.repair_lr = repair_lr
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, source: Literal["paper", "ssd"] = "paper", **others: Any) -> Self:
        """Use published settings.

        Parameters
        ----------
        estimator : as for the class
            The network.
        source : {'paper', 'ssd'}, default='paper'
            The paper's learning rates, or those with which the code of selective synaptic dampening runs it.
        **others
            Further parameters of the class.

        Returns
        -------
        UNSIRClassifier
            Unfitted.
        """
        check_choice("source", source, ("paper", "ssd"))
        rates = {"lr": 0.02, "repair_lr": 0.01} if source == "paper" else {"lr": 1e-4, "repair_lr": 1e-4}
        return cls(estimator, **{**rates, "n_copies": 80, **others})

    def _check_settings(self) -> None:
        for name in ("n_noise", "noise_steps", "rows_per_class", "max_epochs"):
            check_count(name, getattr(self, name))
        for name in ("n_copies", "repair_steps", "batch_size"):
            check_count(name, getattr(self, name), optional=True)
        for name in ("noise_lr", "lr", "repair_lr"):
            check_positive(name, getattr(self, name))
        check_positive("penalty", self.penalty, zero=True)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        if not run.classes:
            raise ForgetRequestError(
                f"{type(self).__name__} forgets whole classes, and this request names rows: call "
                "unlearn(classes=[label]), or take a method that forgets rows."
            )
        batch_size = self.batch_size or run.batch_size
        kept, n_classes = self._kept(retain, batch_size, run)
        spread = spread_of(kept, batch_size, type(self).__name__)
        shape = numbers(next(kept.draw(1, run.seed("shape")).in_order(1)), type(self).__name__).shape[1:]
        noise, labels = self._learn_noise(spread, shape, run)
        copies = self.n_copies or max(round(_CLASSES_WORTH * len(kept) / n_classes / self.n_noise), 1)
        repair_steps = self.repair_steps or default_steps(len(kept), batch_size, epochs=1, at_least=20)
        n_steps = self.max_epochs * steps_of_pass(len(kept) + copies * len(noise), batch_size)
        run.descend(
            module,
            lambda part: run.loss(run.read_outputs(forward(module, part[0])), part[1]),
            mixed(kept, noise, labels, copies, batch_size, n_steps, run.seed("impair")),
            optimizer=adam(self.lr),
            n_steps=n_steps,
            label="impairing",
        )
        run.descend(
            module,
            run.training_loss(module),
            kept.steps(batch_size, repair_steps, run.seed("repair")),
            optimizer=adam(self.repair_lr),
            n_steps=repair_steps,
            label="repairing",
        )
        return {"copies": copies, "kept": len(kept)}

    def _kept(self, retain: Rows, batch_size: int, run: Run) -> tuple[Rows, int]:
        """Draw rows of each kept class, and count these classes."""
        y = torch.cat([batch.y.cpu() for batch in retain.in_order(batch_size)])
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(run.seed("kept rows")))
        of_class = [order[y[order] == k][: self.rows_per_class] for k in y.unique()]
        return retain.where(torch.cat(of_class).sort().values.numpy()), len(of_class)

    def _learn_noise(self, spread: Spread, shape: torch.Size, run: Run) -> tuple[Tensor, Tensor]:
        """Learn inputs that the network before takes for anything but their label."""
        labels = torch.tensor(run.classes).repeat_interleave(self.n_noise).to(spread.mean.device)
        start = torch.randn((len(labels), *shape), generator=torch.Generator().manual_seed(run.seed("noise")))
        noise = Noise(start, spread)

        def loss_of(step: int) -> Tensor:
            outputs = run.read_outputs(forward(run.original, noise()))
            return self.penalty * noise.z.square().flatten(start_dim=1).sum(dim=1).mean() - run.loss(outputs, labels)

        run.descend(
            noise,
            loss_of,
            range(self.noise_steps),
            optimizer=adam(self.noise_lr),
            n_steps=self.noise_steps,
            label="learning noise",
        )
        return noise().detach(), labels


class Noise(nn.Module):
    """Inputs that are learned.

    Parameters
    ----------
    start : torch.Tensor of shape (n, ...)
        In standard deviations from the mean.
    spread : Spread
        Of inputs.
    """

    def __init__(self, start: Tensor, spread: Spread):
        super().__init__()
        self.z = nn.Parameter(start.to(spread.mean))
        self._spread = spread

    def forward(self) -> Tensor:
        """Return the inputs in their own units."""
        return self._spread.mean + self._spread.deviation * self.z


def mixed(
    kept: Rows, noise: Tensor, labels: Tensor, copies: int, batch_size: int, n_steps: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw batches of rows and of copies of noise, shuffled together.

    Parameters
    ----------
    kept : Rows
        With labels.
    noise : torch.Tensor of shape (n_noise, ...)
        Inputs.
    labels : torch.Tensor of int, shape (n_noise,)
        Their labels.
    copies : int
        How often each of them stands in a pass.
    batch_size, n_steps : int
        Inputs of a step, and steps.
    seed : int
        Seed of the shuffling.

    Yields
    ------
    X : torch.Tensor of shape (n, ...)
        Rows first, then noise.
    y : torch.Tensor of int, shape (n,)
        Labels.
    """
    for places in step_batches(len(kept) + copies * len(noise), batch_size, n_steps, seed):
        rows = places[places < len(kept)].numpy()
        made = (places[places >= len(kept)] - len(kept)) % len(noise)
        X, y = [noise[made]], [labels[made]]
        for batch in kept.where(rows).in_order(batch_size + 1):
            X.insert(0, numbers(batch, "UNSIRClassifier"))
            y.insert(0, batch.y)
        yield torch.cat(X), torch.cat(y)
