"""Every check fails on a model with the defect it is meant for: an unlearner that is wrong in one place."""

import functools
import gzip
import io
import json
import os
import tempfile
import zlib
from dataclasses import replace
from numbers import Real

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._param_validation import Interval

from mlunlearn import Retrain, SISAClassifier
from mlunlearn.base import UnlearnerMixin
from mlunlearn.checks import unlearner_checks
from mlunlearn.checks.suite import CHECKS
from mlunlearn.receipts import Receipt, Work
from mlunlearn.requests import ForgetRequest, resolve_positions
from mlunlearn.rows.data import Block, TrainingData
from mlunlearn.sharded.shards import Job

DEFECTS = []


def planted(check, inner=LogisticRegression, **options):
    """Note that `check` has to fail on the class, with this estimator inside and these options."""

    def note(defect):
        DEFECTS.append(pytest.param(check, defect, inner, options, id=f"{check}-{defect.__name__}"))
        return defect

    return note


SLICED = {"n_shards": 2, "n_slices": 3}


# ------------------------------------------------------------------ the contract


@planted("check_promise")
class SaysExactButNotHow(Retrain):
    exactness = None


@planted("check_promise")
class SaysSomethingElse(Retrain):
    guarantee = "perfect"


@planted("check_promise")
class SaysRoundingButNotHowMuch(Retrain):
    exactness = "rounding"


@planted("check_bad_requests_change_nothing")
class CountsFromTheEnd(Retrain):
    def _resolve(self, forget_idx, forget_ids, classes):
        if isinstance(forget_idx, list):
            forget_idx = [row % self.n_samples_fit_ for row in forget_idx]
        return super()._resolve(forget_idx, forget_ids, classes)


@planted("check_bad_requests_change_nothing")
class NotesBeforeItRefuses(Retrain):
    def unlearn(self, forget_idx=None, *, forget_ids=None, classes=None):
        self.asked_ = [*getattr(self, "asked_", []), forget_idx]
        return super().unlearn(forget_idx, forget_ids=forget_ids, classes=classes)


@planted("check_repeats_are_skipped")
class ForgetsAgain(Retrain):
    def _resolve(self, forget_idx, forget_ids, classes):
        request = super()._resolve(forget_idx, forget_ids, classes)
        return ForgetRequest(np.union1d(request.rows, request.already), request.already[:0], request.classes)

    def _unlearn(self, request):
        return super()._unlearn(replace(request, rows=request.rows[~self.forgotten_[request.rows]]))

    def _read(self, positions, *why):
        return self._data.block(positions)


@planted("check_receipts")
class RecordsNothing(Retrain):
    def _file_receipt(self, request, work, started, **about):
        super()._file_receipt(request, work, started, **about)
        self.receipts_ = self.receipts_[:-1]


@planted("check_positions_stay_valid")
class Renumbers(Retrain):
    def _resolve(self, forget_idx, forget_ids, classes):
        rows = self._retained()[np.asarray(forget_idx)]
        return super()._resolve(rows, forget_ids, classes)


@planted("check_forms_of_a_request")
class ReadsMasksAsPositions(Retrain):
    def _exclude(self, exclude):
        super()._exclude(np.unique(exclude.astype(int)) if getattr(exclude, "dtype", "") == "bool" else exclude)


@planted("check_forget_by_id")
class StoresIds(Retrain):
    def fit(self, X, y=None, sample_weight=None, *, sample_ids=None, exclude=None):
        super().fit(X, y, sample_weight, sample_ids=sample_ids, exclude=exclude)
        self.ids_ = sample_ids
        return self


@planted("check_forget_by_id")
class ForgetsOneRowOfAnId(Retrain):
    def _resolve(self, forget_idx, forget_ids, classes):
        request = super()._resolve(forget_idx, forget_ids, classes)
        return ForgetRequest(request.rows[:1], request.already) if forget_ids is not None else request


@planted("check_forget_a_class")
class KeepsTheLabel(Retrain):
    def _learn_classes(self, labels):
        if not hasattr(self, "classes_"):
            super()._learn_classes(labels)


# ------------------------------------------------------------------ failures


