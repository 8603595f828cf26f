"""Selective synaptic dampening: shrink the weights that matter to the rows to forget more than to the others."""

from __future__ import annotations

from typing import Any, Literal, Self

from torch import Tensor, nn

from mlunlearn.approximate.classifier import EditedClassifier
from mlunlearn.approximate.dampening import Dampener, Dampening, bisected, threshold
from mlunlearn.approximate.descriptions import described
from mlunlearn.approximate.held_out import kept, require_held_out
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.parameters import check_choice, check_positive, check_share

_GONE = 0.01  # accuracy on a class that was forgotten
_RUNGS, _HALVINGS = 24, 6  # thresholds that a search tries on its way down, and then between two of them


@described
class SSDClassifier(Dampening, EditedClassifier):
    r"""Forget by dampening the weights that the rows to forget depend on most, in one pass and without training.

    The importance :math:`I_S` of a weight for rows :math:`S` is the mean of its squared gradients, the diagonal of the
    Fisher information. Each weight :math:`\theta_i` with :math:`I_{f,i} > \alpha I_{D,i}` becomes

    .. math:: \beta_i \theta_i, \qquad \beta_i = \min(\lambda I_{D,i} / I_{f,i}, 1)

    Since the rows to forget are among all rows, no ratio :math:`I_{f,i} / I_{D,i}` exceeds :math:`|D| / |D_f|`: a
    threshold at that bound does nothing, whatever the data.

    Parameters
    ----------
    %(estimator)s
    alpha : float or None, default=None
        :math:`\alpha`. None follows `bound_share`.
    bound_share : float, default=0.5
        :math:`\alpha` as a share of its bound, above 0 and below 1. Under ``reference="retain"`` it selects the same
        weights.
    dampening : float, default=1
        :math:`\lambda`: the larger, the less is taken away.
    tolerance : float or None, default=None
        Accuracy on held-out rows that may be lost. Where it is given, :math:`\alpha` is searched among the thresholds
        that lose no more: the largest at which the accuracy on the rows to forget is no higher than that of the network
        before on the held-out ones, or at most a hundredth for a class, and if there is none, the one at which it is
        lowest. The held-out rows come as ``fit(..., held_out=(X, y))``; those of a class that is forgotten are left
        out.
    reference : {'all', 'retain'}, default='all'
        Rows over which :math:`I_D` is taken.
    per_sample : bool, default=True
        Square the gradient of each sample. False squares that of each batch of consecutive rows, as the authors' code
        does: a different number, which depends on the order of the rows, and has no bound.
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
    or changes its sign, and no statistics of batch normalisation. Cost: one pass over all rows; a search by
    `tolerance` reads the rows to forget and the held-out ones up to 32 times besides, without gradients. The receipt
    names :math:`\alpha` and the number of dampened weights. Fails on rows like all others, for which ratios are about
    1 and nothing is selected; on classes that share features with others, where it can ruin the network; and where
    two classes were confused. With :math:`\lambda = 1` a weight keeps less than :math:`1/\alpha` of itself.

    See Also
    --------
    ASSDClassifier : Sets the threshold by itself.
    LFSSDClassifier : Reads no labels.
    PotionClassifier : For poison of which only a part is known.

    References
    ----------
    "Fast Machine Unlearning Without Retraining Through Selective Synaptic Dampening", arXiv:2308.07707. `published`
    gives its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import SSDClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SSDClassifier(nn.Linear(4, 3), random_state=0).fit(X, y).unlearn(classes=[2])
    >>> model.receipts_[-1].work.details["alpha"]
    1.5
    """

    needs = frozenset({"retain", "retain_labels", "forget", "forget_labels"})
    takes_held_out = True

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float | None = None,
        bound_share: float = 0.5,
        dampening: float = 1.0,
        tolerance: float | None = None,
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
        self.tolerance = tolerance
        self.reference = reference
        self.per_sample = per_sample
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(
        cls,
        estimator: Any,
        *,
        network: Literal["resnet18", "vit"] = "resnet18",
        scenario: Literal["class", "subclass", "random", "face"] = "class",
        **others: Any,
    ) -> Self:
        """Use the settings of the paper, with gradients of batches as in the authors' code.

        Parameters
        ----------
        estimator : as for the class
            The network.
        network : {'resnet18', 'vit'}, default='resnet18'
            Of their experiments.
        scenario : {'class', 'subclass', 'random', 'face'}, default='class'
            What is forgotten: a class of CIFAR, a part of one, random rows, or one person of a set of faces.
        **others
            Further parameters of the class.

        Returns
        -------
        SSDClassifier
            Unfitted.
        """
        check_choice("network", network, ("resnet18", "vit"))
        check_choice("scenario", scenario, ("class", "subclass", "random", "face"))
        of_vit = {"class": 5.0, "subclass": 25.0}
        settings = {"alpha": of_vit.get(scenario, 10.0) if network == "vit" else 10.0, "dampening": 1.0}
        if scenario == "face":
            settings = {"alpha": 50.0, "dampening": 0.1}
        batch_size = 128 if scenario == "random" else 64
        return cls(estimator, **{**settings, "per_sample": False, "batch_size": batch_size, **others})

    def _check_settings(self) -> None:
        super()._check_settings()
        check_positive("alpha", self.alpha, optional=True)
        check_share("bound_share", self.bound_share, zero=False, one=False)
        check_positive("dampening", self.dampening)
        check_share("tolerance", self.tolerance, optional=True)

    def _size(self, gradient: Tensor) -> Tensor:
        return gradient.square()

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        if self.tolerance is not None:
            require_held_out(run, "tolerance")
        dampener = self._dampener(module, run, self.dampening)
        alpha = self.alpha or threshold(self.bound_share, len(forget), len(retain), self.reference)
        if self.tolerance is not None:
            alpha = self._searched(dampener, module, run, self.tolerance)
        return {"alpha": alpha, "dampened": dampener(alpha)}

    def _searched(self, dampener: Dampener, module: nn.Module, run: Run, tolerance: float) -> float:
        """Find the largest threshold that forgets enough, or the one that forgets most, of those that lose little."""
        others = kept(run)
        before = run.accuracy(module, others)
        enough = _GONE if run.classes else before

        def accuracy_at(alpha: float) -> float:
            """Accuracy on the rows to forget; infinite where too much is lost on the held-out ones."""
            dampener(alpha)
            is_safe = run.accuracy(module, others) >= before - tolerance
            return run.accuracy(module, run.forget) if is_safe else float("inf")

        ladder = dampener.importances.ladder(_RUNGS)
        best, least, above = ladder[0], float("inf"), ladder[0]
        for alpha in run.progress(ladder, "thresholds"):
            left = accuracy_at(alpha)
            if left <= enough:
                return bisected(lambda higher: accuracy_at(higher) <= enough, alpha, above, _HALVINGS)[0]
            if left < least:
                best, least = alpha, left
            above = alpha
        return best
