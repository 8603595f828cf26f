"""Potion: selective dampening for poison of which only a part is known."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.dampening import Dampening, percentile_of
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_share

_FIRST, _GROWTH = 1 / 25, 1.1  # of the share of poison that is tried


@described
class PotionClassifier(Dampening, EditedClassifier):
    r"""Heal a poisoned network, where an unknown number of poisoned rows is left among the retained ones.

    The importance of a weight for rows :math:`S` is

    .. math:: I_{S,i} = \mathbb{E}_{x \in S} \left|\partial \|f_\theta(x)\|_2 / \partial \theta_i\right|

    with the logits :math:`f_\theta(x)`: without the square no single row decides. Weights whose ratio of importances
    on the rows to forget and on the retained ones is above the percentile

    .. math:: P = 100 - \ln(1 + 100 s)

    of all ratios are multiplied by the inverse of theirs. The share :math:`s` starts at
    :math:`|D_f| / (25 |D|)` and grows by a tenth, each time from the network as it was, until the accuracy on the rows
    to forget, with the labels that the poison gave them, is at most :math:`\rho` times what it was.

    Parameters
    ----------
    %(estimator)s
    rho : float, default=0.2
        :math:`\rho`, between 0 and 1.
    max_dampened : float, default=0.1
        Weights that may be dampened, as a share of all; the search ends there.
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
    Guarantee: approximate. Needs the inputs of all rows, and the labels of the rows to forget, which are only counted.
    Changes the selected weights alone, none of which grows or changes its sign, and no statistics of batch
    normalisation. Cost: one pass over all rows, and a pass without gradients over the rows to forget for every share
    that is tried, about 120 at most by default. The receipt
    names the last share, the threshold, the number of dampened weights and the accuracy that is left, which tells
    whether :math:`\rho` was reached. Fails on rows that the network would get right without having seen them, such as
    random ones: their accuracy falls only where the network is ruined.

    See Also
    --------
    SSDClassifier : For rows that are all known.

    References
    ----------
    "Potion: Towards Poison Unlearning", arXiv:2406.09173. Its scripts take :math:`\rho` from 0 to 0.75.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import PotionClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = PotionClassifier(nn.Linear(4, 3), random_state=0).fit(X, y).unlearn(classes=[2])
    >>> sorted(model.receipts_[-1].work.details)
    ['alpha', 'dampened', 'forget_accuracy', 'share']
    """

    needs = frozenset({"retain", "forget", "forget_labels"})
    reference = "retain"

    def __init__(
        self,
        estimator: Any,
        *,
        rho: float = 0.2,
        max_dampened: float = 0.1,
        per_sample: bool = True,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.rho = rho
        self.max_dampened = max_dampened
        self.per_sample = per_sample
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, *, rho: float = 0.2, **others: Any) -> Self:
        """Take gradients of batches, as the authors' code does.

        Parameters
        ----------
        estimator : as for the class
            The network.
        rho : float, default=0.2
            Of the grid from 0 to 0.75 of the authors' scripts.
        **others
            Further parameters of the class.

        Returns
        -------
        PotionClassifier
            Unfitted.
        """
        return cls(estimator, **{"rho": rho, "per_sample": False, **others})

    def _check_settings(self) -> None:
        super()._check_settings()
        check_share("rho", self.rho)
        check_share("max_dampened", self.max_dampened, zero=False, one=False)

    def _norm(self, outputs: Tensor) -> Tensor:
        return outputs.norm(dim=1).mean()

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        enough = self.rho * run.accuracy(module, forget)
        dampener = self._dampener(module, run)
        share = _FIRST * len(forget) / (len(forget) + len(retain))
        shares: list[float] = []
        while not shares or percentile_of(share) >= 100 * (1 - self.max_dampened):
            shares.append(share)
            share *= _GROWTH
        for share in run.progress(shares, "shares"):
            alpha = dampener.importances.percentile(percentile_of(share))
            n_dampened, left = dampener(alpha), run.accuracy(module, forget)
            if left <= enough:
                break
        return {"share": share, "alpha": alpha, "dampened": n_dampened, "forget_accuracy": left}