@planted("check_failed_unlearn_changes_nothing", n_shards=3)
class PutsShardsInPlaceOneByOne(SISAClassifier):
    def _train(self, jobs, n_total):
        starts = []
        for job in jobs:
            before = self.checkpoints_
            starts += super()._train([job], n_total)
            for place, parts in enumerate(self.checkpoints_):
                before[place] = parts
            self.checkpoints_ = before
        return starts


@planted("check_failed_unlearn_changes_nothing")
class HidesFailures(Retrain):
    def _unlearn(self, request):
        try:
            return super()._unlearn(request)
        except Exception:
            return Work(0, 0)


@planted("check_interrupted_unlearn_is_all_or_nothing")
class CommitsInTwoSteps(Retrain):
    def unlearn(self, forget_idx=None, *, forget_ids=None, classes=None):
        super().unlearn(forget_idx, forget_ids=forget_ids, classes=classes)
        self.n_requests_ = self._count()
        return self

    def _count(self):
        return len(self.receipts_)


@planted("check_edited_data_is_noticed")
class TrustsTheArrays(Retrain):
    def _read(self, positions, *why):
        return self._data.block(positions)


@planted("check_saved_model_holds_no_rows")
class SavesItsData(Retrain):
    def __getstate__(self):
        return {**super().__getstate__(), "_data": self._data}


@planted("check_reloaded_model_asks_for_its_data")
class TakesAnyData(Retrain):
    def attach_data(self, X, y=None, sample_weight=None):
        self._data = TrainingData(X, y, sample_weight)
        return self


@planted("check_reloaded_model_asks_for_its_data")
class ForgetsWhenSaved(SISAClassifier):
    def __getstate__(self):
        state = super().__getstate__()
        return {**state, "checkpoints_": [parts[:1] for parts in self.checkpoints_[:1]] + self.checkpoints_[:-1]}


# ------------------------------------------------------------------ hygiene


@planted("check_arguments_are_left_alone")
class FitsWhatItWasGiven(Retrain):
    def _trained(self, block):
        return self.estimator.fit(block.X, block.y)


@planted("check_arguments_are_left_alone")
class BlanksTheCallersRows(Retrain):
    def _unlearn(self, request):
        work = super()._unlearn(request)
        self._data.X[request.rows] = 0.0
        return work


@planted("check_random_states_are_left_alone")
class DrawsFromNumpy(Retrain):
    def _unlearn(self, request):
        np.random.shuffle(request.rows.copy())  # noqa: NPY002
        return super()._unlearn(request)


@planted("check_clone_and_refit")
class RemembersEarlierFits(Retrain):
    def _forget_fit(self):
        fits = getattr(self, "fits_", 0)
        super()._forget_fit()
        self.fits_ = fits + 1


@planted("check_seeds", inner=SGDClassifier)
class IgnoresItsSeed(Retrain):
    def _trained(self, block):
        self.seed_ = 0
        return super()._trained(block)


@planted("check_seeds", inner=SGDClassifier)
class DrawsItsSeed(Retrain):
    def _trained(self, block):
        self.seed_ = int.from_bytes(os.urandom(3), "little")
        return super()._trained(block)


@planted("check_n_jobs_changes_no_bit", inner=SGDClassifier)
class SeedsByProcesses(SISAClassifier):
    def _fit(self, **options):
        self.seed_ += self.n_jobs
        super()._fit(**options)


# ------------------------------------------------------------------ exactness


@planted("check_unlearn_equals_fit_without", inner=GaussianNB, **SLICED)
@planted("check_forgotten_rows_have_no_influence", inner=GaussianNB, **SLICED)
class KeepsAStaleCheckpoint(SISAClassifier):
    def _cut_out(self, shard, gone):
        job = super()._cut_out(shard, gone)
        return job._replace(start=min(job.start + 1, self.n_slices_ - 1))


@planted("check_unlearn_equals_fit_without", inner=lambda: MLPClassifier((4,), solver="adam"), max_epochs=2, **SLICED)
class ForgetsMoments(SISAClassifier):
    def _train(self, jobs, n_total):
        starts = super()._train(jobs, n_total)
        for model in (model for parts in self.checkpoints_ for model in parts):
            vars(model).pop("_optimizer", None)
        return starts


