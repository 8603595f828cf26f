"""What every unlearner remembers besides its model: receipts and data, changed as a whole or not at all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from mlunlearn.exceptions import DataNotAttachedError
from mlunlearn.receipts import Receipt, Work
from mlunlearn.requests import ForgetRequest

Guarantee = Literal["exact", "certified", "approximate"]
Exactness = Literal["bits", "rounding", "law", "influence"]


class ForgettingState:
    """Receipts, references to data, and copies; the same for rows of a table and for parts of a graph.

    Whatever holds training data keeps it in ``_data``, which is never saved, never changed in place, and shared between
    copies of a model in memory.
    """

    guarantee: ClassVar[Guarantee]
    exactness: ClassVar[Exactness | None] = None
    _attach_call: ClassVar[str] = "attach_data(X, y)"
    _private_state: ClassVar[tuple[str, ...]] = ("_data", "_ids", "_checksums")

    if TYPE_CHECKING:  # what scikit-learn's BaseEstimator and a fit bring along
        get_params: Callable[..., dict[str, Any]]
        receipts_: list[Receipt]
        seed_: int

    def _forget_fit(self) -> None:
        params = self.get_params(deep=False)
        for name in [name for name in vars(self) if name not in params]:
            if name.endswith("_") or name in self._private_state:
                delattr(self, name)

    def _require_data(self) -> None:
        if getattr(self, "_data", None) is None:
            raise DataNotAttachedError(
                f"This {type(self).__name__} was reloaded without its training data, which is never saved with a "
                f"model; call {self._attach_call} with the data it was fitted on, then unlearn again."
            )

    def _file_receipt(
        self, request: ForgetRequest, work: Work, started: float, *, n_retained: int, of: str = "rows"
    ) -> None:
        receipt = Receipt(
            method=type(self).__name__,
            guarantee=self.guarantee,
            rows=request.rows,
            already=request.already,
            classes=request.classes,
            n_retained=n_retained,
            seconds=perf_counter() - started,
            work=work,
            seed=self.seed_,
            of=of,
        )
        self.receipts_ = [*self.receipts_, receipt]

    def __getstate__(self) -> dict[str, Any]:
        """Training data is never saved."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {**state, "_data": None} if "_data" in state else state

    def __copy__(self) -> Self:
        """Unlearning the copy leaves the original as it is: what is learned is replaced, never changed in place."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies in memory refer to the same data."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            vars(twin)[name] = value if name == "_data" else copy.deepcopy(value, memo)
        return twin


@contextmanager
def unchanged_on_failure(model: Any) -> Iterator[None]:
    """Bring a model's attributes back if what happens inside fails or is interrupted.

    Parameters
    ----------
    model : object
        Its attributes are replaced inside, never changed in place.
    """
    before = dict(vars(model))
    try:
        yield
    except BaseException:
        vars(model).clear()
        vars(model).update(before)
        raise
