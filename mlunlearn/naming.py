"""The ways in which rows are named: positions, labels of a frame, and ids."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mlunlearn.exceptions import ForgetRequestError
from mlunlearn.requests import resolve_positions
from mlunlearn.rows.ids import IdRegister, register_ids
from mlunlearn.rows.row_labels import LABELLED, RowLabels, align_with
from mlunlearn.state import turn


class NamedRows:
    """What an unlearner knows of the names of its rows: labels while it holds the data, and keyed hashes of ids."""

    if TYPE_CHECKING:  # what the unlearner brings along
        seed_: int
        _data: Any
        n_samples_fit_: int
        _ids: IdRegister | None
        _row_labels: Callable[[], RowLabels | None]

    def _registered(self, sample_ids: Any, X: Any, id_key: Any) -> IdRegister | None:
        if sample_ids is not None:
            return register_ids(align_with(X, sample_ids, "sample_ids"), X.shape[0], self.seed_, id_key)
        if id_key is not None:
            raise ValueError("id_key is the key of the sample_ids, and fit was given none.")
        return None

    def _positions_of(self, rows: Any, name: str, ids: IdRegister | None = None) -> np.ndarray:
        labels = self._row_labels() if isinstance(rows, LABELLED) else None
        return resolve_positions(rows, self.n_samples_fit_, name, labels=labels, ids=ids)

    def _positions_of_ids(self, forget_ids: Any) -> np.ndarray:
        if self._ids is None:
            raise ForgetRequestError(
                "forget_ids needs ids, and fit was given none; pass fit(..., sample_ids=...) or name rows by "
                "forget_idx."
            )
        return self._ids.rows_of(forget_ids)

    def _forget_ids(self, rows: np.ndarray) -> None:
        self._ids = None if self._ids is None else self._ids.without(rows)

    def attach_key(self, id_key: bytes) -> Self:
        """Give a reloaded model the key of its ids back, so that it can be asked by id.

        Parameters
        ----------
        id_key : bytes
            The key given to `fit`.

        Returns
        -------
        self
            The model; the key is in memory alone, and is not saved with it.

        Raises
        ------
        ValueError
            If it is another key, or if `fit` was given none.
        """
        check_is_fitted(self, "receipts_")
        with turn(self):
            beside = copy.copy(self)
            beside._take_key(id_key)
            self.__dict__ = vars(beside)
        return self

    def _take_key(self, id_key: bytes) -> None:
        if self._ids is None:
            raise ValueError("fit was given no sample_ids, so there is no key to attach.")
        self._ids = self._ids.with_key(id_key)