@planted("check_remainder_rows", inner=GaussianNB, **SLICED)
class MissesTheRemainder(SISAClassifier):
    def _unlearn(self, request):
        remainder = [self.allocation_.rows(k)[self._even(k) :] for k in range(self.n_shards_)]
        rows = np.setdiff1d(request.rows, np.concatenate(remainder))
        super()._unlearn(replace(request, rows=rows)) if len(request.rows) > 1 else None
        return Work(0, 1)

    def _even(self, shard):
        n = len(self.allocation_.rows(shard))
        return n - n % self.n_slices_


@planted("check_emptied_slices", inner=GaussianNB, **SLICED)
class KeepsTheCheckpointOfAnEmptiedSlice(SISAClassifier):
    def _unlearn(self, request):
        before = self.checkpoints_
        work = super()._unlearn(request)
        counts = self.allocation_.counts(self._retained_without(request.rows))
        for shard, part in zip(*np.nonzero(counts == 0), strict=True):
            self.checkpoints_[shard][part] = before[shard][part]
        return work


@planted("check_order_of_requests", inner=SGDClassifier)
class SeedsByRequest(Retrain):
    def _unlearn(self, request):
        seed, self.seed_ = self.seed_, self.seed_ + len(self.receipts_)
        work = super()._unlearn(request)
        self.seed_ = seed
        return work


@planted("check_every_row_is_learned_until_it_is_forgotten")
class DropsTheRemainder(SISAClassifier):
    def _retained_rows(self, shard):
        return super()._retained_rows(shard)[:-1]


@planted("check_every_row_is_learned_until_it_is_forgotten")
class BringsRowsBack(Retrain):
    def _fit(self):
        super()._fit()
        self._everything = self._data.block(self._retained())

    def _unlearn(self, request):
        block = self._everything.take(np.setdiff1d(np.arange(len(self._everything)), request.rows))
        self.estimator_ = clone(self.estimator).fit(block.X, block.y)
        return Work(len(block), len(block))


# ------------------------------------------------------------------ influence


@planted("check_no_mark_is_left")
class KeepsACopy(Retrain):
    def _fit(self):
        super()._fit()
        self._seen = self._data.X.copy()


@planted("check_no_mark_is_left")
class KeepsAMean(Retrain):
    def _fit(self):
        super()._fit()
        self._centre = self._data.X.mean(axis=0)


@planted("check_no_mark_is_left", inner=DecisionTreeClassifier)
class KeepsAView(Retrain):
    def _fit(self):
        super()._fit()
        self._first = self._data.X[1:2].view()


@planted("check_forgotten_rows_have_no_influence")
class CountsWhatItSaw(Retrain):
    def _fit(self):
        super()._fit()
        self._positive = int((self._data.X > 0).sum())


# ------------------------------------------------------------------ copies

CACHE = []


@functools.lru_cache(maxsize=4)
def cached(held):
    return held


def collected(row, held=[]):  # noqa: B006
    held.append(row)


def saved(values):
    archive = io.BytesIO()
    np.savez_compressed(archive, values=np.asfortranarray(values))
    return archive.getvalue()


def file_with(content):
    number, path = tempfile.mkstemp()
    with open(number, "wb") as file:
        file.write(content)
    return path


HIDING_PLACES = {
    "AModuleVariable": lambda model, X: CACHE.append(X.copy()),
    "AClassAttribute": lambda model, X: type(model).held.append(X.copy()),
    "ACachedFunction": lambda model, X: cached(X.tobytes()),
    "ADefaultValue": lambda model, X: collected(X.copy()),
    "Zlib": lambda model, X: vars(model).update(_seen=zlib.compress(X.tobytes())),
    "Gzip": lambda model, X: vars(model).update(_seen=[gzip.compress(X.tobytes())]),
    "AnArchive": lambda model, X: vars(model).update(_seen=saved(X)),
    "HalfPrecision": lambda model, X: vars(model).update(_seen=X.astype(np.float16)),
    "BrainFloats": lambda model, X: vars(model).update(_seen=(X.astype(np.float32).view(np.uint32) >> 16).astype("u2")),
    "ATemporaryFile": lambda model, X: file_with(X.tobytes()),
    "ATemporaryArchive": lambda model, X: file_with(saved(X.astype(np.float32))),
}


