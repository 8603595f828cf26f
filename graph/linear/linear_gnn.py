"""What the linear graph neural networks share: fixed propagation, one layer of weights, answers about nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch_geometric.data import Data

from mlunlearn.exceptions import DataNotAttachedError
from mlunlearn.graph.base import GraphForgettingMixin
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.linear.propagation import SGC, Propagation
from mlunlearn.graph.positions import asked_rows
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import Deletion
from mlunlearn.receipts import Work
from mlunlearn.training.generators import TURNS
from mlunlearn.training.threads import one_thread


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled nodes to learn from.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        Their propagated features.
    y : ndarray of int, shape (n,)
        Their labels.
    error : float
        Bound on the Frobenius norm of what is missing from Z.
    """

    Z: np.ndarray
    y: np.ndarray
    error: float

    @classmethod
    def among(cls, graph: Graph, propagated: Any, rows: np.ndarray) -> Examples:
        """Take the labelled ones among some nodes.

        Parameters
        ----------
        graph : Graph
            The graph.
        propagated : Propagated
            Features of its nodes.
        rows : ndarray of bool, shape (n_nodes,)
            Which nodes.

        Returns
        -------
        Examples
            In the order of the nodes.
        """
        y = graph.y.numpy()
        chosen = np.flatnonzero(rows & (y >= 0))
        return cls(propagated.features(chosen), y[chosen], propagated.error)

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Change:
    """What a deletion does to the examples of a linear model.

    Parameters
    ----------
    graph : Graph
        The graph that is left.
    propagated : Propagated
        Features of its nodes.
    old : Examples
        Those that go, as they were: of forgotten nodes, and of nodes whose features changed.
    new : Examples
        Those that come: the changed ones that stay, as they are now.
    """

    graph: Graph
    propagated: Any
    old: Examples
    new: Examples

    def examples(self) -> Examples:
        """Return all examples that are left.

        Returns
        -------
        Examples
            Old ones that did not change, and new ones.
        """
        return all_examples(self.graph, self.propagated)


def all_examples(graph: Graph, propagated: Any) -> Examples:
    """Return every labelled node of a graph as an example.

    Parameters
    ----------
    graph : Graph
        The graph.
    propagated : Propagated
        Features of its nodes.

    Returns
    -------
    Examples
        In the order of the nodes.
    """
    return Examples.among(graph, propagated, np.ones(graph.n_nodes, dtype=bool))


