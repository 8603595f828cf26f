"""Batches of rows, drawn by seed and read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mlunlearn.nets.casting import Inputs

T = TypeVar("T")
U = TypeVar("U")


class UndeclaredNeedError(RuntimeError):
    """A method reads what it did not declare that it needs.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import Batch
    >>> batch = Batch(torch.zeros(2, 3), None, torch.arange(2), torch.tensor([True, True]))
    >>> try:
    ...     batch.y
    ... except RuntimeError as error:
    ...     print(error)
    the targets of rows to forget are not among the needs that the method declares.
    """


@dataclass(frozen=True)
class Batch:
    """Rows that are read together, where the network is.

    Parameters
    ----------
    X : torch.Tensor of shape (n, ...) or dict of them
        Inputs, in the type that the network takes.
    targets : torch.Tensor of shape (n,) or (n, n_outputs), or None
        Targets; None where none may be read.
    rows : torch.Tensor of int, shape (n,)
        Positions in the data given to `fit`, on the CPU.
    forget : torch.Tensor of bool, shape (n,)
        Which of them are to be forgotten.
    hidden : torch.Tensor of bool, shape (n,), or None, default=None
        Rows whose targets may not be read.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.networks import Batch
    >>> batch = Batch(torch.zeros(3, 2), torch.arange(3), torch.tensor([4, 7, 9]), torch.tensor([True, False, False]))
    >>> len(batch), batch.part(~batch.forget).y.tolist()
    (3, [1, 2])
    """

    X: Inputs
    targets: Tensor | None
    rows: Tensor
    forget: Tensor
    hidden: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def y(self) -> Tensor:
        """Targets.

        Raises
        ------
        UndeclaredNeedError
            If some of them may not be read.
        """
        if self.targets is None or (self.hidden is not None and bool(self.hidden.any())):
            hidden = self.forget if self.hidden is None else self.forget & self.hidden
            which = "forget" if bool(hidden.any()) else "retain"
            raise UndeclaredNeedError(
                f"the targets of rows to {which} are not among the needs that the method declares."
            )
        return self.targets

    def part(self, mask: Tensor) -> Batch:
        """Return some rows of the batch.

        Parameters
        ----------
        mask : torch.Tensor of bool, shape (n,)
            Which.

        Returns
        -------
        Batch
            Its targets can be read if those of all its rows can.
        """
        X = {name: value[mask] for name, value in self.X.items()} if isinstance(self.X, dict) else self.X[mask]
        targets, hidden = (None if value is None else value[mask] for value in (self.targets, self.hidden))
        return Batch(X, targets, self.rows[mask.cpu()], self.forget[mask], hidden)


def step_batches(n_samples: int, batch_size: int, n_steps: int, seed: int) -> Iterator[Tensor]:
    """Draw the rows of each step: passes over all rows, shuffled anew for each.

    Parameters
    ----------
    n_samples : int
        Rows there are.
    batch_size : int
        Rows of a step. A single row left over at the end of a pass joins the last batch, since batch normalisation
        cannot train on one.
    n_steps : int
        Number of batches.
    seed : int
        Seed of the generator that shuffles; no other generator is used.

    Yields
    ------
    torch.Tensor of int, shape (at most batch_size + 1,)
        Row numbers.

    Examples
    --------
    >>> from mlunlearn.networks import step_batches
    >>> [len(rows) for rows in step_batches(9, 4, n_steps=3, seed=0)]
    [4, 5, 4]
    """
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while done < n_steps:
        parts = _cut(torch.randperm(n_samples, generator=generator), batch_size)
        yield from parts[: n_steps - done]
        done += len(parts)


def _cut(rows: Tensor, batch_size: int) -> list[Tensor]:
    parts = list(rows.split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def steps_of_pass(n_samples: int, batch_size: int) -> int:
    """Count the batches of one pass.

    Parameters
    ----------
    n_samples, batch_size : int
        Rows there are, and rows of a step.

    Returns
    -------
    int
        One less than usual where a single row is left over.

    Examples
    --------
    >>> from mlunlearn.networks.batches import steps_of_pass
    >>> [steps_of_pass(n, 4) for n in (1, 4, 5, 6, 9)]
    [1, 1, 1, 2, 2]
    """
    n_batches = -(-n_samples // batch_size)
    left_over = n_samples - (n_batches - 1) * batch_size
    return n_batches - (n_batches > 1 and left_over == 1)


class Rows:
    """Some rows of the training data, in batches that are read when they are needed.

    Parameters
    ----------
    positions : ndarray of int
        Ascending positions in the data given to `fit`.
    read : callable
        From positions to a `Batch`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mlunlearn.networks import Batch, Rows
    >>> def read(positions):
    ...     rows = torch.as_tensor(positions)
    ...     return Batch(rows[:, None].float(), rows, rows, torch.zeros(len(rows), dtype=torch.bool))
    >>> rows = Rows(np.array([2, 3, 5, 7]), read)
    >>> len(rows), [batch.y.tolist() for batch in rows.in_order(2)]
    (4, [[2, 3], [5, 7]])
    """

    def __init__(self, positions: np.ndarray, read: Callable[[np.ndarray], Batch]):
        self.positions = positions
        self._read = read

    def __len__(self) -> int:
        return len(self.positions)

    def steps(self, batch_size: int, n_steps: int, seed: int) -> Iterator[Batch]:
        """Draw a number of batches, see `step_batches`.

        Parameters
        ----------
        batch_size, n_steps : int
            Rows of a step, and steps.
        seed : int
            Seed of the shuffling.

        Yields
        ------
        Batch
            One a step.
        """
        for places in step_batches(len(self), batch_size, n_steps, seed):
            yield self._read(self.positions[places.numpy()])

    def passes(self, batch_size: int, n_passes: int, seed: int) -> Iterator[Batch]:
        """Draw the batches of whole passes, shuffled anew for each.

        Parameters
        ----------
        batch_size, n_passes : int
            Rows of a step, and passes.
        seed : int
            Seed of the shuffling.

        Yields
        ------
        Batch
            One a step.
        """
        yield from self.steps(batch_size, n_passes * self.n_steps(batch_size), seed)

    def n_steps(self, batch_size: int) -> int:
        """Count the steps of one pass.

        Parameters
        ----------
        batch_size : int
            Rows of a step.

        Returns
        -------
        int
            Batches.
        """
        return steps_of_pass(len(self), batch_size)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Read every row once, in the order of the data.

        Parameters
        ----------
        batch_size : int
            Rows of a batch.

        Yields
        ------
        Batch
            Consecutive rows.
        """
        for start in range(0, len(self), batch_size):
            yield self._read(self.positions[start : start + batch_size])

    def draw(self, n_rows: int, seed: int) -> Rows:
        """Draw some of the rows without putting any back.

        Parameters
        ----------
        n_rows : int
            How many; all where there are fewer.
        seed : int
            Seed of the draw.

        Returns
        -------
        Rows
            In ascending order.
        """
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).numpy()
        return self.where(np.sort(order[:n_rows]))

    def where(self, which: np.ndarray) -> Rows:
        """Select rows by place or by a mask.

        Parameters
        ----------
        which : ndarray of int or bool
            Places among these rows.

        Returns
        -------
        Rows
            Those rows.
        """
        return Rows(self.positions[which], self._read)

    def __or__(self, other: Rows) -> Rows:
        """Join rows of the same data, in ascending order."""
        return Rows(np.union1d(self.positions, other.positions), self._read)


def paired(first: Iterable[T], second: Callable[[], Iterable[U]]) -> Iterator[tuple[T, U]]:
    """Pair each batch of one side with one of another, which begins again where it ends.

    Parameters
    ----------
    first : iterable
        Batches, each of which is used once.
    second : callable
        Makes an iterable of batches of the other side, and is called again at each end.

    Yields
    ------
    tuple
        One of each.

    Examples
    --------
    >>> from mlunlearn.networks.batches import paired
    >>> list(paired("abc", lambda: [1, 2]))
    [('a', 1), ('b', 2), ('c', 1)]
    """
    again = chain.from_iterable(make() for make in repeat(second))
    yield from zip(first, again, strict=False)