class Plain(ClassifierMixin, BaseEstimator):
    """An unlearner without anything of ours but the receipt: means of classes."""

    guarantee = "exact"
    exactness = "bits"
    held = []  # noqa: RUF012

    def fit(self, X, y, *, exclude=None):
        rows = np.delete(np.arange(len(X)), [] if exclude is None else resolve_positions(exclude, len(X)))
        self.classes_, self.receipts_ = np.unique(y), []
        self._learn(np.asarray(X), np.asarray(y), rows)
        self.forgotten_ = ~np.isin(np.arange(len(X)), rows)
        return self

    def _learn(self, X, y, rows):
        self._held, self.means_ = (X, y), np.stack([X[rows][y[rows] == label].mean(axis=0) for label in self.classes_])

    def unlearn(self, forget_idx):
        asked = resolve_positions(forget_idx, len(self.forgotten_))
        rows, already = asked[~self.forgotten_[asked]], asked[self.forgotten_[asked]]
        forgotten = self.forgotten_.copy()
        forgotten[rows] = True
        X, y = self._held
        X = np.where(forgotten[:, None], 0.0, X)
        self._learn(X, y, np.flatnonzero(~forgotten))
        self.forgotten_, n_left = forgotten, int((~forgotten).sum())
        receipt = Receipt("Plain", "exact", rows, already, (), n_left, 0.0, Work(n_left, n_left), None)
        self.receipts_ = [*self.receipts_, receipt]
        return self

    def predict(self, X):
        return self.classes_[np.argmin(((np.asarray(X)[:, None] - self.means_) ** 2).sum(axis=2), axis=1)]


for place, hide in HIDING_PLACES.items():

    class KeepsACopyInRetrain(Retrain):
        held = []  # noqa: RUF012
        hide = hide

        def _fit(self):
            super()._fit()
            self.hide(self._data.X)

    class KeepsACopyInPlain(Plain):
        hide = hide

        def _learn(self, X, y, rows):
            super()._learn(X, y, rows)
            if not hasattr(self, "forgotten_"):
                self.hide(X)

    for defect, inside in ((KeepsACopyInRetrain, LogisticRegression), (KeepsACopyInPlain, None)):
        defect.__name__ = defect.__qualname__ = defect.__name__.replace("ACopy", place)
        planted("check_no_copy_is_left", inner=inside)(defect)


# ------------------------------------------------------------------ rounding


class Downdates(RegressorMixin, UnlearnerMixin, BaseEstimator):
    """Honest: a ridge regression that subtracts rows from its sums, so that rounding is left of them."""

    guarantee = "exact"
    exactness = "rounding"
    rounding = 1e-9
    _needs_forgotten = True

    def _fit(self):
        self._gram, self._moment = self._sums(self._retained())
        self._solve()

    def _unlearn(self, request):
        rows = request.rows
        sums = self._sums(rows)
        self._gram, self._moment = self._gram - sums[0], self._moment - sums[1]
        self._solve()
        return Work(len(rows), len(self._retained()) - len(rows))

    def _sums(self, rows):
        block = self._data.block(rows)
        return block.X.T @ block.X, block.X.T @ block.y

    def _solve(self):
        self.coef_ = np.linalg.solve(self._gram + np.eye(len(self._gram)), self._moment)

    def predict(self, X):
        return self._check_input(X, reset=False) @ self.coef_


@planted("check_unlearn_equals_fit_without_up_to_rounding", inner=None)
class ForgetsInputsAlone(Downdates):
    def _sums(self, rows):
        gram, moment = super()._sums(rows)
        return gram, moment * (len(rows) > 20)


@planted("check_rounding_does_not_add_up", inner=None)
class Drifts(Downdates):
    def _solve(self):
        super()._solve()
        self.coef_ = self.coef_ * (1 + 2e-10 * len(self.receipts_))


