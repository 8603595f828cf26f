"""The contract for graphs: `fit` remembers, `unlearn` forgets, and nothing changes when either fails."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch_geometric.data import Data

from mlunlearn.exceptions import DataChangedError, ForgetRequestError
from mlunlearn.graph.answers import AnswersAsEstimator
from mlunlearn.graph.graphs import Graph
from mlunlearn.graph.models.estimators import GraphEstimator
from mlunlearn.graph.reading import read_graph
from mlunlearn.graph.requests import KINDS, Deletion, Of, delete, resolve_edges
from mlunlearn.nets.seeds import seeded
from mlunlearn.receipts import Work, read_only
from mlunlearn.requests import ForgetRequest, names_nothing, resolve_classes, resolve_positions
from mlunlearn.state import ForgettingState
from mlunlearn.training.seeds import derive_seeds, root_seed, set_seed


class GraphForgettingMixin(ForgettingState):
    """What every graph unlearner shares: requests, receipts, the remaining graph, and no half-done changes.

    A method implements private hooks and nothing else of the contract:

    - ``_accept(graph)`` refuses what the method cannot learn from, as the data were given to `fit`;
    - ``_fit()`` learns from ``self._data``;
    - ``_unlearn(deletion)`` assigns **new** objects to fitted attributes and returns a `Work`. While it runs,
      ``forgotten_`` still shows the state before;
    - ``_check_trainable(graph)`` refuses a graph that leaves nothing to learn from;
    - ``_answer_for(graph)`` lets a reloaded model answer for its graph again;
    - ``_weights()`` names all that was learned.

    Attributes
    ----------
    n_fit_ : dict of str to int
        Nodes, edges and features (one for each node) given to `fit`.
    forgotten_ : dict of str to ndarray of bool
        Which of them are forgotten, by position; the edges and features of a forgotten node are.
    receipts_ : tuple of Receipt
        What each request did.
    """

    _attach_call = "attach_data(data)"
    _private_state: ClassVar[tuple[str, ...]] = ("_data", "_checksum")

    if TYPE_CHECKING:  # what a method brings along
        _accept: Callable[[Graph], None]
        _fit: Callable[[], None]
        _unlearn: Callable[[Deletion], Work]
        _check_trainable: Callable[[Graph], None]
        _answer_for: Callable[[Graph], None]
        _weights: Callable[[], dict[str, Tensor]]
        predict: Callable[..., np.ndarray]
        score: Callable[..., float]
        _data: Graph

    # ---------------------------------------------------------------- fit

    def fit(self, data: Data, *, exclude: Any = None, of: Of = "nodes") -> Self:
        """Learn from a graph, all but what `exclude` names.

        Parameters
        ----------
        data : torch_geometric.data.Data
            The graph, undirected with both directions of every edge, or a knowledge graph with ``edge_type``. The
            model keeps references, not copies, until it is asked to forget. Nothing in it is changed.
        exclude : array-like of int, boolean mask or slice, default=None
            What to leave out, as if it had been forgotten already. For an exact method this is the model that
            `unlearn` has to match.
        of : {'nodes', 'edges', 'features'}, default='nodes'
            What `exclude` names, in the forms that `unlearn` takes.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        ValueError
            If the graph is not what the estimator takes; an earlier fit is left as it was.
        """
        return self._fit_anew(data, exclude, of)

    def _check_settings(self) -> None:
        """Refuse parameters that make no sense; called before anything is trained, and before each request."""

    def _remember(self, data: Data, exclude: Any, of: Of) -> None:
        self._check_settings()
        graph = read_graph(data)
        self._accept(graph)
        self.seed_ = root_seed(getattr(self, "random_state", 0))
        self.n_fit_ = {"nodes": graph.n_nodes, "edges": graph.n_edges, "features": graph.n_nodes}
        self.forgotten_ = {kind: read_only(np.zeros(n, dtype=bool)) for kind, n in self.n_fit_.items()}
        self.receipts_ = ()
        self._data = graph
        if exclude is not None and not names_nothing(exclude):
            deletion = delete(graph, _checked_kind(of), self._resolve_idx(exclude, of, "exclude"))
            self.forgotten_ = self._forgotten_after(deletion)
            self._data = deletion.remaining
        self._checksum = self._data.checksum

    # ------------------------------------------------------------ unlearn

    def unlearn(
        self,
        forget_idx: Any = None,
        *,
        of: Of = "nodes",
        classes: Any = None,
        request_id: str | None = None,
        reason: str | None = None,
    ) -> Self:
        """Forget parts of the graph, and record what that did in ``receipts_``.

        Exactly one of `forget_idx` and `classes` is given. What was forgotten before is skipped.

        Parameters
        ----------
        forget_idx : array-like of int, boolean mask or slice
            Positions of nodes, or of edges in ``edge_list(data)``, of the data given to `fit`; they stay valid over
            any number of requests. Edges may also be pairs of node positions, shape (2, n), where both directions
            are one edge, or (head, relation, tail) triples, shape (3, n).
        of : {'nodes', 'edges', 'features'}, default='nodes'
            What to forget. A node goes with its features, its label and its edges; neighbours may be left isolated.
            An edge goes in both directions. Features are set to zero; the node, its label and its edges stay.
        classes : int or iterable of int
            Classes of which all labelled nodes are forgotten; or, of edges, relations of a knowledge graph. The model
            keeps its outputs for them. (For other classes of edges see `edges_between` and `edges_where`.)
        request_id : str or None, default=None
            What the receipt calls this request; None makes a new random one.
        reason : str or None, default=None
            Why it is forgotten; kept in the receipt.

        Returns
        -------
        self
            The model without them.

        Raises
        ------
        ForgetRequestError
            If the request cannot be served as made: see the message. `UnknownIdError` for unknown classes.
        DataNotAttachedError
            If the model was reloaded and holds no graph.
        DataChangedError
            If the graph was edited since `fit`.

        Notes
        -----
        A call that fails or is interrupted leaves the model as it was; one that was interrupted at its very end may
        have been served, and then its receipt is there. Calls from several threads are served one after the other.
        """
        return self._forget(forget_idx, of, classes, request_id=request_id, reason=reason)

    def _serve(self, request: ForgetRequest) -> Work:
        deletion = delete(self._data, _checked_kind(request.of), request.rows, request.classes)
        self._check_something_is_left(deletion)
        self._refuse_edited_data()
        self._check_settings()
        work = self._unlearn(deletion)
        self.forgotten_ = self._forgotten_after(deletion)
        self._data = deletion.remaining
        self._checksum = self._data.checksum
        return work

    def _count_retained(self, of: str) -> int:
        return int((~self.forgotten_[of]).sum())

    def _resolve(self, forget_idx: Any, of: Of, classes: Any) -> ForgetRequest:
        if (forget_idx is None) == (classes is None):
            raise ForgetRequestError("unlearn takes exactly one of forget_idx and classes.")
        of = _checked_kind(of)
        if of == "features" and not self._data.has_features:
            raise ForgetRequestError("the graph has no features to forget.")
        named: tuple[Any, ...] = ()
        if forget_idx is not None:
            asked = self._resolve_idx(forget_idx, of, "forget_idx")
        else:
            named = resolve_classes(classes, self._known_classes(of))
            asked = self._members(of, named)
        before = self.forgotten_[of][asked]
        return ForgetRequest(rows=asked[~before], already=asked[before], classes=named, of=of)

    def _resolve_idx(self, idx: Any, of: Of, name: str) -> np.ndarray:
        if of == "edges":
            return resolve_edges(idx, self.n_fit_["edges"], self._data, name)
        return resolve_positions(idx, self.n_fit_["nodes"], name)

    def _known_classes(self, of: Of) -> list[int]:
        labels = self._labels(of)
        forgotten = [label for receipt in self.receipts_ if receipt.of == of for label in receipt.classes]
        return [*torch.unique(labels[labels >= 0]).tolist(), *forgotten]

    def _labels(self, of: Of) -> torch.Tensor:
        if of == "edges":
            if self._data.pair_types is None:
                raise ForgetRequestError(
                    "the edges of this graph have no relations; choose a class of edges by edges_between(data, 0, 1) "
                    "or edges_where(data, predicate), and pass the positions: unlearn(positions, of='edges')."
                )
            return self._data.pair_types
        return self._data.y

    def _members(self, of: Of, classes: tuple[Any, ...]) -> np.ndarray:
        chosen = torch.isin(self._labels(of), torch.tensor(classes))
        return (self._data.pair_ids if of == "edges" else self._data.positions)[chosen].numpy()

    def _check_something_is_left(self, deletion: Deletion) -> None:
        try:
            if not deletion.remaining.n_nodes:
                raise ValueError("no node is left.")
            self._check_trainable(deletion.remaining)
        except ValueError as error:
            raise ForgetRequestError(f"the request cannot be served: {error} Delete the model instead.") from error
        if not self._classifies_nodes() or deletion.classes:
            return
        left = deletion.remaining.y
        for label in torch.unique(deletion.before.y[deletion.nodes]).tolist():
            if label >= 0 and not (left == label).any():
                raise ForgetRequestError(
                    f"the request names the last labelled nodes of class {label}. To forget the class itself, ask for "
                    f"it: unlearn(classes=[{label}]); to keep it, leave one of its nodes."
                )

    def _classifies_nodes(self) -> bool:
        return is_classifier(self)

    def _forgotten_after(self, deletion: Deletion) -> dict[str, np.ndarray]:
        nodes = deletion.before.positions[deletion.nodes].numpy()
        features = deletion.before.positions[deletion.features].numpy()
        edges = deletion.before.pair_ids[deletion.edges].numpy()
        gone = {"nodes": nodes, "edges": edges, "features": np.concatenate([nodes, features])}
        after = {kind: mask.copy() for kind, mask in self.forgotten_.items()}
        for kind, positions in gone.items():
            after[kind][positions] = True
        return {kind: read_only(mask) for kind, mask in after.items()}

    # --------------------------------------------------------------- data

    def _refuse_edited_data(self) -> None:
        if self._data.checksum != self._checksum:
            raise DataChangedError(
                "The graph was edited after fit: learning from it would not give the promised model. Restore the "
                "tensors and call attach_data(data), or fit again. (Nodes and edges are erased after unlearn.)"
            )

    def attach_data(self, data: Data) -> Self:
        """Give a reloaded model its graph back.

        Parameters
        ----------
        data : torch_geometric.data.Data
            The graph as given to `fit`; the features and labels of what was forgotten since may hold anything. What is
            still to be forgotten has to be what it was, and is erased at the source after `unlearn`: until then the
            model answers for the graph, and a node's features are part of its neighbours' answers.

        Returns
        -------
        self
            The model, able to answer for its nodes and to unlearn again.

        Raises
        ------
        ValueError
            If the graph has another size.
        DataChangedError
            If what is retained is not what the model was fitted on.
        """
        return self._attach(data)

    def _take_data(self, data: Data) -> None:
        graph = read_graph(data)
        if (graph.n_nodes, graph.n_edges) != (self.n_fit_["nodes"], self.n_fit_["edges"]):
            raise ValueError(
                f"attach_data got {graph.n_nodes} nodes and {graph.n_edges} edges, expected the {self.n_fit_['nodes']} "
                f"and {self.n_fit_['edges']} given to fit."
            )
        gone = {kind: torch.from_numpy(self.forgotten_[kind].copy()) for kind in KINDS}
        graph = graph.without_pairs(gone["edges"])
        blank = (gone["features"] & ~gone["nodes"]).nonzero().flatten()
        graph = graph.without_features(blank) if len(blank) else graph
        graph = graph.without_nodes(gone["nodes"].nonzero().flatten()) if gone["nodes"].any() else graph
        self._data = graph
        self._refuse_edited_data()
        self._answer_for(graph)


class GraphUnlearnerMixin(AnswersAsEstimator, GraphForgettingMixin):
    """What the unlearners around a node classifier or link predictor share.

    A method implements ``_unlearn(deletion)``, which assigns a **new** estimator to ``estimator_`` (usually
    ``self.estimator_.moved(deletion.remaining, module)``); ``self._starting_module(deletion)`` is the copy of the
    trained network to start from. A method that learns otherwise than by training one model overrides ``_fit()``, too.

    Attributes
    ----------
    estimator_ : NodeClassifier or LinkPredictor
        The unlearned model.
    """

    if TYPE_CHECKING:
        estimator: Any

    def _accept(self, graph: Graph) -> None:
        if not isinstance(unfrozen(self.estimator), GraphEstimator):
            raise TypeError(
                f"{type(self).__name__} wraps a NodeClassifier or a LinkPredictor, got "
                f"{type(self.estimator).__name__}; wrap a module as NodeClassifier(module)."
            )

    def _check_settings(self) -> None:
        super()._check_settings()
        inner = unfrozen(self.estimator)
        if isinstance(inner, GraphEstimator):
            inner.check_settings()

    def _fit(self) -> None:
        self.estimator_ = self._trained(self._data)

    def _work(self, samples: int, deletion: Deletion, **details: Any) -> Work:
        """Account for the samples that a request read, beside those of a training on what is left."""
        full = self.estimator_.max_epochs * self.estimator_.n_trained(deletion.remaining)
        return Work(samples=samples, full=full, details=details)

    def _trained(self, graph: Graph) -> GraphEstimator:
        """Train a copy of the estimator, or take a copy of one that was trained elsewhere."""
        if isinstance(self.estimator, FrozenEstimator):
            check_is_fitted(self.estimator.estimator, "module_")
            trained = self.estimator.estimator
            return trained.moved(graph, copy.deepcopy(trained.module_))
        return set_seed(clone(self.estimator), self.seed_).fit_graph(graph)

    def _check_trainable(self, graph: Graph) -> None:
        self.estimator_.check_trainable(graph)

    def _classifies_nodes(self) -> bool:
        return is_classifier(self.estimator_)

    def _answer_for(self, graph: Graph) -> None:
        self.estimator_ = self.estimator_.moved(graph)

    def _weights(self) -> dict[str, Tensor]:
        return self.estimator_.module_.state_dict()

    def _request_seed(self) -> int:
        """Return the root of all that a request draws; every purpose derives its own stream from it by a key."""
        return derive_seeds(self.seed_, len(self.receipts_))[0]

    def _starting_module(self, deletion: Deletion) -> nn.Module:
        """Copy the trained network; weights that belong to what is forgotten alone are drawn anew."""
        module = copy.deepcopy(self.estimator_.module_)
        owned = {}
        if len(deletion.nodes) and not deletion.before.has_features:
            owned["reset_nodes"] = deletion.before.positions[deletion.nodes]
        if deletion.relations:
            owned["reset_relations"] = torch.tensor(deletion.relations)
        with seeded(self._request_seed(), self.estimator_.device):
            for name, members in owned.items():
                if not hasattr(module, name):
                    raise ForgetRequestError(
                        f"{type(module).__name__} may have weights that belong to what is to be forgotten alone; give "
                        f"it a method {name}(indices) that draws them anew."
                    )
                getattr(module, name)(members)
        return module


def unfrozen(estimator: Any) -> Any:
    """Return the estimator itself, also where it comes in a ``FrozenEstimator``."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _checked_kind(of: Any) -> Of:
    if of not in KINDS:
        raise ForgetRequestError(f"of={of!r} is not among {', '.join(map(repr, KINDS))}.")
    return of
