"""The suite passes on honest unlearners, ours and others, and reports as scikit-learn's does."""

import subprocess
import sys
import warnings
from numbers import Real
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from mlunlearn import Receipt, Retrain, SISAClassifier, SISARegressor
from mlunlearn.checks import check_unlearner, parametrize_with_unlearner_checks, unlearner_checks
from mlunlearn.checks.contract import check_forget_a_class
from mlunlearn.checks.data import as_problem, make_problem
from mlunlearn.checks.exactness import check_every_row_is_learned_until_it_is_forgotten
from mlunlearn.checks.harness import rows_shown, watch
from mlunlearn.checks.rounding import beyond_rounding
from mlunlearn.checks.settings import nonsense
from mlunlearn.checks.suite import CHECKS
from mlunlearn.receipts import Work
from mlunlearn.requests import resolve_positions


class NearestMean(ClassifierMixin, BaseEstimator):
    """An unlearner by somebody else, who knows the public contract alone; it refits, or only forgets in law or not."""

    guarantee = "exact"
    exactness = "bits"

    def fit(self, X, y, *, exclude=None):
        X, y = validate_data(self, X, y)
        self._fit(X, y, np.isin(np.arange(len(X)), np.arange(len(X))[[] if exclude is None else exclude]))
        self.receipts_ = []
        return self

    def _fit(self, X, y, forgotten):
        X, y, rows = X[~forgotten[: len(X)]], y[~forgotten[: len(X)]], np.flatnonzero(~forgotten)
        classes = np.unique(y)
        self.means_ = np.stack([X[y == label].mean(axis=0) for label in classes])
        self.classes_, self.forgotten_, self._kept = classes, forgotten, (X, y, rows)

    def unlearn(self, forget_idx):
        check_is_fitted(self)
        asked = resolve_positions(forget_idx, len(self.forgotten_))
        rows, already = asked[~self.forgotten_[asked]], asked[self.forgotten_[asked]]
        X, y, held = self._kept
        if len(rows) == len(held):
            raise ValueError("no row would be left")
        keep = ~np.isin(held, rows)
        forgotten = self.forgotten_.copy()
        forgotten[rows] = True
        receipt = self._receipt(rows, already, int(keep.sum()))
        means = np.stack([X[keep & (y == label)].mean(axis=0) for label in self.classes_])
        state = {"means_": means, "forgotten_": forgotten, "_kept": (X[keep], y[keep], held[keep])}
        vars(self).update({**state, "receipts_": [*self.receipts_, receipt]})
        return self

    def _receipt(self, rows, already, n_retained):
        work = Work(n_retained, n_retained)
        return Receipt("NearestMean", self.guarantee, rows, already, (), n_retained, 0.0, work, None)

    def predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.classes_[np.argmin(((X[:, None] - self.means_) ** 2).sum(axis=2), axis=1)]


class InfluenceFree(NearestMean):
    exactness = "influence"


class ForgetsNothing(NearestMean):
    def unlearn(self, forget_idx):
        means = getattr(self, "means_", None)
        super().unlearn(forget_idx)
        self.means_ = means
        return self


class OfSixteen(NearestMean):
    def fit(self, X, y, *, exclude=None):
        if np.shape(X)[1] != 16:
            raise ValueError("takes sixteen features")
        return super().fit(X, y, exclude=exclude)


@parametrize_with_unlearner_checks(
    [
        NearestMean(),
        InfluenceFree(),
        Retrain(Ridge()),
        SISAClassifier(KNeighborsClassifier(), n_shards=3),
        SISAClassifier(MultinomialNB(), n_slices=4, weighting="size"),
        SISAClassifier(
            HistGradientBoostingClassifier(max_iter=4, warm_start=True, early_stopping=False), n_shards=2, n_slices=2
        ),
    ]
)
def test_honest_unlearners(estimator, check):
    check(estimator)


def test_a_promise_chooses_the_checks():
    def names(model):
        return {check.__name__ for _, check in unlearner_checks(model)}

    assert "check_unlearn_equals_fit_without" in names(NearestMean())
    assert names(InfluenceFree()) < names(NearestMean())
    assert names(InfluenceFree()) >= {check.__name__ for check in CHECKS["influence"]}
    assert "check_law_equals_fit_without" in {check.__name__ for check in CHECKS["law"]}
    assert "check_unlearning_moves_towards_retraining" in {check.__name__ for check in CHECKS[None]}


def test_an_unknown_promise_fails_on_the_promise():
    class Vague(NearestMean):
        exactness = "mostly"

    with pytest.raises(AssertionError, match="exactness is 'mostly'"):
        check_unlearner(Vague())


def test_the_first_failure_raises():
    with pytest.raises(AssertionError, match="differs from fit"):
        check_unlearner(ForgetsNothing())