@planted("check_forgotten_rows_leave_rounding_alone", inner=None)
class RemembersALittle(Downdates):
    def _fit(self):
        super()._fit()
        self._largest = np.abs(self._data.X).max()

    def _solve(self):
        super()._solve()
        self.coef_ = self.coef_ + 1e-6 * getattr(self, "_largest", 0.0)


# ------------------------------------------------------------------ shards and cost


@planted("check_isolation")
class ScalesAcrossShards(SISAClassifier):
    def _fresh_jobs(self):
        scale = self._data.X.std(axis=0)
        for job in super()._fresh_jobs():
            block = job.block
            yield job._replace(block=Block(block.X / scale, block.y, block.weight))


@planted("check_one_request_touches_one_shard")
class RetrainsEveryShard(SISAClassifier):
    def _unlearn(self, request):
        work = super()._unlearn(request)
        left = self._retained_without(request.rows)
        shards = (left[self.allocation_.shard[left] == shard] for shard in range(self.n_shards_))
        counts = self.allocation_.sizes
        jobs = [Job(k, 0, self._data.block(rows), counts[k]) for k, rows in enumerate(shards)]
        self._train(jobs, len(jobs))
        return work


@planted("check_one_request_touches_one_shard")
class StirsOtherShards(SISAClassifier):
    def _unlearn(self, request):
        work = super()._unlearn(request)
        for parts in self.checkpoints_:
            parts[-1].n_requests_ = len(self.receipts_) + 1
        return work


