"""GIF: one influence step away from what is forgotten and from what it did to its neighbours."""

from __future__ import annotations

from typing import Any, Literal, Self

from sklearn.base import BaseEstimator, MetaEstimatorMixin

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.graph.methods.influence import Influence, influence_step
from mlunlearn.graph.requests import Deletion
from mlunlearn.networks.solvers import Solution, conjugate_gradient, lissa
from mlunlearn.parameters import check_choice, check_count, check_positive
from mlunlearn.receipts import Work


class GIF(GraphUnlearnerMixin, MetaEstimatorMixin, BaseEstimator):
    """Graph influence function: step to where the minimum moves as losses leave the sum, or change on the graph left.

    Parameters
    ----------
    estimator : NodeClassifier or LinkPredictor
        What to train; never changed. A ``FrozenEstimator`` brings one that was trained elsewhere.
    solver : {'cg', 'lissa'}, default='cg'
        Conjugate gradients on the Gauss-Newton matrix of the losses that remain; or the published iteration on the
        Hessian of all losses.
    damping : float, default=1e-2
        With ``'cg'``, added to the estimator's `weight_decay` in the matrix; with ``'lissa'``, the share of the
        iterate that is dropped in every step.
    max_iter : int, default=100
        Iterations.
    tol : float, default=1e-6
        ``'cg'`` stops when the residual is this share of the right-hand side.
    scale : float, default=500.0
        Divides the Hessian, with ``'lissa'``; it must exceed half its largest eigenvalue.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator and, for links, the negatives.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model.
    n_fit_ : dict of str to int
        Nodes, edges and features given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten.
    receipts_ : tuple of Receipt
        What each request did; ``work.details`` has the solver's ``residual``, as a share of the right-hand side, its
        ``iterations``, and the length of the ``step`` as a share of the weights'.

    See Also
    --------
    UtU : What is left of it without the step.

    Notes
    -----
    Guarantee: approximate. The right-hand side is the gradient of the losses that leave or change: on the graph
    before minus on the graph after, over the **training** nodes that messages from what is forgotten reach (published
    code takes test nodes along, and so reads their labels). The step is that of Newton's method if the trained
    weights are a minimum, the loss is convex and the solver converges; for a linear network it then errs by the
    square of the forgotten share. Networks with several layers are not convex, their training does not end in a
    minimum, and the step says little about far-off ones: mind the residual in the receipt, and compare with `UtU`,
    which is this method without a step. On Cora that is as near to retraining where edges are forgotten, and a small
    `damping` takes the step away from it. The published iteration diverges where the Hessian's largest eigenvalue is
    above twice the scale, which is an error here. Computed in double precision. For links, an extension of ours:
    edges and as many non-edges are what is learned.

    Needs: the graph before and after. Cost: `max_iter` products with the matrix, each about two passes over the data.

    References
    ----------
    "GIF: A General Graph Unlearning Strategy via Influence Function", arXiv:2304.02835.

    Examples
    --------
    >>> from torch_geometric.nn import GCN
    >>> from mlunlearn.graph import GIF, NodeClassifier, stochastic_block_model
    >>> data = stochastic_block_model([20, 20], random_state=0)
    >>> classifier = NodeClassifier(GCN(data.num_features, 8, 2, out_channels=2), max_epochs=50)
    >>> model = GIF(classifier, random_state=0).fit(data).unlearn([0, 1, 2])
    >>> model.receipts_[-1].work.details["residual"] < 1e-5
    True
    """

    guarantee = "approximate"

    def __init__(
        self,
        estimator: Any,
        *,
        solver: Literal["cg", "lissa"] = "cg",
        damping: float = 1e-2,
        max_iter: int = 100,
        tol: float = 1e-6,
        scale: float = 500.0,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.solver = solver
        self.damping = damping
        self.max_iter = max_iter
        self.tol = tol
        self.scale = scale
        self.random_state = random_state

    @classmethod
    def published(cls, estimator: Any, *, random_state: Any = None) -> Self:
        """Make the method with the settings that its authors print for Cora: 100 undamped iterations at scale 500.

        A model that is trained otherwise than theirs may need a larger `scale`.

        Parameters
        ----------
        estimator : NodeClassifier or LinkPredictor
            What to train.
        random_state : int, RandomState instance or None, default=None
            As for the class.

        Returns
        -------
        GIF
            Not fitted yet.
        """
        return cls(estimator, solver="lissa", damping=0.0, max_iter=100, scale=500.0, random_state=random_state)

    def _check_settings(self) -> None:
        super()._check_settings()
        check_choice("solver", self.solver, ("cg", "lissa"))
        check_positive("damping", self.damping, zero=True)
        check_count("max_iter", self.max_iter)
        check_positive("tol", self.tol)
        check_positive("scale", self.scale)

    def _unlearn(self, deletion: Deletion) -> Work:
        start = self._starting_module(deletion)
        module, influence, solution = influence_step(
            self.estimator_, start, deletion, self._request_seed(), self._solve
        )
        self.estimator_ = self.estimator_.moved(deletion.remaining, module)
        return self._work(
            solution.iterations * influence.n_after,
            deletion,
            residual=solution.residual,
            iterations=solution.iterations,
            step=float(solution.step.norm() / influence.theta.norm()),
        )

    def _solve(self, influence: Influence) -> Solution:
        if self.solver == "cg":
            product = influence.gauss_newton(self.damping)
            return conjugate_gradient(product, influence.gradient, tol=self.tol, max_iter=self.max_iter)
        product = influence.hessian()
        return lissa(product, influence.gradient, steps=self.max_iter, scale=self.scale, damping=self.damping)