def test_results_tell_everything():
    results = check_unlearner(ForgetsNothing(), on_fail=None, expected_failed_checks={"check_no_mark_is_left": "known"})
    by_name = {result["check_name"]: result for result in results}
    assert by_name["check_promise"]["status"] == "passed"
    assert by_name["check_isolation"]["status"] == "skipped"
    assert "allocation_" in str(by_name["check_isolation"]["exception"])
    assert by_name["check_unlearn_equals_fit_without"]["status"] == "failed"
    assert isinstance(by_name["check_unlearn_equals_fit_without"]["exception"], AssertionError)
    assert by_name["check_no_mark_is_left"]["status"] == "xfail"
    assert by_name["check_no_mark_is_left"]["expected_to_fail_reason"] == "known"
    failed = {name for name, result in by_name.items() if result["status"] == "failed"}
    assert failed == {
        "check_unlearn_equals_fit_without",
        "check_remainder_rows",
        "check_forgotten_rows_have_no_influence",
    }


def test_failures_can_warn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_unlearner(ForgetsNothing(), on_fail="warn")
    failed = {each.message.check_name for each in caught if each.category is EstimatorCheckFailedWarning}
    assert "check_unlearn_equals_fit_without" in failed


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match=r"instance, such as NearestMean\(\.\.\.\)"):
        check_unlearner(NearestMean)
    with pytest.raises(ValueError, match="on_fail"):
        check_unlearner(NearestMean(), on_fail="ignore")


def test_data_of_ones_own_is_used():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 16)) + y[:, None]
    results = check_unlearner(OfSixteen(), data=(X, y))
    assert {result["status"] for result in results} == {"passed", "skipped"}
    assert results[0]["check_name"] == "check_promise"


def test_a_frame_stays_a_frame():
    rng = np.random.default_rng(0)
    y = np.arange(50) % 2
    frame = pd.DataFrame({"a": rng.normal(size=50) + y, "b": rng.normal(size=50), "c": np.arange(50) % 7 * 1.0})
    mixed = frame.assign(c=pd.Categorical(np.array(["x", "y", "z"])[np.arange(50) % 3]), d=rng.permutation(50))
    by_name = make_column_transformer((StandardScaler(), ["b"]), remainder="passthrough")
    by_kind = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
    for X, columns in ((frame, by_name), (mixed, by_kind)):
        model = Retrain(make_pipeline(columns, LogisticRegression()), random_state=0)
        results = check_unlearner(model, data=(X, y))
        passed = {result["check_name"] for result in results if result["status"] == "passed"}
        assert {result["status"] for result in results} == {"passed", "skipped"}
        assert {"check_unlearn_equals_fit_without", "check_edited_data_is_noticed"} <= passed
        assert ("check_no_copy_is_left" in passed) == (X is frame)
    assert set(frame.dtypes.astype(str)) == {"float64"}
    assert list(mixed.dtypes.astype(str)) == ["float64", "float64", "category", "int64"]


def test_a_parameter_named_steps_is_a_parameter():
    assert {result["status"] for result in check_unlearner(Stepwise())} == {"passed", "skipped"}


def test_a_parameter_named_n_shards_may_be_none():
    class Sharded(NearestMean):
        def __init__(self, n_shards=None):
            self.n_shards = n_shards

    assert len(make_problem(Sharded())) == len(make_problem(NearestMean()))


def test_every_bad_request_is_reported_at_once():
    class TakesWhatComes(NearestMean):
        def unlearn(self, forget_idx):
            check_is_fitted(self)
            forget_idx = np.asarray(forget_idx)
            if forget_idx.dtype.kind == "f":
                raise RuntimeError("no floats")
            return super().unlearn(np.unique(forget_idx % len(self.forgotten_)) if forget_idx.dtype.kind == "i" else [])

    with pytest.raises(AssertionError) as failed:
        check_unlearner(TakesWhatComes())
    for wrong in (
        "unlearn accepted a negative position",
        "unlearn accepted a position past the end",
        "unlearn met positions that are no integers with RuntimeError('no floats')",
        "unlearn accepted two dimensions",
    ):
        assert wrong in str(failed.value)


def test_an_approximate_method_may_keep_its_outputs():
    class KeepsOutputs(Retrain):
        guarantee = "approximate"
        exactness = None

        def _learn_classes(self, labels):
            if not hasattr(self, "classes_"):
                super()._learn_classes(labels)

    model = KeepsOutputs(LogisticRegression(), random_state=0)
    check_forget_a_class(model)
    KeepsOutputs.guarantee, KeepsOutputs.exactness = "exact", "bits"
    with pytest.raises(AssertionError, match="classes_ is"):
        check_forget_a_class(model)


def test_rounding_is_told_from_a_difference():
    expected = {"coef_": np.array([1.0, 2000.0]), "n_": np.array(3), "_private": np.array(1.0), "name_": "x"}

    def beyond(**changes):
        return list(beyond_rounding({**expected, **changes}, expected, 1e-6))

    assert beyond(coef_=np.array([1.0015, 2000.0]), _private=np.array(9.0)) == []
    assert beyond(coef_=np.array([1.0, 2000.0021])) == ["coef_"]
    assert beyond(coef_=np.array([np.nan, 2000.0])) == ["coef_"]
    assert beyond(coef_=np.array([1.0])) == ["coef_"]
    assert beyond(n_=np.array(4), name_="y") == ["n_", "name_"]
    assert beyond_rounding({}, expected, 1e-6).keys() == {"coef_", "n_", "name_"}


