"""What a method is given besides the network and the rows: request, seeds, loss, loop and other networks."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mlunlearn.networks.batches import Batch, Rows, UndeclaredNeedError
from mlunlearn.networks.budgets import steps_within
from mlunlearn.networks.layers import Head, find_head, forward
from mlunlearn.networks.loop import MakeOptimizer, descend
from mlunlearn.requests import ForgetRequest
from mlunlearn.training.seeds import derive_seeds

T = TypeVar("T")


@dataclass
class Run:
    """One request as a method sees it.

    Parameters
    ----------
    request : ForgetRequest
        What was asked: positions, and the classes where classes were named.
    module : torch.nn.Module
        The network that is edited.
    before : torch.nn.Module
        The same network as it serves now; not changed.
    forget, retain : Rows
        Rows to forget and to keep.
    held_out : Rows or None
        Rows given as ``fit(..., held_out=(X, y))``, with their labels; None where there are none.
    classes : tuple of int
        Numbers of the outputs of the classes that were named.
    n_outputs : int
        Outputs of the network: classes of a classifier.
    batch_size, epochs : int
        Of the training: rows of a step, and passes.
    root : int
        Seed of this request.
    read_outputs : callable
        From what the network returns to logits or values.
    criterion : callable
        From those and the targets of a batch to the mean loss.
    read_labels : callable
        From positions to the targets at them.
    fresh_network : callable
        From a seed to an untrained network.
    initial_network : callable or None
        Makes the network at its initial weights; None where the method does not declare that it needs them.
    needs : frozenset of str
        What the method declares that it reads.
    head_name : str or None, default=None
        The submodule that the user takes for the head.
    verbose : int, default=0
        Show progress bars.

    See Also
    --------
    mlunlearn.approximate.EditedClassifier : Where this is used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import EditedClassifier
    >>> class Look(EditedClassifier):
    ...     needs = frozenset({"retain"})
    ...
    ...     def __init__(self, estimator, *, random_state=None):
    ...         self.estimator = estimator
    ...         self.random_state = random_state
    ...
    ...     def _edit(self, module, forget, retain, run):
    ...         return {"classes": run.classes, "rows": len(retain), "head": run.head.name}
    >>> X, y = load_iris(return_X_y=True)
    >>> model = Look(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), random_state=0).fit(X, y)
    >>> model.unlearn(classes=[1]).receipts_[-1].work.details
    {'classes': (1,), 'rows': 100, 'head': '2'}
    """

    request: ForgetRequest
    module: nn.Module
    before: nn.Module
    forget: Rows
    retain: Rows
    held_out: Rows | None
    classes: tuple[int, ...]
    n_outputs: int
    batch_size: int
    epochs: int
    root: int
    read_outputs: Callable[[Tensor], Tensor]
    criterion: Callable[[Tensor, Tensor], Tensor]
    read_labels: Callable[[np.ndarray], Tensor]
    fresh_network: Callable[[int], nn.Module]
    initial_network: Callable[[], nn.Module] | None
    needs: frozenset[str]
    head_name: str | None = None
    verbose: int = 0

    # ------------------------------------------------------------ networks

    @cached_property
    def original(self) -> nn.Module:
        """The network before this request, frozen and in evaluation mode."""
        return copy.deepcopy(self.before).eval().requires_grad_(False)

    def fresh(self, purpose: str) -> nn.Module:
        """Make an untrained network of the same architecture, in evaluation mode.

        Parameters
        ----------
        purpose : str
            Names the seed, see `seed`.

        Returns
        -------
        torch.nn.Module
            With gradients, to be trained or left as it is.
        """
        return self.fresh_network(self.seed(purpose)).eval()

    def initial(self) -> nn.Module:
        """Make the network at the weights from which it was trained, in evaluation mode.

        Returns
        -------
        torch.nn.Module
            A new one at each call.

        Raises
        ------
        UndeclaredNeedError
            If the method does not declare that it needs them.
        """
        if self.initial_network is None:
            raise UndeclaredNeedError("initial weights are not among the needs that the method declares.")
        return self.initial_network().eval()

    @cached_property
    def head(self) -> Head:
        """The part that turns embeddings into outputs: named by the user, or found by running the network once."""
        rows = self.forget if "forget" in self.needs else self.retain
        return find_head(self.original, next(rows.where(np.arange(min(2, len(rows)))).in_order(2)).X, self.head_name)

    # ------------------------------------------------------- loss and seeds

    def seed(self, purpose: str) -> int:
        """Derive a seed from the root seed, the number of the request and a purpose.

        Parameters
        ----------
        purpose : str
            What it is for, such as ``"batches"``.

        Returns
        -------
        int
            The same for the same model, request and purpose.
        """
        return derive_seeds(self.root, zlib.crc32(purpose.encode()))[0]

    def outputs(self, module: nn.Module, batch: Batch) -> Tensor:
        """Run a network on a batch, in the mode it is in.

        Parameters
        ----------
        module : torch.nn.Module
            The one that is edited, or another of the same architecture.
        batch : Batch
            Only its inputs are read.

        Returns
        -------
        torch.Tensor of shape (n, n_outputs)
            Logits of a classifier, whatever its criterion; values of a regressor. Frozen networks give no gradient.
        """
        return self.read_outputs(forward(module, batch.X))

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Compute the loss that the network was trained with.

        Parameters
        ----------
        outputs : torch.Tensor of shape (n, n_outputs)
            As `outputs` returns them.
        y : torch.Tensor of shape (n,) or (n, n_outputs)
            Targets of the batch.

        Returns
        -------
        torch.Tensor of shape ()
            Mean over rows.
        """
        return self.criterion(outputs, y)

    def labels(self, rows: Rows) -> Tensor:
        """Read the targets of rows without their inputs, which counts for no sample.

        Parameters
        ----------
        rows : Rows
            Whose targets the method declares that it needs.

        Returns
        -------
        torch.Tensor of shape (n,) or (n, n_outputs)
            In the order of the data.
        """
        return self.read_labels(rows.positions)

    def training_loss(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        """Make the loss that a network is trained with a function of the batch.

        Parameters
        ----------
        module : torch.nn.Module
            Runs in the mode it is in.

        Returns
        -------
        callable
            From a batch, whose labels are read, to its mean loss.
        """
        return lambda batch: self.loss(self.outputs(module, batch), batch.y)

    @torch.no_grad()
    def scan(self, module: nn.Module, rows: Rows) -> Iterator[tuple[Tensor, Batch]]:
        """Run a network over rows in evaluation mode, without gradients.

        Parameters
        ----------
        module : torch.nn.Module
            Left in the mode it was in.
        rows : Rows
            Each is read once.

        Yields
        ------
        outputs : torch.Tensor of shape (n, n_outputs)
            Logits or values.
        batch : Batch
            What they are for.
        """
        modes = {part: part.training for part in module.modules()}
        module.eval()
        try:
            for batch in rows.in_order(self.batch_size):
                yield self.outputs(module, batch), batch
        finally:
            for part, training in modes.items():
                part.training = training

    def accuracy(self, module: nn.Module, rows: Rows) -> float:
        """Share of rows whose label is the largest output.

        Parameters
        ----------
        module : torch.nn.Module
            The network of a classifier.
        rows : Rows
            With labels.

        Returns
        -------
        float
            Counted by row.
        """
        right = sum(int((logits.argmax(dim=1) == batch.y).sum()) for logits, batch in self.scan(module, rows))
        return right / len(rows)

    # ------------------------------------------------------------- the loop

    def steps_within(self, budget: float, batch_size: int | None = None) -> int:
        """Turn a share of training on the retained rows into steps.

        Parameters
        ----------
        budget : float
            Share of the samples that such a training reads.
        batch_size : int or None, default=None
            Rows of a step; None takes those of the training.

        Returns
        -------
        int
            At least 60.
        """
        return steps_within(budget, len(self.retain), batch_size or self.batch_size, self.epochs)

    def descend(
        self,
        module: nn.Module,
        loss_of: Callable[[Any], Tensor | None],
        batches: Iterable[Any],
        *,
        optimizer: MakeOptimizer,
        label: str | None = None,
        **options: Any,
    ) -> int:
        """Take one gradient step a batch, see `mlunlearn.networks.descend`.

        Parameters
        ----------
        module : torch.nn.Module
            Changed in place.
        loss_of : callable
            From a batch to its loss.
        batches : iterable
            Of `forget`, `retain`, or both.
        optimizer : callable
            See `mlunlearn.networks.adam` and `mlunlearn.networks.sgd`.
        label : str or None, default=None
            Name of a progress bar, which is shown if the method is verbose.
        **options : dict
            Further ones.

        Returns
        -------
        int
            Steps taken.
        """
        label = label if self.verbose else None
        return descend(module, loss_of, batches, optimizer=optimizer, label=label, **options)

    def learn(
        self,
        module: nn.Module,
        rows: Rows,
        *,
        n_steps: int,
        batch_size: int | None = None,
        purpose: str = "batches",
        penalty: Callable[[int], Tensor | None] | None = None,
        **options: Any,
    ) -> int:
        """Train a network on rows and their targets, with the loss it was trained with, in passes shuffled anew.

        Parameters
        ----------
        module : torch.nn.Module
            Changed in place.
        rows : Rows
            What it learns from.
        n_steps : int
            Gradient steps.
        batch_size : int or None, default=None
            Rows of a step; None takes those of the training.
        purpose : str, default='batches'
            Names the seed of the shuffling, see `seed`.
        penalty : callable or None, default=None
            From the number of a step, counted from 0, to what is added to its loss; None adds nothing.
        **options : dict
            ``optimizer`` and, where wanted, ``schedule``, ``mode``, ``parameters``, ``masks``, ``autocast``, ``label``.

        Returns
        -------
        int
            Steps taken.
        """
        training_loss = self.training_loss(module)

        def loss_of(numbered: tuple[int, Batch]) -> Tensor:
            step, batch = numbered
            loss = training_loss(batch)
            added = None if penalty is None else penalty(step)
            return loss if added is None else loss + added

        batches = enumerate(rows.steps(batch_size or self.batch_size, n_steps, self.seed(purpose)))
        return self.descend(module, loss_of, batches, n_steps=n_steps, **options)

    def progress(self, of: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        """Show how far a method is, if it is verbose.

        Parameters
        ----------
        of : iterable
            What is run through.
        label : str
            Name of the bar.
        total : int or None, default=None
            How many there are.

        Returns
        -------
        iterable
            The same things.
        """
        return tqdm(of, desc=label, total=total, disable=not self.verbose)
