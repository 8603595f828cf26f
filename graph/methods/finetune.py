"""Fine-tuning: go on training on the graph that is left, a control that every other method has to beat."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, MetaEstimatorMixin

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.models.estimators import passes_within
from mlunlearn.graph.requests import Deletion
from mlunlearn.parameters import check_flag, check_positive
from mlunlearn.receipts import Work

_TRAINING = 1  # names the draws of the training among those of a request


class FineTuneGNN(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Forget by training on with the graph that is left.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. A ``FrozenEstimator`` brings one that was trained elsewhere.
    budget : float, default=0.15
        Samples that a request may read, as a share of what training on the graph that is left from scratch reads;
        rounded to whole passes, and at least one.
    lr : float or None, default=None
        Adam's learning rate; None takes that of the estimator.
    decay : bool, default=False
        Let it fall to zero along half a cosine.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did.

    See Also
    --------
    RestartGNN : The same from untrained weights, the other control.
    UtU : The same without a step.

    Notes
    -----
    Guarantee: approximate. The loss, its mini-batches, dropout and negatives are those of the estimator's own training.
    Needs the graph that is left, with its labels; reads nothing of what was forgotten. Weights that belong to what is
    forgotten alone are drawn anew. Cost: `budget`. It may fail where the network goes on answering as before about what
    it no longer sees. On Cora its answers about what was forgotten are nearer to those of retrained models than every
    approximate method's here, where a node classifier forgets training nodes or a class; for forgotten edges of a node
    classifier `UtU` is as near without a step. See the figures in ``docs/results.md``.

    References
    ----------
    A baseline of most papers on unlearning, such as "Eternal Sunshine of the Spotless Net", arXiv:1911.04933.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import FineTuneGNN, NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> classifier = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=20)
    >>> model = FineTuneGNN(classifier, budget=0.25, random_state=0).fit(data).unlearn([0, 1, 2])
    >>> work = model.receipts_[-1].work
    >>> work.samples / work.full
    0.25
    """

    guarantee = "approximate"

    def __init__(
        self,
        estimator: Any,
        *,
        budget: float = 0.15,
        lr: float | None = None,
        decay: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.budget = budget
        self.lr = lr
        self.decay = decay
        self.random_state = random_state
        self.verbose = verbose

    def _check_settings(self) -> None:
        super()._check_settings()
        check_positive("budget", self.budget)
        check_positive("lr", self.lr, optional=True)
        check_flag("decay", self.decay)

    def _unlearn(self, deletion: Deletion) -> Work:
        module, remaining = self._starting_module(deletion).train(), deletion.remaining
        max_epochs = passes_within(self.budget, self.estimator_.max_epochs)
        self.estimator_.train_module(
            module,
            remaining,
            self._request_seed(),
            _TRAINING,
            max_epochs=max_epochs,
            lr=self.lr,
            decay=self.decay,
            label="fine-tuning" if self.verbose else None,
        )
        self.estimator_ = self.estimator_.moved(remaining, module)
        return self._work(max_epochs * self.estimator_.n_trained(remaining), deletion)