def test_nonsense_is_what_a_declaration_rules_out():
    asked = set(map(str, nonsense(SISAClassifier(LogisticRegression()))))
    assert {"('n_shards', -5)", "('max_epochs', nan)", "('aggregation', 'typo')"} <= asked
    assert not any("random_state" in each or "n_jobs" in each or "'estimator'" in each for each in asked)
    assert list(nonsense(Undeclared())) == []
    asked = list(map(str, nonsense(Declared())))
    assert asked == [
        "('offset', nan)", "('offset', 'typo')",
        "('way', -5)", "('way', 0)", "('way', 0.5)", "('way', nan)", "('way', 'typo')",
    ]  # fmt: skip


class Stepwise(NearestMean):
    def __init__(self, steps=3):
        self.steps = steps


class Undeclared(NearestMean):
    """A method of somebody else, for whom -5 is a fine offset.

    Parameters
    ----------
    offset : float, default=0.0
        Anything.
    """

    def __init__(self, offset=0.0):
        self.offset = offset


class Declared(NearestMean):
    _parameter_constraints = {  # noqa: RUF012
        "offset": [Interval(Real, None, None, closed="neither")],
        "way": [StrOptions({"up", "down"})],
        "callback": [callable],
    }

    def __init__(self, offset=0.0, way="up", callback=None):
        self.offset, self.way, self.callback = offset, way, callback


def test_data_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="15 rows besides two of every class; got 18 rows"):
        as_problem(NearestMean(), (np.zeros((18, 2)), np.arange(18) % 2))


def test_shards_of_one_class_need_no_training():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [50, 9]))
    X = rng.normal(size=(59, 4)) + y[:, None]
    model = SISAClassifier(LogisticRegression(), n_shards=8, random_state=0)
    assert DummyClassifier in {type(part) for part in model.fit(X, y).estimators_}
    check_every_row_is_learned_until_it_is_forgotten(model, (X, y))


def test_the_estimator_inside_is_watched_and_left_as_it_was():
    problem = make_problem(Retrain(SGDClassifier()))
    model = SISAClassifier(SGDClassifier(), n_shards=2, n_slices=2, max_epochs=3, random_state=0)
    before = {name: vars(SGDClassifier).get(name) for name in ("fit", "partial_fit")}
    with watch(model) as calls:
        model.fit(problem.X, problem.y)
    assert {name: vars(SGDClassifier).get(name) for name in before} == before
    assert abs(sum(call.samples for call in calls) - 3 * len(problem)) <= 2  # budgets are rounded to rows
    assert rows_shown(calls, problem).min() > 0


def test_problems_follow_the_tags():
    regression = make_problem(SISARegressor(Ridge(), n_shards=30))
    assert len(regression) == 181
    assert regression.y.dtype == float
    counts = make_problem(SISAClassifier(MultinomialNB()))
    assert (counts.X >= 0).all()
    assert len(np.unique(counts.y)) == 3

    class Texts(RegressorMixin, BaseEstimator):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array = False
            return tags

    with pytest.raises(SkipTest, match=r"pass data=\(X, y\)"):
        make_problem(Texts())


def test_rows_are_spared_so_that_classes_survive():
    problem = make_problem(Retrain(LogisticRegression()))
    spared = problem.spare(np.arange(len(problem)))
    left = np.delete(problem.y, spared)
    assert np.array_equal(np.unique(left, return_counts=True)[1], [2, 2, 2])
    assert len(problem.draw(8, seed=0)) == 8


def test_names_of_tests_can_be_read():
    mark = parametrize_with_unlearner_checks(
        [SISAClassifier(LogisticRegression(), n_shards=3)], expected_failed_checks=lambda est: {"check_seeds": "known"}
    ).mark
    cases = {case.values[1].__name__: case for case in mark.args[1]}
    estimator, check = cases["check_seeds"].values
    assert mark.kwargs["ids"](estimator) == "SISAClassifier(estimator=LogisticRegression(),n_shards=3)"
    assert mark.kwargs["ids"](check) == "check_seeds"
    assert mark.kwargs["ids"](Retrain(Ridge(alpha={"b", "a"}, tol=object()))) == (
        "Retrain(estimator=Ridge(alpha=,tol=<objectobject>))"
    )
    assert len(mark.kwargs["ids"](Retrain(make_pipeline(*[Ridge(alpha=3)] * 20)))) == 120
    assert [m.name for m in cases["check_seeds"].marks] == ["xfail"]
    assert not cases["check_receipts"].marks


def test_importing_the_checks_imports_neither_torch_nor_pytest():
    code = "import sys, mlunlearn.checks; sys.exit(any(name in sys.modules for name in ('torch', 'pytest')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
