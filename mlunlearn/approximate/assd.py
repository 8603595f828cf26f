"""ASSD: selective dampening with a threshold that follows the share of rows to forget."""

from __future__ import annotations

from typing import Any, Literal, Self

from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.dampening import Dampening, percentile_of
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows


@described
class ASSDClassifier(Dampening, EditedClassifier):
    r"""Forget as `SSDClassifier` does, with :math:`\lambda = 1` and a threshold that nobody has to set.

    :math:`\alpha` is the percentile

    .. math:: P = 100 - \ln(1 + 100\, |D_f| / |D|)

    of the finite ratios :math:`I_{f,i} / I_{D,i}` over the whole network: the more rows are to be forgotten, the more
    weights are dampened.

    Parameters
    ----------
    %(estimator)s
    reference : {'all', 'retain'}, default='all'
        Rows over which :math:`I_D` is taken.
    per_sample : bool, default=True
        Square the gradient of each sample. False squares that of each batch of consecutive rows, as the authors' code
        does.
    batch_size : int or None, default=None
        Rows that are read at once; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training; forgetting draws nothing.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    %(fitted)s

    Notes
    -----
    Guarantee: approximate. Needs all rows with their labels. Changes the selected weights alone, none of which grows
    or changes its sign, and no statistics of batch normalisation. Cost: one pass over all rows. The receipt names
    :math:`\alpha`, the percentile and the number of dampened weights. Some weights are always selected, also where the
    rows to forget are like all others. Fails otherwise where `SSDClassifier` does; in a network of few weights one per
    cent of them are hardly any.

    See Also
    --------
    SSDClassifier : The equations, and a threshold to be set.

    References
    ----------
    "Parameter-Tuning-Free Data Entry Error Unlearning with Adaptive Selective Synaptic Dampening", arXiv:2402.10098.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import ASSDClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ASSDClassifier(nn.Linear(4, 3), random_state=0).fit(X, y).unlearn(classes=[2])
    >>> model.receipts_[-1].work.details["dampened"]
    1
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})

    def __init__(
        self,
        estimator: Any,
        *,
        reference: Literal["all", "retain"] = "all",
        per_sample: bool = True,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.reference = reference
        self.per_sample = per_sample
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Take gradients of batches, as the authors' code does.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        ASSDClassifier
            Unfitted.
        """
        return cls(estimator, **{"per_sample": False, "batch_size": 64, **others})

    def _size(self, gradient: Tensor) -> Tensor:
        return gradient.square()

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        dampener = self._dampener(module, run)
        percentile = percentile_of(len(forget) / (len(forget) + len(retain)))
        alpha = dampener.importances.percentile(percentile)
        return {"alpha": alpha, "percentile": percentile, "dampened": dampener(alpha)}
