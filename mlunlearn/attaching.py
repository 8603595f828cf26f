"""Training data that is given back to a reloaded model: compared with what it learned, rows erased since left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from mlunlearn.exceptions import DataChangedError, ForgetRequestError
from mlunlearn.receipts import Receipt, read_only
from mlunlearn.requests import ForgetRequest, names_nothing, resolve_positions
from mlunlearn.rows.data import TrainingData, take_rows
from mlunlearn.rows.dataset_rows import DatasetRows
from mlunlearn.rows.frame_types import in_types, retyped, types_of
from mlunlearn.rows.ids import IdRegister
from mlunlearn.rows.inputs import as_selectable, itemwise
from mlunlearn.rows.row_labels import LABELLED, RowLabels, labels_of, sum_of_labels

NO_ROWS = read_only(np.zeros(0, dtype=np.intp))
TOLD = 5  # positions that an error names
_CALL = "attach_data(X, y, erased=rows)"


@dataclass(frozen=True, eq=False)
class Erased:
    """Rows that are still to be forgotten and had been erased when the data was given back; nothing of them is held.

    They are forgotten by one request, all together, so that what is missing in the checksums is known for all of them
    and need not be known for each.

    Parameters
    ----------
    rows : ndarray of int
        Ascending positions.
    sums : ndarray of uint64, shape (n_groups,), or uint64
        Their part in the checksum of each part of the data.
    label_sum : uint64
        Their part in the checksum of the labels of a data frame.
    marks : ndarray of uint16
        What is saved of the checksum of each.
    row_labels : pandas.Index or None
        Their labels, if the data is a frame with the labels it had.
    """

    rows: np.ndarray
    sums: Any
    label_sum: np.uint64
    marks: np.ndarray
    row_labels: pd.Index | None


NOTHING_ERASED = Erased(NO_ROWS, np.uint64(0), np.uint64(0), NO_ROWS.astype(np.uint16), None)


def marks_of(sums: np.ndarray) -> np.ndarray:
    """Shorten checksums of rows to the sixteen bits that are saved with a model.

    Parameters
    ----------
    sums : ndarray of uint64, shape (n,)
        Checksums.

    Returns
    -------
    ndarray of uint16, shape (n,)
        Enough to notice all edits of a row but one in 65,536, and too little to tell what a row held: of a million
        guesses fifteen fit by chance.
    """
    return (sums >> np.uint64(48)).astype(np.uint16)


class AttachedRows:
    """What an unlearner does with data that it is given back."""

    if TYPE_CHECKING:  # what the unlearner brings along
        classes_: np.ndarray
        n_samples_fit_: int
        receipts_: tuple[Receipt, ...]
        _data: Any
        _ids: IdRegister | None
        _checksums: np.ndarray
        _label_sum: Any
        _marks: np.ndarray
        _types: pd.Series | None
        _weighted: bool
        _attach: Callable[..., Any]
        _retained: Callable[[], np.ndarray]
        _positions_of_ids: Callable[[Any], np.ndarray]
        _groups_of: Callable[[np.ndarray], np.ndarray]
        _check_training_input: Callable[..., tuple[Any, Any, Any]]
        _is_forgotten: Callable[[np.ndarray], np.ndarray]

        @property
        def _n_groups(self) -> int: ...

    @property
    def _needs_forgotten(self) -> bool:
        """Whether the method reads what it forgets."""
        return False

    # ------------------------------------------------------- what is erased

    @property
    def _erased(self) -> Erased:
        return getattr(getattr(self, "_data", None), "erased", None) or NOTHING_ERASED

    def _held(self, rows: np.ndarray) -> np.ndarray:
        """Leave out rows that had been erased when the data was given back."""
        return rows[~np.isin(rows, self._erased.rows)]

    def _row_labels(self) -> RowLabels | None:
        erased, index = self._erased, self._data.row_labels
        if index is None:
            return None
        if not len(erased.rows):
            return RowLabels(index, self._retained())
        if erased.row_labels is None:
            return None
        positions = np.concatenate([self._data.positions, erased.rows])
        order = np.argsort(positions)
        return RowLabels(index.append(erased.row_labels)[order], positions[order])

    def _refuse_to_leave_erased(self, request: ForgetRequest) -> None:
        """Refuse what does not forget the erased rows: nothing can be learned while they are among the retained."""
        left = np.setdiff1d(self._erased.rows, request.rows)
        if len(left):
            raise ForgetRequestError(
                f"{len(left)} row(s) that were erased before attach_data(..., erased=rows) would be retained "
                f"(positions {_told(left)}), and no model can be trained on them. Name them in this request as well, "
                "or forget them first."
            )

    def _erased_classes(self) -> np.ndarray:
        """Labels of which every retained row had been erased; which of the rows had which label nobody knows."""
        if not len(self._erased.rows) or not is_classifier(self):
            return np.zeros(0)
        earlier = [label for receipt in self.receipts_ for label in receipt.classes]
        missing = np.setdiff1d(self.classes_, self._data.classes)
        return missing[~np.isin(missing, earlier)] if earlier else missing

    def _labels_lost(self, rows: np.ndarray) -> np.ndarray:
        """Labels that no row would have if these were gone."""
        lost = self._data.labels_lost(self._held(rows))
        erased = self._erased_classes()
        return np.union1d(lost, erased) if len(erased) else lost

    # ------------------------------------------------------------ giving back

    def attach_data(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, erased: Any = None, erased_ids: Any = None
    ) -> Self:
        """Give a reloaded model its training data back.

        Parameters
        ----------
        X, y, sample_weight : as given to `fit`
            All rows given to `fit`, of which those forgotten since, and those in `erased`, may hold anything; or the
            retained rows alone, or without those in `erased`, in the same order. Rows of a data frame can be named by
            its labels again if they are those of the frame given to `fit`.
        erased : array-like of int, boolean mask, slice or labels, default=None
            Rows that were erased at the source already and are to be forgotten next, in the forms that `unlearn`
            takes. They are never read, and the next request has to forget them all.
        erased_ids : str, int or iterable of them, default=None
            The same by the ids given to ``fit(..., sample_ids=...)``.

        Returns
        -------
        self
            The model, able to unlearn again.

        Raises
        ------
        ValueError
            If the number of rows fits no form, or if the method reads what it forgets and rows are erased.
        DataChangedError
            If the other rows are not those the model was fitted on.
        ForgetRequestError
            If `erased` is not understood, or if no row is left beside it.

        Notes
        -----
        Data is compared by a checksum of each part that is learned apart; where a part has erased rows, row by row,
        with sixteen bits of each row's checksum. They are all that a saved model keeps of single rows, and they are
        removed when the row is forgotten.
        """
        return self._attach(X, y, sample_weight, erased, erased_ids)

    def _take_data(self, X: Any, y: Any, sample_weight: Any, erased: Any = None, erased_ids: Any = None) -> None:
        if self._weighted and sample_weight is None:
            raise ValueError("fit was given sample_weight; pass it with the data: (X, y, sample_weight).")
        X, retained = itemwise(self, X), self._retained()
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        index = self._known_index(X, n_rows, retained)
        gone = self._erased_rows(erased, erased_ids, index, retained)
        held = np.setdiff1d(retained, gone)
        given = self._positions_given(n_rows, retained, held)
        X = X.at(given) if isinstance(X, DatasetRows) else X
        if n_rows != len(held):
            places = np.searchsorted(given, held)
            X, y, sample_weight = (take_rows(as_selectable(values), places) for values in (X, y, sample_weight))
        try:
            X, y, sample_weight = self._check_training_input(X, y, sample_weight, reset=False)
        except ValueError as error:
            raise ValueError(f"{error} (Rows erased since fit: {_CALL}.)") from error
        types, X = types_of(X), in_types(X, self._types)
        everything = len(held) == self.n_samples_fit_
        data = TrainingData(X, y, sample_weight, None if everything else held, labelled=is_classifier(self))
        self._refuse_other_data(data, gone, types)
        known = data.label_sum() == self._label_sum if not len(gone) else index is not None
        data = data if known else data.without_labels()
        if len(gone):
            labels = None if index is None else index[np.searchsorted(retained, gone)]
            data.erased = Erased(
                gone,
                sums=self._checksums - self._sums_of_groups(data),
                label_sum=np.subtract(self._label_sum, [data.label_sum()])[0],  # of arrays: it may wrap round
                marks=self._marks_of(gone),
                row_labels=labels,
            )
        self._data = data
        vars(self).pop("_marks", None)

    def _known_index(self, X: Any, n_rows: int, retained: np.ndarray) -> pd.Index | None:
        """Labels of the retained rows, those of erased ones included, if they are what they were at `fit`."""
        index = labels_of(X)
        if index is None or n_rows not in (self.n_samples_fit_, len(retained)):
            return None
        index = take_rows(index, retained) if n_rows != len(retained) else index
        return index if sum_of_labels(index, retained) == self._label_sum else None

    def _erased_rows(self, erased: Any, ids: Any, index: pd.Index | None, retained: np.ndarray) -> np.ndarray:
        named = [] if ids is None else [self._positions_of_ids(ids)]
        if erased is not None and not names_nothing(erased):
            labels = RowLabels(index, retained) if index is not None and isinstance(erased, LABELLED) else None
            named.append(resolve_positions(erased, self.n_samples_fit_, "erased", labels=labels, ids=self._ids))
        rows = np.unique(np.concatenate([NO_ROWS, *named]))
        rows = rows[~self._is_forgotten(rows)]
        if len(rows) and self._needs_forgotten:
            raise ValueError(
                f"{type(self).__name__} reads what it forgets, so it cannot forget rows that are erased already. Give "
                "the data back as it was, and erase at the source after unlearn."
            )
        if len(rows) == len(retained):
            raise ForgetRequestError("erased names every retained row; delete the model instead.")
        return rows

    def _positions_given(self, n_rows: int, retained: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Tell which rows were passed from how many there are."""
        for positions in (np.arange(self.n_samples_fit_), retained, held):
            if len(positions) == n_rows:
                return positions
        more = f", or the {len(held)} that are not erased" if len(held) < len(retained) else ""
        raise ValueError(
            f"attach_data got {n_rows} rows, expected the {self.n_samples_fit_} given to fit or the {len(retained)} "
            f"that are retained{more}. If rows were deleted at the source before they are forgotten here, name them: "
            f"{_CALL}."
        )

    # ----------------------------------------------------------- comparing

    def _sums_of_groups(self, data: TrainingData) -> np.ndarray:
        sums = np.zeros(self._n_groups, dtype=np.uint64)
        np.add.at(sums, self._groups_of(data.positions), data.sums)
        return sums

    def _refuse_other_data(
        self, data: TrainingData, erased: np.ndarray = NO_ROWS, types: pd.Series | None = None
    ) -> None:
        """Compare the rows that are held, part by part, with the checksums taken as the model learned them."""
        groups = self._groups_of(data.positions)
        incomplete = np.unique(self._groups_of(erased))
        differing = np.setdiff1d(np.flatnonzero(self._sums_of_groups(data) != self._checksums), incomplete)
        alone = np.isin(groups, incomplete)
        changed = data.positions[alone][marks_of(data.sums[alone]) != self._marks_of(data.positions[alone])]
        others = retyped(types, self._types)
        if others and (len(differing) or len(changed)):
            raise DataChangedError(
                f"The data is not what the model was fitted on: {others}, and the values are not the same in the type "
                f"that the column had. Pass the frame given to fit, unchanged; rows that were erased at the source "
                f"since are named by {_CALL}."
            )
        if len(differing):
            rows = data.positions[groups == differing[0]]
            raise DataChangedError(
                f"The data is not what the model was fitted on: of the {len(rows)} row(s) at positions {_told(rows)} "
                "at least one differs, is missing or stands in another place. Pass the arrays given to fit, unchanged; "
                f"rows that were erased at the source since are named by {_CALL}."
            )
        if len(changed):
            raise DataChangedError(
                f"The data is not what the model was fitted on: {len(changed)} row(s) that erased= does not name "
                f"differ (positions {_told(changed)}). Pass them unchanged, or name them in erased= as well."
            )

    def _marks_of(self, rows: np.ndarray) -> np.ndarray:
        """What is saved of the checksums of retained rows."""
        return self._marks_of_retained()[np.searchsorted(self._retained(), rows)]

    def _marks_of_retained(self) -> np.ndarray:
        data, erased = getattr(self, "_data", None), self._erased
        if data is None:
            return self._marks
        if not len(erased.rows):
            return marks_of(data.sums)
        order = np.argsort(np.concatenate([data.positions, erased.rows]))
        return np.concatenate([marks_of(data.sums), erased.marks])[order]

    def __getstate__(self) -> dict[str, Any]:
        """In the place of training data sixteen bits of each row's checksum are saved."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        held = isinstance(getattr(self, "_data", None), TrainingData)
        return {**state, "_marks": self._marks_of_retained()} if held else state


def _told(rows: np.ndarray) -> str:
    return ", ".join(map(str, rows[:TOLD].tolist())) + (", ..." if len(rows) > TOLD else "")
