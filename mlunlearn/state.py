"""What every unlearner remembers besides its model, and the one way in which it changes.

A fit or a request works on a copy that stands beside the model, and at the end one assignment puts what the copy became
in the place of what the model was. Until then nothing of the model has changed; after it nothing is left to do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from threading import RLock
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from sklearn.utils.validation import check_is_fitted

from mlunlearn.exceptions import DataNotAttachedError, ForgetRequestError
from mlunlearn.receipts import Receipt, Work, versions
from mlunlearn.requests import ForgetRequest

Guarantee = Literal["exact", "certified", "approximate"]
Exactness = Literal["bits", "rounding", "law", "influence"]
Task = Literal["classifier", "regressor"]


def turn(model: Any) -> Any:
    """Return the lock under which a model is fitted, forgets and is given data: one call at a time.

    Parameters
    ----------
    model : object
        The lock is kept among its attributes, and is never saved.

    Returns
    -------
    threading.RLock
        To be used in a ``with`` statement; the thread that holds it may take it again.
    """
    return vars(model).setdefault("_lock", RLock())


class ForgettingState:
    """Receipts, references to data, and the templates of fit and unlearn, for rows of a table and parts of a graph.

    A kind of data implements four private hooks:

    - ``_remember(*given)`` takes the arguments of `fit` over, and sets ``receipts_`` and ``seed_``;
    - ``_resolve(*names)`` turns the arguments of `unlearn` into a `ForgetRequest`;
    - ``_serve(request)`` calls the method's ``_unlearn``, lets go of what was forgotten and returns the `Work`;
    - ``_count_retained(of)`` counts what is left.

    A method implements ``_fit`` and ``_unlearn``. Every hook runs on a copy of the model, and assigns **new** objects
    to attributes: what it would change in place, the model that is being copied would have as well.

    Whatever holds training data keeps it in ``_data``, which is never saved, never changed in place, and shared between
    copies of a model in memory.
    """

    guarantee: ClassVar[Guarantee]
    exactness: ClassVar[Exactness | None] = None
    _attach_call: ClassVar[str] = "attach_data(X, y)"
    _private_state: ClassVar[tuple[str, ...]] = ("_data", "_ids", "_checksums")

    if TYPE_CHECKING:  # what scikit-learn's BaseEstimator, a kind of data and a method bring along
        get_params: Callable[..., dict[str, Any]]
        receipts_: tuple[Receipt, ...]
        seed_: int
        _data: Any
        _remember: Callable[..., None]
        _resolve: Callable[..., ForgetRequest]
        _serve: Callable[[Any], Work]
        _count_retained: Callable[[str], int]
        _fit: Callable[..., None]
        _take_data: Callable[..., None]
        _fit_options: tuple[str, ...]

    # ---------------------------------------------------------- templates

    def _fit_anew(self, *given: Any, **options: Any) -> Self:
        with turn(self):
            beside = copy.copy(self)
            beside._forget_fit()
            beside._remember(*given)
            beside._fit_options = tuple(name for name, value in options.items() if value is not None)
            beside._fit(**options)
            beside._note_what_was_learned()
            self.__dict__ = vars(beside)
        return self

    def _forget(self, *names: Any, request_id: str | None, reason: str | None) -> Self:
        check_is_fitted(self, "receipts_")
        for name, text in (("request_id", request_id), ("reason", reason)):
            if text is not None and (not isinstance(text, str) or not text):
                raise ForgetRequestError(f"{name} must be a text, got {text!r}.")
        with turn(self):
            started = perf_counter()
            beside = copy.copy(self)
            beside._require_data()
            request = beside._resolve(*names)
            twins = beside._count_twins(request)
            work = Work(samples=0, full=0) if request.asks_for_nothing_new else beside._serve(request)
            beside._file_receipt(request, work, started, request_id=request_id, reason=reason, twins=twins)
            self.__dict__ = vars(beside)
        return self

    def _attach(self, *given: Any) -> Self:
        check_is_fitted(self, "receipts_")
        with turn(self):
            beside = copy.copy(self)
            beside._take_data(*given)
            self.__dict__ = vars(beside)
        return self

    def _earned_exactness(self) -> Exactness | None:
        """Say in which sense this very model is exact; a method that can find out at `fit` says less than its class."""
        return self.exactness

    def _note_what_was_learned(self) -> None:
        """Do what is left to do when the method has learned, such as taking checksums of what it read."""

    def _count_twins(self, request: ForgetRequest) -> int | None:
        """Count what is forgotten and has an identical copy among what is retained; None where nobody counts."""
        return None

    # --------------------------------------------------------------- state

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

    def _file_receipt(self, request: ForgetRequest, work: Work, started: float, **about: Any) -> None:
        receipt = Receipt(
            method=type(self).__name__,
            guarantee=self.guarantee,
            exactness=self._earned_exactness(),
            rows=request.rows,
            already=request.already,
            classes=request.classes,
            n_retained=self._count_retained(request.of),
            seconds=perf_counter() - started,
            work=work,
            seed=self.seed_,
            of=request.of,
            versions=versions(),
            **{name: value for name, value in about.items() if value is not None},
        )
        self.receipts_ = (*self.receipts_, receipt)

    def __getstate__(self) -> dict[str, Any]:
        """Training data is never saved."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        state = {name: value for name, value in state.items() if name != "_lock"}
        return {**state, "_data": None} if "_data" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A model that was saved or sent to another process has a lock of its own."""
        super().__setstate__(state)  # type: ignore[misc]
        turn(self)

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
            if name != "_lock":
                vars(twin)[name] = value if name == "_data" else copy.deepcopy(value, memo)
        turn(twin)
        return twin
