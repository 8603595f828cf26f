"""The relative test of kernel divergences: are outputs nearer to the model before, or to a retrained one?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from mlunlearn.audit._checks import check_finite_array

__all__ = ["RelativeTest", "chi_squared_divergence", "relative_test"]

Floats = NDArray[np.float64]


class RelativeTest(NamedTuple):
    """Result of `relative_test`.

    Parameters
    ----------
    to_retrained, to_original : float
        Divergences of the audited model's outputs from those of either model.
    p_value : float
        Small if they are nearer to the original's.

    Examples
    --------
    >>> from mlunlearn.audit import RelativeTest
    >>> RelativeTest(0.1, 0.5, 0.99).p_value
    0.99
    """

    to_retrained: float
    to_original: float
    p_value: float


def relative_test(
    ours: ArrayLike, retrained: ArrayLike, original: ArrayLike, *, regularization: float = 0.1, n_blocks: int = 10
) -> RelativeTest:
    """Test whether outputs on the forgotten rows are nearer to the model before unlearning than to a retrained one.

    Parameters
    ----------
    ours, retrained, original : array-like of shape (n_rows, n_outputs)
        What the three models say of the forgotten rows: probabilities, that of the true class first.
    regularization : float, default=0.1
        Weight of the squared norm of the witness function.
    n_blocks : int, default=10
        Disjoint sets of rows that the divergences are estimated on; the spread of their differences gives the error.

    Returns
    -------
    RelativeTest
        One-sided: the null hypothesis is that the outputs are at least as near to the retrained model's.

    Raises
    ------
    ValueError
        If shapes differ or there are fewer than two rows a block.

    Notes
    -----
    Cost: the square of the rows in a block. The divergence is the chi-squared one, whose witness has a closed form; the
    kernel is Gaussian with the median distance as its width, the same for both divergences.

    This test is description, no part of the verdict, for two reasons. Its question is coarser: a model that still
    holds a third of the forgotten rows is nearer to a retrained one, and passes. And rows are its sample, so that it
    takes the difference between two seeds of one training for a difference between distributions.

    References
    ----------
    Ribero, Schrab and Gretton, "Regularized f-Divergence Kernel Tests", arXiv:2601.19755. The paper adapts kernel,
    regularization and divergence; here they are fixed.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import relative_test
    >>> rng = np.random.default_rng(0)
    >>> member, outside = rng.beta(9, 1, (200, 1)), rng.beta(2, 2, (200, 1))
    >>> relative_test(rng.beta(9, 1, (200, 1)), outside, member).p_value < 0.01
    True
    >>> relative_test(rng.beta(2, 2, (200, 1)), outside, member).p_value > 0.99
    True
    """
    names = ("ours", "retrained", "original")
    arrays = [
        check_finite_array(a, name, ndim=(2,)) for a, name in zip((ours, retrained, original), names, strict=True)
    ]
    if len({array.shape for array in arrays}) != 1:
        raise ValueError(f"the three models must answer the same rows, got shapes {[a.shape for a in arrays]}.")
    if n_blocks < 2 or len(arrays[0]) < 2 * n_blocks:
        raise ValueError(
            f"{n_blocks} blocks need at least {2 * n_blocks} rows and two blocks, got {len(arrays[0])} rows."
        )
    width = _median_distance(np.concatenate(arrays))
    blocks = [np.arange(start, len(arrays[0]), n_blocks) for start in range(n_blocks)]
    to_retrained, to_original = (
        np.array([chi_squared_divergence(arrays[0][b], other[b], width, regularization) for b in blocks])
        for other in arrays[1:]
    )
    nearer = to_retrained - to_original
    error = float(nearer.std(ddof=1) / np.sqrt(n_blocks))
    p_value = float(t.sf(nearer.mean() / error, n_blocks - 1)) if error > 0.0 else float(nearer.mean() <= 0.0)
    return RelativeTest(float(to_retrained.mean()), float(to_original.mean()), p_value)


def chi_squared_divergence(x: Floats, y: Floats, width: float, regularization: float) -> float:
    """Kernel-regularized chi-squared divergence of two samples of the same size.

    Parameters
    ----------
    x, y : ndarray of shape (n_rows, n_outputs)
        The samples; the witness is fitted on both and weighted by the second.
    width : float
        Of the Gaussian kernel.
    regularization : float
        Weight of the squared norm of the witness function.

    Returns
    -------
    float
        Largest value over functions h of ``2 (mean h(x) - mean h(y)) - mean h(y)^2 - regularization |h|^2``; 0 for
        equal samples.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit.attacks.relative import chi_squared_divergence
    >>> x = np.linspace(0, 1, 20)[:, np.newaxis]
    >>> chi_squared_divergence(x, x, 0.5, 0.1) < 1e-12
    True
    """
    n = len(x)
    both = np.concatenate([x, y])
    kernel = np.exp(-_squared_distances(both) / (2.0 * width**2))
    contrast = np.repeat([1.0 / n, -1.0 / n], n)
    # With h = sum_i a_i k(z_i, .): maximise 2 a'K c - a'(K_y'K_y / n + regularization K) a, K_y the rows of y.
    of_y = kernel[n:]
    mean = kernel @ contrast
    quadratic = of_y.T @ of_y / n + regularization * kernel + 1e-10 * np.eye(2 * n)
    return float(mean @ np.linalg.solve(quadratic, mean))


def _squared_distances(values: Floats) -> Floats:
    norms = (values**2).sum(axis=1)
    return np.maximum(norms[:, np.newaxis] + norms - 2.0 * values @ values.T, 0.0)


def _median_distance(values: Floats) -> float:
    few = values[np.linspace(0, len(values) - 1, min(len(values), 600)).astype(int)]
    distances = np.sqrt(_squared_distances(few)[np.triu_indices(len(few), 1)])
    positive = distances[distances > 1e-9]
    return float(np.median(positive)) if len(positive) else 1.0
