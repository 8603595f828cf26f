"""Figures of a graph with their standard errors, when nodes, with all their edges, are what was sampled.

An edge shares its ends with other edges, so edges are not independent samples. What each node or edge contributes to
the error of a figure (its influence) is therefore summed up by node first: two edges at one node err together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Figure:
    """One number about a model, and what every node or edge contributes to its error.

    Parameters
    ----------
    estimate : float
        The number.
    places : tuple of ndarray of int, shape (n,) or (2, n)
        Nodes, or both ends of pairs, that it was computed from.
    influence : tuple of ndarray of float, shape (n,)
        Contribution of each of them: they are independent, but for those that share a node, and the variance of the
        figure is that of their sum.
    upper : float, default=inf
        Largest value that the figure can take; none is below 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.audit import mean_of
    >>> figure = mean_of(np.array([0.0, 1.0, 1.0, 0.0]), np.arange(4))
    >>> figure.estimate, round(figure.standard_error, 3)
    (0.5, 0.289)
    """

    estimate: float
    places: tuple[Places, ...] = ()
    influence: tuple[Floats, ...] = ()
    upper: float = float("inf")

    @property
    def standard_error(self) -> float:
        """Standard error over nodes, with all their edges; not a number where there is nothing to compute it from."""
        if not self.places or any(part.shape[-1] < 2 for part in self.places):
            return float("nan")
        n_nodes = 1 + max(int(part.max()) for part in self.places)
        by_node, own, pairs = np.zeros(n_nodes), 0.0, 0.0
        for places, influence in zip(self.places, self.influence, strict=True):
            squares = float(influence @ influence)
            own += squares
            for ends in np.atleast_2d(places):
                by_node += np.bincount(ends, influence, n_nodes)
            pairs += squares if places.ndim == 2 else 0.0  # a pair meets itself at both of its ends
        return float(np.sqrt(max(float(by_node @ by_node) - pairs, own)))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Confidence interval over nodes, by the normal distribution, cut where the figure's range ends.

        Parameters
        ----------
        confidence : float, default=0.95
            Nominal coverage.

        Returns
        -------
        low, high : float
            Not a number where there is no standard error.
        """
        half = float(norm.isf((1.0 - confidence) / 2.0)) * self.standard_error
        return max(self.estimate - half, 0.0), min(self.estimate + half, self.upper)


NOTHING = Figure(float("nan"))


def mean_of(values: Floats, places: Places, upper: float = 1.0) -> Figure:
    """Mean over nodes or pairs.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One number each.
    places : ndarray of int, shape (n,) or (2, n)
        The nodes, or the ends of the pairs.
    upper : float, default=1.0
        Largest possible value.

    Returns
    -------
    Figure
        Not a number if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.audit import mean_of
    >>> pairs = np.array([[0, 0, 0], [1, 2, 3]])  # three edges of one node that err together
    >>> mean_of(np.array([1.0, 2.0, 3.0]), pairs).estimate
    2.0
    """
    n = len(values)
    if not n:
        return NOTHING
    estimate = float(values.mean())
    return Figure(estimate, (places,), ((values - estimate) / np.sqrt(n * max(n - 1, 1)),), upper)


def area(ones: Floats, zeros: Floats, places: tuple[Places, Places]) -> Figure:
    """Area under the ROC curve: the chance that one of the first lies above one of the second.

    Parameters
    ----------
    ones, zeros : ndarray of shape (n,) and (m,)
        Scores of those that should be high and of those that should be low; equal ones count half.
    places : tuple of two ndarray of int
        Their nodes, or the ends of their pairs.

    Returns
    -------
    Figure
        With DeLong's contributions; not a number if either side is empty.

    References
    ----------
    DeLong et al., "Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves",
    Biometrics 44, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.audit import area
    >>> area(np.array([0.9, 0.8]), np.array([0.1, 0.8]), (np.array([0, 1]), np.array([2, 3]))).estimate
    0.875
    """
    n, m = len(ones), len(zeros)
    if not n or not m:
        return NOTHING
    ranks = rankdata(np.concatenate([ones, zeros]))
    above = (ranks[:n] - rankdata(ones)) / m  # of each one: share of zeros below it
    below = 1.0 - (ranks[n:] - rankdata(zeros)) / n  # of each zero: share of ones above it
    estimate = float(above.mean())
    influence = tuple((part - estimate) / np.sqrt(len(part) * max(len(part) - 1, 1)) for part in (above, below))
    return Figure(estimate, places, influence, 1.0)


def average(figures: Sequence[Figure]) -> Figure:
    """Mean of one figure of several models, asked about the same nodes or pairs.

    Parameters
    ----------
    figures : sequence of Figure
        At least one.

    Returns
    -------
    Figure
        Its error is over nodes; that the models themselves differ is not in it.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.graph.audit import average, mean_of
    >>> average([mean_of(np.array(values), np.arange(2)) for values in ([0.0, 1.0], [1.0, 2.0])]).estimate
    1.0
    """
    first = figures[0]
    influence = tuple(np.mean(parts, axis=0) for parts in zip(*(f.influence for f in figures), strict=True))
    return Figure(float(np.mean([f.estimate for f in figures])), first.places, influence, first.upper)
