"""The suite: the checks an unlearner has to pass for what it promises, run at once or as tests."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal
from unittest import SkipTest

from sklearn import config_context
from sklearn.exceptions import EstimatorCheckFailedWarning

from mlunlearn.checks import contract, copies, exactness, failures, hygiene, influence, law, rounding, settings, sharded
from mlunlearn.checks.harness import Check

UNSTABLE = re.compile(r"\s|\{[^{}]*\}|at 0x[0-9a-f]+")  # differs between processes, which spread tests by name
LONG_NAME = 120

CONTRACT: tuple[Check, ...] = (
    contract.check_promise,
    contract.check_bad_requests_change_nothing,
    contract.check_repeats_are_skipped,
    contract.check_receipts,
    contract.check_positions_stay_valid,
    contract.check_forms_of_a_request,
    contract.check_forget_by_id,
    contract.check_forget_a_class,
    failures.check_failed_unlearn_changes_nothing,
    failures.check_interrupted_unlearn_is_all_or_nothing,
    failures.check_saved_model_holds_no_rows,
    failures.check_reloaded_model_asks_for_its_data,
    hygiene.check_arguments_are_left_alone,
    hygiene.check_random_states_are_left_alone,
    hygiene.check_clone_and_refit,
    hygiene.check_seeds,
    hygiene.check_n_jobs_changes_no_bit,
    settings.check_nonsense_is_refused_before_training,
    copies.check_no_copy_is_left,
    sharded.check_receipts_count_the_work,
)
NO_TRACE: tuple[Check, ...] = (influence.check_no_mark_is_left,)
NO_INFLUENCE: tuple[Check, ...] = (*NO_TRACE, influence.check_forgotten_rows_have_no_influence)
SAME_BITS: tuple[Check, ...] = (
    exactness.check_unlearn_equals_fit_without,
    exactness.check_remainder_rows,
    exactness.check_emptied_slices,
    exactness.check_order_of_requests,
    exactness.check_every_row_is_learned_until_it_is_forgotten,
    exactness.check_process_restart,
    failures.check_edited_data_is_noticed,
    sharded.check_isolation,
    sharded.check_one_request_touches_one_shard,
    sharded.check_cost_follows_the_formula,
)
SAME_UP_TO_ROUNDING: tuple[Check, ...] = (
    rounding.check_unlearn_equals_fit_without_up_to_rounding,
    rounding.check_rounding_does_not_add_up,
    rounding.check_forgotten_rows_leave_rounding_alone,
    exactness.check_every_row_is_learned_until_it_is_forgotten,
    exactness.check_process_restart,
    failures.check_edited_data_is_noticed,
)
CHECKS: dict[str | None, tuple[Check, ...]] = {
    "bits": (*CONTRACT, *SAME_BITS, *NO_INFLUENCE),
    "rounding": (*CONTRACT, *SAME_UP_TO_ROUNDING),
    "law": (*CONTRACT, law.check_law_equals_fit_without, *NO_TRACE),
    "influence": (*CONTRACT, *NO_INFLUENCE),
    None: (*CONTRACT, law.check_unlearning_moves_towards_retraining),
}


def unlearner_checks(estimator: Any, *, data: Any = None) -> Iterator[tuple[Any, Check]]:
    """Yield the checks of what an unlearner promises.

    Parameters
    ----------
    estimator : estimator
        An unlearner, not fitted. It has to offer ``fit(X, y, exclude=None)``, ``unlearn(forget_idx)``, ``predict``,
        ``forgotten_`` and ``receipts_``, and to declare ``guarantee`` and ``exactness``. Its parameters are kept; only
        a ``random_state`` that is no integer is set.
    data : tuple (X, y) or None, default=None
        A small problem for estimators that cannot learn a table of five numbers a row; some 60 rows are enough. `X` is
        an array or a data frame, and given to `fit` as such.

    Yields
    ------
    estimator
        The one passed in.
    callable
        A check, to be called with the estimator. It raises AssertionError where a promise is broken, and
        unittest.SkipTest where it does not apply.

    See Also
    --------
    check_unlearner : Run them.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.checks import unlearner_checks
    >>> [check.__name__ for _, check in unlearner_checks(Retrain(LogisticRegression()))][:2]
    ['check_promise', 'check_bad_requests_change_nothing']
    """
    if isinstance(estimator, type):
        raise TypeError(f"pass an instance, such as {estimator.__name__}(...), not the class.")
    for check in CHECKS.get(getattr(estimator, "exactness", None), CONTRACT):
        yield estimator, check if data is None else _bound(check, data)


def _bound(check: Check, data: Any) -> Check:
    bound: Any = partial(check, data=data)
    bound.__name__ = check.__name__
    return bound


def check_unlearner(
    estimator: Any,
    *,
    on_fail: Literal["raise", "warn"] | None = "raise",
    expected_failed_checks: Mapping[str, str] | None = None,
    data: Any = None,
) -> list[dict[str, Any]]:
    """Check that an unlearner keeps what it promises.

    The counterpart of `sklearn.utils.estimator_checks.check_estimator` for the verb `unlearn`: requests and receipts,
    failures, side effects, and the notion of exactness that the class declares, tested against models that never saw
    the forgotten rows. ``docs/guide-own-method.md`` shows how to write a method that passes.

    Parameters
    ----------
    estimator : estimator
        An unlearner, not fitted; see `unlearner_checks`.
    on_fail : {'raise', 'warn'} or None, default='raise'
        Whether the first failing check raises, each warns with `EstimatorCheckFailedWarning`, or the result alone says
        so.
    expected_failed_checks : mapping or None, default=None
        Names of checks that are expected to fail, each with the reason; they never raise.
    data : tuple (X, y) or None, default=None
        A small problem for estimators that cannot learn the generated one: an array or a data frame, and an array.

    Returns
    -------
    list of dict
        One for each check, with the keys ``estimator``, ``check_name``, ``exception``, ``status`` (``"passed"``,
        ``"failed"``, ``"skipped"`` or ``"xfail"``), ``expected_to_fail`` and ``expected_to_fail_reason``.

    Raises
    ------
    AssertionError
        If a promise is broken and `on_fail` is ``"raise"``.

    See Also
    --------
    parametrize_with_unlearner_checks : The same as tests, one for each check.

    Notes
    -----
    An unlearner built on ``mlunlearn.base.UnlearnerMixin`` has its receipts written for it. Any other one appends a
    `mlunlearn.Receipt`, or an object with the same attributes, to ``receipts_`` at every request. Read are

    - ``rows`` and ``already``: the positions, in the data given to `fit`, that this request forgot, and those it named
      that had been forgotten before, both as ascending integer arrays;
    - ``n_retained``: how many rows are retained afterwards;
    - ``guarantee``: that of the class;
    - ``seconds``: how long the request took;
    - ``work``: a ``mlunlearn.receipts.Work`` whose ``samples`` is the number of rows that were read to serve the
      request, counted once for each pass, and whose ``full`` is the number that a fit on all retained rows would read.
      Where `unlearn` trains the ``estimator`` inside, both are recounted, to the row for a class that is exact to the
      bit and up to a factor of two for others.

    A class with ``exactness = "rounding"`` also declares ``rounding``: how far rounding may lead, as a share of the
    largest number of an attribute, or of one where that is less. Settings that make no sense are tried where the class
    declares ``_parameter_constraints``. Copies of forgotten rows are searched for in the model, in global variables
    and class attributes of the packages that its classes come from, and in files written to the working directory
    and to that for temporary files.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.checks import check_unlearner
    >>> results = check_unlearner(Retrain(LogisticRegression()))
    >>> {result["status"] for result in results} <= {"passed", "skipped"}
    True
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail must be 'raise', 'warn' or None, got {on_fail!r}.")
    expected = expected_failed_checks or {}
    results = []
    for _, check in unlearner_checks(estimator, data=data):
        result = _run(estimator, check, expected.get(check.__name__))
        if result["status"] == "failed" and on_fail == "raise":
            raise result["exception"]
        if result["status"] == "failed" and on_fail == "warn":
            warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=2)
        results.append(result)
    return results


