"""What selective dampening and its successors share: importances of weights, and weights made smaller by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mlunlearn.approximate.run import Run
from mlunlearn.nets.casting import Inputs
from mlunlearn.networks.batches import Batch, Rows
from mlunlearn.networks.curvature import Loss, Vector, mean_over_samples
from mlunlearn.networks.gradients import mean_over_batches
from mlunlearn.parameters import check_choice, check_flag

_MEMORY = 2**26  # numbers: gradients of single samples that are held at once
_ROUNDING = 1e-9  # by which a ratio has to be above a threshold


@dataclass(frozen=True)
class Importances:
    """How much the outputs for some rows depend on each weight, and how much those for others do.

    Parameters
    ----------
    forget, reference : dict of str to torch.Tensor
        Not negative, in float64, by name of a parameter.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.dampening import Importances
    >>> found = Importances({"w": torch.tensor([4.0, 1.0, 0.0])}, {"w": torch.tensor([2.0, 0.0, 0.0])})
    >>> found.ratios().tolist()
    [2.0]
    """

    forget: Vector
    reference: Vector

    def ratios(self) -> np.ndarray:
        """Divide the one by the other, where the other is not zero.

        Returns
        -------
        ndarray of shape (n_finite,)
            Over the whole network.
        """
        parts = [self.forget[name][r > 0] / r[r > 0] for name, r in self.reference.items()]
        return torch.cat([part.flatten() for part in parts]).cpu().numpy()

    def percentile(self, percent: float) -> float:
        """Find the ratio below which a share of all finite ones lies.

        Parameters
        ----------
        percent : float
            Between 0 and 100.

        Returns
        -------
        float
            Infinite where no ratio is finite.
        """
        ratios = self.ratios()
        return float(np.percentile(ratios, percent)) if len(ratios) else float("inf")

    def ladder(self, n_rungs: int) -> list[float]:
        """Choose thresholds that select more and more weights, from none to almost all.

        Parameters
        ----------
        n_rungs : int
            How many, or fewer where there are few weights.

        Returns
        -------
        list of float
            Descending, positive ratios, with numbers of larger ones in geometric progression.
        """
        ratios = self.ratios()
        ratios = np.sort(ratios[ratios > 0])[::-1]
        if not len(ratios):
            return [1.0]
        places = np.unique(np.geomspace(1, len(ratios), n_rungs).astype(int)) - 1
        return ratios[places].tolist()


class Dampener:
    """Dampens the weights of a network, as often as wanted and each time from where they stood at first.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    importances : Importances
        Of its weights.
    dampening : float, default=1
        The larger, the less is taken away.

    Examples
    --------
    >>> import torch
    >>> from mlunlearn.approximate.dampening import Dampener, Importances
    >>> net = torch.nn.Linear(2, 1, bias=False)
    >>> net.weight.data = torch.tensor([[3.0, 5.0]])
    >>> found = Importances({"weight": torch.tensor([[4.0, 1.0]])}, {"weight": torch.tensor([[2.0, 2.0]])})
    >>> Dampener(net, found)(alpha=1.5), net.weight.tolist()
    (1, [[1.5, 5.0]])
    """

    def __init__(self, module: nn.Module, importances: Importances, dampening: float = 1.0):
        self.importances = importances
        self._dampening = dampening
        self._weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._start = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def __call__(self, alpha: float) -> int:
        """Dampen the weights whose ratio of importances is above a threshold.

        Parameters
        ----------
        alpha : float
            The threshold.

        Returns
        -------
        int
            How many those are.
        """
        n_selected = 0
        for name, start in self._start.items():
            forget, reference = self.importances.forget[name], self.importances.reference[name]
            selected = forget > alpha * (1 + _ROUNDING) * reference
            share = (self._dampening * reference / forget).clamp(max=1)
            self._weights[name].copy_(torch.where(selected, (share * start).to(start), start))
            n_selected += int(selected.sum())
        return n_selected


class Dampening:
    """What the methods share that dampen selected weights; each says how it measures importance and what threshold it
    takes."""

    if TYPE_CHECKING:  # what a method brings along
        needs: ClassVar[frozenset[str]]

    per_sample: bool
    reference: Literal["all", "retain"] = "all"
    batch_size: int | None

    def _size(self, gradient: Tensor) -> Tensor:
        """Return the absolute value of a gradient, or another measure of its size."""
        return gradient.abs()

    def _norm(self, outputs: Tensor) -> Tensor:
        """Return what the outputs of a batch are differentiated as, where no label is read."""
        return outputs.square().sum(dim=1).mean()

    def _check_settings(self) -> None:
        check_flag("per_sample", self.per_sample)
        check_choice("reference", self.reference, ("all", "retain"))

    def _dampener(self, module: nn.Module, run: Run, dampening: float = 1.0) -> Dampener:
        find = self._per_sample if self.per_sample else self._per_batch
        forget, reference = find(module, run)
        return Dampener(module, Importances(forget, reference), dampening)

    def _per_sample(self, module: nn.Module, run: Run) -> tuple[Vector, Vector]:
        """Average over rows; those to forget are read once, though they belong to all."""
        chunk = max(1, min(64, _MEMORY // max(1, sum(p.numel() for p in module.parameters()))))
        forget, retain = (
            _double(mean_over_samples(self._size, module, self._loss(run), self._batches(rows, run), chunk=chunk))
            for rows in (run.forget, run.retain)
        )
        if self.reference == "retain":
            return forget, retain
        share = len(run.forget) / (len(run.forget) + len(run.retain))
        return forget, {name: share * forget[name] + (1 - share) * retain[name] for name in forget}

    def _per_batch(self, module: nn.Module, run: Run) -> tuple[Vector, Vector]:
        reference = run.retain if self.reference == "retain" else run.forget | run.retain
        forget, others = (
            _double(mean_over_batches(self._size, module, self._loss(run), self._batches(rows, run)))
            for rows in (run.forget, reference)
        )
        return forget, others

    def _batches(self, rows: Rows, run: Run) -> Iterable[tuple[Inputs, Tensor | None]]:
        labelled = "forget_labels" in self.needs and "retain_labels" in self.needs
        batches: Iterator[Batch] = rows.in_order(self.batch_size or run.batch_size)
        return ((batch.X, batch.y if labelled else None) for batch in run.progress(batches, "importances"))

    def _loss(self, run: Run) -> Loss:
        def loss(output: Tensor, y: Any) -> Tensor:
            outputs = run.read_outputs(output)
            return self._norm(outputs) if y is None else run.loss(outputs, y)

        return loss


def _double(vector: Vector) -> Vector:
    return {name: value.double() for name, value in vector.items()}


def threshold(bound_share: float, n_forget: int, n_retain: int, reference: str) -> float:
    r"""Turn a share :math:`a` of the bound of the ratios into a threshold.

    Parameters
    ----------
    bound_share : float
        :math:`a`, above 0 and below 1.
    n_forget, n_retain : int
        Rows.
    reference : {'all', 'retain'}
        Over all rows no ratio exceeds :math:`(n_f + n_r) / n_f`, of which this is a share. Over the retained ones
        ratios have no bound, and :math:`\frac{a}{1 - a} \frac{n_r}{n_f}` selects the same weights.

    Returns
    -------
    float
        For `Dampener`.

    Examples
    --------
    >>> from mlunlearn.approximate.dampening import threshold
    >>> threshold(0.5, 10, 90, "all"), threshold(0.5, 10, 90, "retain")
    (5.0, 9.0)
    """
    if reference == "all":
        return bound_share * (n_forget + n_retain) / n_forget
    return bound_share / (1 - bound_share) * n_retain / n_forget


def percentile_of(share: float) -> float:
    r"""Percentile of the ratios above which weights are dampened, :math:`P = 100 - \ln(1 + 100 s)`.

    Parameters
    ----------
    share : float
        :math:`s`: rows to forget, as a share of all.

    Returns
    -------
    float
        Between 0 and 100.

    Examples
    --------
    >>> from mlunlearn.approximate.dampening import percentile_of
    >>> round(percentile_of(0.01), 2), round(percentile_of(0.1), 2)
    (99.31, 97.6)
    """
    return 100 - float(np.log1p(100 * share))


def bisected(goes_up: Callable[[float], bool], low: float, high: float, n_halvings: int = 14) -> tuple[float, float]:
    """Halve an interval of positive numbers on a logarithmic scale.

    Parameters
    ----------
    goes_up : callable
        From a number to whether the one that is sought is larger.
    low, high : float
        The ends.
    n_halvings : int, default=14
        Calls.

    Returns
    -------
    low, high : float
        The last interval.

    Examples
    --------
    >>> from mlunlearn.approximate.dampening import bisected
    >>> low, high = bisected(lambda number: number < 5, 1.0, 1e3)
    >>> low < 5 <= high and high / low < 1.001
    True
    """
    for _ in range(n_halvings):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if goes_up(middle) else (low, middle)
    return low, high
