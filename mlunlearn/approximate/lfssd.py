"""Label-free selective dampening: importances from the size of the outputs, with no label at all."""

from __future__ import annotations

from typing import Any, Literal, Self

from torch import nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.dampening import Dampening, threshold
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_positive, check_share


@described
class LFSSDClassifier(Dampening, EditedClassifier):
    r"""Forget as `SSDClassifier` does, without reading a label.

    The importance of a weight for rows :math:`S` is

    .. math:: I_{S,i} = \mathbb{E}_{x \in S} \left|\partial \|f_\theta(x)\|_2^2 / \partial \theta_i\right|

    with the logits :math:`f_\theta(x)`. Each weight with :math:`I_{f,i} > \alpha I_{D,i}` is multiplied by
    :math:`\min(\lambda I_{D,i} / I_{f,i}, 1)`.

    Parameters
    ----------
    %(estimator)s
    alpha : float or None, default=None
        :math:`\alpha`. None follows `bound_share`.
    bound_share : float, default=0.3
        :math:`\alpha` as a share of its bound :math:`|D| / |D_f|`, above 0 and below 1. Under ``reference="retain"`` it
        selects the same weights.
    dampening : float, default=1
        :math:`\lambda`: the larger, the less is taken away.
    reference : {'all', 'retain'}, default='all'
        Rows over which :math:`I_D` is taken.
    per_sample : bool, default=True
        Take the absolute value of the gradient of each sample. False takes that of each batch of consecutive rows, as
        the authors' code does.
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
    Guarantee: approximate. Needs the inputs of all rows, and no label. Changes the selected weights alone, none of
    which grows or changes its sign, and no statistics of batch normalisation. Cost: one pass over all rows. The receipt
    names :math:`\alpha` and the number of dampened weights. Fails where `SSDClassifier` does.

    See Also
    --------
    SSDClassifier : With labels.

    References
    ----------
    "Loss-Free Machine Unlearning", arXiv:2402.19308.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import LFSSDClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LFSSDClassifier(nn.Linear(4, 3), random_state=0).fit(X, y).unlearn(classes=[2])
    >>> model.receipts_[-1].work.samples
    150
    """

    needs = frozenset({"retain", "forget"})

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float | None = None,
        bound_share: float = 0.3,
        dampening: float = 1.0,
        reference: Literal["all", "retain"] = "all",
        per_sample: bool = True,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.bound_share = bound_share
        self.dampening = dampening
        self.reference = reference
        self.per_sample = per_sample
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, *, alpha: float = 10.0, dampening: float = 1.0, **others: Any) -> Self:
        """Take gradients of batches, as the authors' code does.

        Parameters
        ----------
        estimator : as for the class
            The network.
        alpha, dampening : float
            Searched for each task by the authors; the defaults are those of `SSDClassifier.published`.
        **others
            Further parameters of the class.

        Returns
        -------
        LFSSDClassifier
            Unfitted.
        """
        settings = {"alpha": alpha, "dampening": dampening, "per_sample": False, "batch_size": 64}
        return cls(estimator, **{**settings, **others})

    def _check_settings(self) -> None:
        super()._check_settings()
        check_positive("alpha", self.alpha, optional=True)
        check_share("bound_share", self.bound_share, zero=False, one=False)
        check_positive("dampening", self.dampening)

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        dampener = self._dampener(module, run, self.dampening)
        alpha = self.alpha or threshold(self.bound_share, len(forget), len(retain), self.reference)
        return {"alpha": alpha, "dampened": dampener(alpha)}