def _run(estimator: Any, check: Check, reason: str | None) -> dict[str, Any]:
    exception: Exception | None = None
    status = "passed"
    try:
        check(estimator)
    except SkipTest as skipped:
        status, exception = "skipped", skipped
    except Exception as failed:  # whatever an estimator raises is the finding, and is reported
        status, exception = ("failed" if reason is None else "xfail"), failed
    return {
        "estimator": estimator,
        "check_name": check.__name__,
        "exception": exception,
        "status": status,
        "expected_to_fail": reason is not None,
        "expected_to_fail_reason": reason,
    }


def parametrize_with_unlearner_checks(
    estimators: Sequence[Any],
    *,
    expected_failed_checks: Callable[[Any], Mapping[str, str]] | None = None,
    data: Any = None,
) -> Any:
    """Parametrize a test with the checks of some unlearners, for pytest.

    Parameters
    ----------
    estimators : list of estimators
        Unlearners, not fitted.
    expected_failed_checks : callable or None, default=None
        Told an estimator, returns the names of the checks that are expected to fail for it, each with the reason.
    data : tuple (X, y) or None, default=None
        A small problem for estimators that cannot learn the generated one: an array or a data frame, and an array.

    Returns
    -------
    decorator
        For a test with the arguments ``estimator`` and ``check``.

    See Also
    --------
    check_unlearner : The same without pytest.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> from mlunlearn.checks import parametrize_with_unlearner_checks
    >>> @parametrize_with_unlearner_checks([Retrain(LogisticRegression())])
    ... def test_retrain(estimator, check):
    ...     check(estimator)
    """
    import pytest

    def cases() -> Iterator[Any]:
        for estimator in estimators:
            expected = expected_failed_checks(estimator) if expected_failed_checks else {}
            for _, check in unlearner_checks(estimator, data=data):
                reason = expected.get(check.__name__)
                marks = () if reason is None else pytest.mark.xfail(reason=reason)
                yield pytest.param(estimator, check, marks=marks)

    return pytest.mark.parametrize(("estimator", "check"), list(cases()), ids=_name)


def _name(argument: Any) -> str:
    if hasattr(argument, "get_params"):
        with config_context(print_changed_only=True):
            name = UNSTABLE.sub("", str(argument))
        return name if len(name) <= LONG_NAME else f"{name[: LONG_NAME - 4]}...)"
    return argument.__name__