@planted("check_receipts_count_the_work")
class FlattersItself(SISAClassifier):
    def _unlearn(self, request):
        work = super()._unlearn(request)
        return replace(work, samples=work.samples // 2)


@planted("check_receipts_count_the_work")
class FlattersItselfInAnotherSense(Retrain):
    exactness = "influence"

    def _unlearn(self, request):
        work = super()._unlearn(request)
        return replace(work, samples=work.samples // 10)


@planted("check_receipts_count_the_work")
class MakesTheFitLookDear(Retrain):
    exactness = "influence"

    def _unlearn(self, request):
        work = super()._unlearn(request)
        return replace(work, full=10 * work.full)


@planted("check_no_copy_is_left")
class WritesRowsDown(Retrain):
    def _fit(self):
        super()._fit()
        self._log = repr(self._data.X.tolist())


@planted("check_no_copy_is_left")
class WritesRowsIntoAFile(Retrain):
    def _fit(self):
        super()._fit()
        path = os.path.join(tempfile.mkdtemp(), "rows.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._data.X.tolist(), file)


NOTES = []


@planted("check_no_copy_is_left")
class NotesWhoWasThere(Retrain):
    def fit(self, X, y=None, sample_weight=None, *, sample_ids=None, exclude=None):
        NOTES.append(f"fitted on {sample_ids}" if sample_ids is not None else "")
        return super().fit(X, y, sample_weight, sample_ids=sample_ids, exclude=exclude)


@planted("check_no_copy_is_left")
class PrintsRows(Retrain):
    printed = ""

    def _fit(self):
        super()._fit()
        type(self).printed = "; ".join(f"{value:.8f}" for value in self._data.X.ravel())


@planted("check_cost_follows_the_formula", inner=GaussianNB, **SLICED)
class RestartsFromTheBeginning(SISAClassifier):
    def _cut_out(self, shard, gone):
        return super()._cut_out(shard, gone)._replace(start=0)


# ------------------------------------------------------------------ law, and no exactness


class Reseeding(Retrain):
    """Honest: retrains with a seed of its own, so that the law agrees and the bits do not."""

    exactness = "law"

    def _unlearn(self, request):
        self.seed_ = self.seed_ + 1_000_003
        return super()._unlearn(request)


@planted("check_law_equals_fit_without", inner=SGDClassifier)
class OnlySaysSo(Reseeding):
    def _unlearn(self, request):
        super()._unlearn(replace(request, rows=request.rows[:0]))
        return Work(0, 1)

    def _read(self, positions, *why):
        return self._data.block(positions)


class Blends(UnlearnerMixin, LogisticRegression):
    """Approximate: goes some way from the fitted to the retrained coefficients."""

    guarantee = "approximate"
    way = 0.7

    def _fit(self):
        block = self._data.block(self._retained())
        LogisticRegression.fit(self, block.X, block.y)

    def _unlearn(self, request):
        block = self._data.block(self._retained_without(request.rows))
        retrained = LogisticRegression().fit(block.X, block.y)
        self.coef_ = (1 - self.way) * self.coef_ + self.way * retrained.coef_
        self.intercept_ = (1 - self.way) * self.intercept_ + self.way * retrained.intercept_
        return Work(len(block), len(block))


@planted("check_nonsense_is_refused_before_training", inner=None)
class FitsAnything(Blends):
    def _fit(self):
        block = self._data.block(self._retained())
        vars(self).update(vars(LogisticRegression().fit(block.X, block.y)) | self.get_params())


@planted("check_unlearning_moves_towards_retraining", inner=None)
class GoesTheWrongWay(Blends):
    way = -0.7


# ------------------------------------------------------------------ the tests


HONEST = (Retrain, SISAClassifier, Reseeding, Blends, Plain, Downdates)


@pytest.fixture(autouse=True)
def temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def made(defect, inner, options):
    return defect(**options) if inner is None else defect(inner(), **options)


def check_named(estimator, name):
    return next(check for _, check in unlearner_checks(estimator) if check.__name__ == name)


@pytest.mark.parametrize(("check", "defect", "inner", "options"), DEFECTS)
def test_the_check_fails_on_the_defect(check, defect, inner, options):
    model = made(defect, inner, options)
    with pytest.raises(AssertionError):
        check_named(model, check)(model)


@pytest.mark.parametrize(("check", "defect", "inner", "options"), DEFECTS)
def test_the_check_passes_without_the_defect(check, defect, inner, options):
    honest = next(base for base in defect.__mro__[1:] if base in HONEST)
    model = made(honest, inner, options)
    check_named(model, check)(model)


def test_process_restart_fails_on_a_model_that_depends_on_its_process():
    class SeedsByProcess(Retrain):  # local, so that its code travels with it
        def _trained(self, block):
            self.seed_ = os.getpid()
            return super()._trained(block)

    model = SeedsByProcess(SGDClassifier())
    with pytest.raises(AssertionError, match="in another process"):
        check_named(model, "check_process_restart")(model)


def test_a_file_in_the_working_directory_is_found(tmp_path, monkeypatch):
    class Logs(Retrain):
        def _fit(self):
            super()._fit()
            os.makedirs("learned", exist_ok=True)
            np.savetxt("learned/shapes.txt", self._data.X.shape)
            np.save("learned/rows.npy", np.asfortranarray(self._data.X))

    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    model = Logs(LogisticRegression())
    with pytest.raises(AssertionError, match=r"learned/rows\.npy holds the bytes") as failed:
        check_named(model, "check_no_copy_is_left")(model)
    assert "shapes.txt" not in str(failed.value)


def test_settings_that_are_refused_too_late_are_found():
    class LooksAfterwards(Retrain):
        _parameter_constraints = {"share": [Interval(Real, 0, 1, closed="both")]}  # noqa: RUF012

        def __init__(self, estimator, *, share=0.5, random_state=None):
            super().__init__(estimator, random_state=random_state)
            self.share = share

        def _fit(self):
            super()._fit()
            if not (isinstance(self.share, (int, float)) and 0 <= self.share <= 1):
                raise ValueError(f"share must be between 0 and 1, got {self.share!r}.")

    class LooksBefore(LooksAfterwards):
        def fit(self, *args, **options):
            self._validate_params()
            return super().fit(*args, **options)

    late, early = LooksAfterwards(LogisticRegression()), LooksBefore(LogisticRegression())
    with pytest.raises(AssertionError, match="share=-5 was refused after the estimator inside was trained") as failed:
        check_named(late, "check_nonsense_is_refused_before_training")(late)
    assert all(f"share={value}" in str(failed.value) for value in ("-5", "nan", "'typo'"))
    check_named(early, "check_nonsense_is_refused_before_training")(early)


def test_every_check_has_a_defect_planted():
    elsewhere = {"check_process_restart"}
    every = {check.__name__ for checks in CHECKS.values() for check in checks}
    assert every == {case.values[0] for case in DEFECTS} | elsewhere