class LinearGNNMixin(ClassifierMixin, GraphForgettingMixin):
    """What the linear models share. The features are propagated once, and a deletion computes again what it reaches.

    A method implements ``_learn(examples)`` and ``_relearn(change)``, which assign new arrays to fitted attributes;
    the latter returns a `Work`. Column c of the weights belongs to class c, and only classes in ``present_`` are
    learned: a class without a labelled node has zero weights and is never predicted.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_propagated)
        Weights.
    classes_ : ndarray of shape (n_classes,)
        Label i is output i: labels are integers from 0. Forgotten classes keep their outputs.
    present_ : ndarray of bool, shape (n_classes,)
        The classes that have labelled nodes.
    """

    _private_state: ClassVar[tuple[str, ...]] = ("_data", "_checksum", "_propagated")

    if TYPE_CHECKING:
        propagation: Propagation | None
        coef_: np.ndarray
        _learn: Callable[[Examples], None]
        _relearn: Callable[[Change], Work]
        _probabilities: Callable[[np.ndarray], np.ndarray]
        _propagated: Any

    def _accept(self, graph: Graph) -> None:
        self._check_trainable(graph)
        if not graph.has_features or graph.pair_types is not None:
            raise ValueError(
                f"{type(self).__name__} needs node features x and one kind of edge; the data has "
                f"{'relations (edge_type)' if graph.has_features else 'no x'}."
            )
        self.n_features_in_ = graph.x.shape[1]
        self.classes_ = np.arange(int(max(graph.y.max(), graph.held_out_y.max())) + 1)

    def _check_settings(self) -> None:
        super()._check_settings()
        propagation = self.propagation
        if not isinstance(propagation, (Propagation, type(None))):
            raise TypeError(f"propagation must be an SGC, SIGN or APPNP, got {type(propagation).__name__}.")
        if self.guarantee == "exact" and propagation is not None and not propagation.exact:
            raise TypeError(
                f"{type(self).__name__} is exact, but {type(propagation).__name__} propagates approximately; "
                "CertifiedGNN accounts for that."
            )

    def _own_propagation(self) -> Propagation:
        return SGC() if self.propagation is None else clone(self.propagation)

    def _check_trainable(self, graph: Graph) -> None:
        if not graph.labelled.any():
            raise ValueError("no labelled node is left to learn from; data needs y, and train_mask where it has one.")

    def _fit(self) -> None:
        self._check_trainable(self._data)
        with TURNS, one_thread():
            self._propagated = self._own_propagation().propagate(self._data)
            examples = all_examples(self._data, self._propagated)
            self.present_ = np.bincount(examples.y, minlength=len(self.classes_)) > 0
            self._learn(examples)

    def _unlearn(self, deletion: Deletion) -> Work:
        with TURNS, one_thread():
            propagated, reached = self._propagated.after(deletion)
            change = Change(
                deletion.remaining,
                propagated,
                old=Examples.among(deletion.before, self._propagated, reached),
                new=Examples.among(deletion.remaining, propagated, reached[deletion.kept.numpy()]),
            )
            self.present_ = np.bincount(change.graph.y[change.graph.labelled], minlength=len(self.classes_)) > 0
            self._propagated = propagated
            return self._relearn(change)

    def _answer_for(self, graph: Graph) -> None:
        with TURNS, one_thread():
            self._propagated = self._own_propagation().propagate(graph)

    def _weights(self) -> dict[str, Tensor]:
        return {"coef_": torch.from_numpy(self.coef_)}

    # ------------------------------------------------------------ answers

    def decision_function(self, idx: Any, *, data: Data | None = None) -> np.ndarray:
        """Score nodes for each class.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about; positions are then those of this graph.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Scores; minus infinity for classes without a labelled node.

        Raises
        ------
        ValueError
            If a node is not there, or is forgotten.
        DataNotAttachedError
            If the model was reloaded and holds no graph.
        """
        check_is_fitted(self, "coef_")
        if data is None and self._data is None:
            raise DataNotAttachedError(
                f"This {type(self).__name__} was reloaded without its graph, which is never saved with a model; pass "
                f"the graph to ask about as data, or call {self._attach_call}."
            )
        graph, propagated = (self._data, self._propagated) if data is None else self._propagate_other(data)
        scores = propagated.features(asked_rows(graph, idx).numpy()) @ self.coef_.T
        scores[:, ~self.present_] = -np.inf
        return scores

    def _propagate_other(self, data: Data) -> tuple[Graph, Any]:
        graph = read_graph(data)
        if not graph.has_features or graph.x.shape[1] != self.n_features_in_:
            raise ValueError(f"data must have {self.n_features_in_} features x, as the data given to fit.")
        return graph, self._own_propagation().propagate(graph)

    def predict_proba(self, idx: Any, *, data: Data | None = None) -> np.ndarray:
        """Predict class probabilities of nodes.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Probabilities.
        """
        shares = self._probabilities(self.decision_function(idx, data=data))
        total = shares.sum(axis=1, keepdims=True)
        return np.where(total > 0, shares / np.where(total > 0, total, 1), self.present_ / self.present_.sum())

    def predict(self, idx: Any, *, data: Data | None = None) -> np.ndarray:
        """Predict the labels of nodes.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        best = self.decision_function(idx, data=data).argmax(axis=1)
        return self.classes_[best]

    def score(self, idx: Any, y: Any, *, data: Data | None = None) -> float:
        """Return the share of nodes that get their label.

        Parameters
        ----------
        idx : array-like of int, boolean mask or slice
            Positions of the nodes, none of them forgotten.
        y : array-like of int, shape (n,)
            Their labels.
        data : torch_geometric.data.Data or None, default=None
            Another graph to ask about.

        Returns
        -------
        float
            Accuracy.
        """
        return float((self.predict(idx, data=data) == np.asarray(y)).mean())

    def __getstate__(self) -> dict[str, Any]:
        """Neither the graph nor features made of it are saved."""
        state = super().__getstate__()
        return {**state, "_propagated": None} if "_propagated" in state else state
