"""What requests cost together, beside training anew for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_costs"]


def plot_costs(models: Mapping[str, Any] | Any, ax: Axes | None = None) -> Axes:
    """Draw the samples that all requests have read so far, against training anew for each request.

    Parameters
    ----------
    models : unlearner, or mapping of str to unlearner
        Fitted models that have served requests; their receipts say what each cost.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a figure, without matplotlib's global state.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; ``ax.figure.savefig(path)`` writes it. The unit is one full fit on the rows that were there at the
        request, so that the dashed line of training anew rises by one for each.

    Raises
    ------
    ValueError
        If a model has served no request.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from mlunlearn import SISAClassifier
    >>> from mlunlearn.audit import plot_costs
    >>> model = SISAClassifier(GaussianNB(), n_shards=5, random_state=0).fit(*load_iris(return_X_y=True))
    >>> for row in (0, 60, 120):
    ...     model = model.unlearn([row])
    >>> plot_costs(model).get_xlabel()
    'requests served'
    """
    from mlunlearn.audit.figure import draw_costs

    named = models if isinstance(models, Mapping) else {type(models).__name__: models}
    receipts = {name: getattr(model, "receipts_", []) for name, model in named.items()}
    without = [name for name, of_model in receipts.items() if not of_model]
    if without or not receipts:
        raise ValueError(f"these models have served no request: {without}; call unlearn first.")
    return draw_costs(receipts, ax)
