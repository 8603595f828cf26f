"""The contract: `fit` remembers, `unlearn` forgets, and nothing changes when either fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from mlunlearn._compat import _check_sample_weight
from mlunlearn.attaching import AttachedRows
from mlunlearn.exceptions import DataChangedError, ForgetRequestError
from mlunlearn.naming import NamedRows
from mlunlearn.receipts import Work, read_only
from mlunlearn.requests import ForgetRequest, names_nothing, resolve_classes, resolve_positions
from mlunlearn.rows.data import Block, TrainingData
from mlunlearn.rows.dataset_rows import DatasetRows, labels_of
from mlunlearn.rows.frame_types import types_of
from mlunlearn.rows.inputs import check_target, detached, is_text, itemwise
from mlunlearn.rows.items import Items
from mlunlearn.state import ForgettingState
from mlunlearn.training.seeds import root_seed


class UnlearnerMixin(AttachedRows, NamedRows, ForgettingState):
    """What every unlearner of rows shares: requests, receipts, references to data, and no half-done changes.

    A method implements two private hooks and nothing else of the contract:

    - ``_fit()`` learns from the retained rows, ``self._data.block(self._retained())``;
    - ``_unlearn(request)`` forgets ``request.rows`` (ascending positions, none forgotten before) by assigning **new**
      objects to fitted attributes, and returns a `Work`. ``request.classes`` names the classes that were asked for.
      While it runs, ``forgotten_`` still shows the state before. Rows are read through ``self._read(positions)``, which
      refuses those that were edited since `fit`.

    A method that needs what the forgotten rows held sets ``_needs_forgotten``. One that reads parts of the data apart
    also overrides ``_n_groups`` and ``_groups_of``, so that a checksum is kept of each part.

    Notes
    -----
    ``guarantee`` names what `unlearn` promises; ``exactness`` says in which sense an exact method is exact:
    ``"bits"`` (every stored parameter equals that of a fresh fit without the rows), ``"rounding"`` (the same
    within a stated rounding error), ``"law"`` (the same distribution) or ``"influence"`` (no stored parameter is a
    function of a forgotten row).
    """

    _private_state: ClassVar[tuple[str, ...]] = ("_data", "_ids", "_checksums", "_marks", "_forgotten", "_types")

    if TYPE_CHECKING:  # what a method, and scikit-learn's BaseEstimator, bring along
        _unlearn: Callable[[ForgetRequest], Work]

    # ---------------------------------------------------------------- fit

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        sample_ids: Any = None,
        id_key: bytes | None = None,
        exclude: Any = None,
    ) -> Self:
        """Learn from the rows of `X`, all but those in `exclude`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features), Dataset or dict of arrays
            Training inputs. The model keeps a reference, not a copy, until it is asked to forget. Torch networks also
            take a map-style ``torch.utils.data.Dataset``, whose items are read when a batch needs them, and a few at
            once to tell it from another; and arrays that the network takes by name.
        y : array-like of shape (n_samples,)
            Targets; None takes a dataset's ``targets`` or ``labels``, or reads every item once.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights, passed on to the estimator. Zero weight is not removal.
        sample_ids : array-like of shape (n_samples,) or None, default=None
            Integer or string ids of records, persons or sources, stored as keyed hashes. All rows of an id
            are kept together, and `unlearn` takes them as ``forget_ids``. A Series is aligned with a data frame `X`.
        id_key : bytes of length 16 or more, or None, default=None
            Secret key of the hashes. It is never saved with the model: `attach_key` gives it back, and once it is
            destroyed nobody can tell whose the hashes were. Without it the key follows from the seed.
        exclude : array-like of int, boolean mask, slice or labels, default=None
            Rows to leave out, in the forms that `unlearn` takes, as if they had been forgotten already. For an exact
            method this is the model that `unlearn` has to match.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        ValueError
            If the input is not what the estimator takes; an earlier fit is left as it was.
        """
        return self._fit_anew(X, y, sample_weight, sample_ids, id_key, exclude)

    def _remember(self, X: Any, y: Any, sample_weight: Any, sample_ids: Any, id_key: Any, exclude: Any) -> None:
        X = itemwise(self, X)
        if isinstance(X, DatasetRows) and exclude is not None and not names_nothing(exclude):
            exclude = resolve_positions(exclude, len(X), "exclude")
            X = X.without_reading(exclude)
        X, y, sample_weight = self._check_training_input(X, y, sample_weight, reset=True)
        n_samples = X.shape[0]
        self.seed_ = root_seed(getattr(self, "random_state", 0))
        self._ids = self._registered(sample_ids, X, id_key)
        self.n_samples_fit_ = n_samples
        self._forgotten = read_only(np.zeros(0, dtype=np.intp))
        self.receipts_ = ()
        if is_classifier(self):
            check_classification_targets(y)
        self._data = TrainingData(X, y, sample_weight, labelled=is_classifier(self))
        self._weighted = sample_weight is not None
        self._types = types_of(X)
        if exclude is not None:
            self._exclude(exclude)
        if is_classifier(self):
            self._learn_classes(self._data.classes)

    def _note_what_was_learned(self) -> None:
        self._checksums = self._sums_of_groups(self._data)
        self._label_sum = self._data.label_sum()
        self._forget_ids(self._forgotten)  # of excluded rows; until now they said which rows go together

    def _learn_classes(self, labels: np.ndarray) -> None:
        self.classes_ = labels

    def _exclude(self, exclude: Any) -> None:
        if names_nothing(exclude):
            return
        rows = self._positions_of(exclude, "exclude")
        if len(rows) == self.n_samples_fit_:
            raise ForgetRequestError("exclude names every row; there is nothing left to learn from.")
        self._let_go(rows)

    def _check_training_input(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, Any, Any]:
        tags = get_tags(self)
        X = itemwise(self, X)
        y = labels_of(X) if y is None and isinstance(X, DatasetRows) else detached(y)
        if y is None and tags.target_tags.required:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        X = self._check_input(X, reset=reset)
        if y is not None:
            y = check_target(y, multi_output=tags.target_tags.multi_output, numeric=not is_classifier(self))
            check_consistent_length(X, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        return X, y, sample_weight

    def _check_input(self, X: Any, *, reset: bool) -> Any:
        """Validate inputs as the inner estimator's tags ask, without a copy where they are in order already.

        Data frames stay data frames and texts stay texts: the estimator inside is the one that reads them.
        """
        X = itemwise(self, X)
        if isinstance(X, Items):
            return X
        if is_text(X):
            return np.asarray(X, dtype=object)
        if hasattr(X, "iloc") or hasattr(X, "__dataframe__"):
            return validate_data(self, X, skip_check_array=True, reset=reset)
        tags = get_tags(self).input_tags
        return validate_data(
            self,
            detached(X),
            accept_sparse="csr" if tags.sparse else False,
            dtype=None,
            allow_nd=tags.three_d_array,
            ensure_all_finite=not tags.allow_nan,
            reset=reset,
        )

    # ------------------------------------------------------------ unlearn

    def unlearn(
        self,
        forget_idx: Any = None,
        *,
        forget_ids: Any = None,
        classes: Any = None,
        request_id: str | None = None,
        reason: str | None = None,
    ) -> Self:
        """Forget rows, and record what that did in ``receipts_``.

        Exactly one of the three ways to name rows is given. Rows that were forgotten before are skipped.

        Parameters
        ----------
        forget_idx : array-like or iterable of int, boolean mask of shape (n_samples_fit_,), slice or labels
            Positions in the data given to `fit`; they stay valid over any number of requests. A pandas Index holds
            labels of the data frame given to `fit`, and a boolean Series is aligned with it; both know retained rows
            alone. Integers that may be meant as integer ``sample_ids`` are refused.
        forget_ids : str, int or iterable of them
            Ids given to ``fit(..., sample_ids=...)``; every row of each is forgotten.
        classes : label or iterable of labels
            Classes of which every row is forgotten; with an exact method they leave ``classes_``.
        request_id : str or None, default=None
            What the receipt calls this request; None makes a new random one.
        reason : str or None, default=None
            Why the rows are forgotten; kept in the receipt.

        Returns
        -------
        self
            The model without those rows.

        Raises
        ------
        ForgetRequestError
            If the request cannot be served as made: see the message. `UnknownIdError` for unknown names.
        DataNotAttachedError
            If the model was reloaded and holds no training data.
        DataChangedError
            If a retained row that has to be read again was edited since `fit`; the error names it. What the rows to be
            forgotten hold by now does not matter, so they can be erased at the source first, unless the method reads
            them once more, as it then says.

        Notes
        -----
        A call that fails or is interrupted leaves the model as it was; one that was interrupted at its very end may
        have been served, and then its receipt is there. Calls from several threads are served one after the other.
        """
        return self._forget(forget_idx, forget_ids, classes, request_id=request_id, reason=reason)

    def _resolve(self, forget_idx: Any, forget_ids: Any, classes: Any) -> ForgetRequest:
        given = [name is not None for name in (forget_idx, forget_ids, classes)]
        if sum(given) != 1:
            raise ForgetRequestError(
                f"unlearn takes exactly one of forget_idx, forget_ids and classes, {sum(given)} were given."
            )
        named: tuple[Any, ...] = ()
        if forget_idx is not None:
            asked = self._positions_of(forget_idx, "forget_idx", self._ids)
        elif forget_ids is not None:
            asked = self._positions_of_ids(forget_ids)
        else:
            named = resolve_classes(classes, self._known_classes())
            asked = self._rows_of_classes(named)
        before = self._is_forgotten(asked)
        request = ForgetRequest(rows=asked[~before], already=asked[before], classes=named)
        self._check_something_is_left(request)
        self._refuse_to_leave_erased(request)
        return request

    def _known_classes(self) -> list[Any]:
        if not is_classifier(self):
            raise ForgetRequestError(f"{type(self).__name__} is not a classifier and has no classes to forget.")
        forgotten = [label for receipt in self.receipts_ for label in receipt.classes]
        return [*self.classes_.tolist(), *forgotten]

    def _rows_of_classes(self, classes: tuple[Any, ...]) -> np.ndarray:
        rows = self._data.with_labels(list(classes))
        erased = np.isin(self._erased_classes(), list(classes)).any()
        return np.union1d(rows, self._erased.rows) if erased else rows

    def _check_something_is_left(self, request: ForgetRequest) -> None:
        if len(request.rows) == self._count_retained(request.of):
            raise ForgetRequestError(
                "the request names every row that is left; a model of nothing is no model. Delete the model instead."
            )
        if not is_classifier(self) or request.classes or not len(request.rows):
            return
        for label in self._labels_lost(request.rows).tolist():
            raise ForgetRequestError(
                f"the request names the last rows of class {label!r}. To forget the class itself, ask for it: "
                f"unlearn(classes=[{label!r}]); to keep it, leave one of its rows."
            )

    def _count_twins(self, request: ForgetRequest) -> int | None:
        if len(self._erased.rows):
            return None
        known = getattr(self._data.block(request.rows[:1]).X, "compared_as_a_whole", True)
        return self._data.n_twins(request.rows) if known else None

    def _serve(self, request: ForgetRequest) -> Work:
        if self._needs_forgotten:
            self._read(request.rows, f"{type(self).__name__} reads what it forgets; erase at the source after unlearn")
        checksums = self._checksums.copy()
        held, erased = self._held(request.rows), self._erased
        np.subtract.at(checksums, self._groups_of(held), self._data.checksums(held))
        checksums -= erased.sums
        label_sum = np.uint64(0)  # where labels are not known nothing may be left of theirs
        if self._data.has_row_labels:
            with np.errstate(over="ignore"):
                label_sum = self._label_sum - self._data.label_sum(held) - erased.label_sum
        work = self._unlearn(request)
        self._checksums, self._label_sum = checksums, label_sum
        self._let_go(request.rows)
        self._forget_ids(request.rows)
        if request.classes and self.guarantee != "approximate":
            self._learn_classes(np.setdiff1d(self.classes_, list(request.classes)))
        return work

    def _let_go(self, rows: np.ndarray) -> None:
        self._forgotten = read_only(np.union1d(self._forgotten, rows))
        self._data = self._data.without(self._held(rows))

    def _count_retained(self, of: str) -> int:
        return self.n_samples_fit_ - len(self._forgotten)

    # --------------------------------------------------------------- data

    @property
    def forgotten_(self) -> np.ndarray:
        """Which rows given to `fit` are forgotten; a fresh mask, write-protected."""
        mask = np.zeros(self.n_samples_fit_, dtype=bool)
        mask[self._forgotten] = True
        return read_only(mask)

    def _is_forgotten(self, rows: np.ndarray) -> np.ndarray:
        return np.isin(rows, self._forgotten)

    def _retained(self) -> np.ndarray:
        return np.flatnonzero(~self.forgotten_)

    def _retained_without(self, rows: np.ndarray) -> np.ndarray:
        left = ~self.forgotten_
        left[rows] = False
        return np.flatnonzero(left)

    def _read(self, positions: np.ndarray, why: str = "retraining on it would not give the promised model") -> Block:
        """Copy the rows at these positions, and refuse them if one was edited since `fit`."""
        block, changed = self._data.block_and_changes(positions)
        if len(changed):
            raise DataChangedError(
                f"Row {changed.min()} was edited after fit: {why}. Restore the arrays and call attach_data(X, y), or "
                f"fit again. ({len(changed)} of {len(positions)} rows that are read differ.)"
            )
        return block

    @property
    def _n_groups(self) -> int:
        """Parts of the data that have a checksum each."""
        return 1

    def _groups_of(self, rows: np.ndarray) -> np.ndarray:
        """Part that each row is in."""
        return np.zeros(len(rows), dtype=np.intp)
