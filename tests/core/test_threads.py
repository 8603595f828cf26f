"""One model in two threads: requests are served one after the other, and predictions are those of one state."""

import copy
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from mlunlearn import Retrain, SISAClassifier, UnlearningPipeline
from mlunlearn.checks import find_marks, learned_state, state_differences

N_PAIRS = 100
N_PLACES = 60  # bytecodes of a prediction at which a request is served in between
WAIT = 0.2  # seconds that a prediction is held up for the request; one that waits for a lock goes on afterwards

rng = np.random.default_rng(0)
y = np.arange(60) % 3
X = rng.normal(size=(60, 4)) + np.eye(3, 4)[y]


class Centering(TransformerMixin, BaseEstimator):
    """Subtracts the mean of rows, and can forget them."""

    def fit(self, X, y=None, exclude=()):
        self.rows_ = {row: X[row] for row in range(len(X)) if row not in set(exclude)}
        return self

    def unlearn(self, rows):
        self.rows_ = {row: values for row, values in self.rows_.items() if row not in set(rows.tolist())}
        return self

    def transform(self, X):
        for _ in range(500):  # it takes its time, so that requests are served meanwhile
            pass
        return X - 50 * np.mean(list(self.rows_.values()), axis=0)


MODELS = {
    "retrain": lambda: Retrain(GaussianNB(), random_state=0).fit(X, y),
    "shards": lambda: SISAClassifier(
        LogisticRegression(), n_shards=3, weighting="size", aggregation="mean", random_state=0
    ).fit(X, y),
    "votes": lambda: SISAClassifier(GaussianNB(), n_shards=3, n_slices=2, random_state=0).fit(X, y),
    "steps": lambda: UnlearningPipeline([("centre", Centering()), ("last", Retrain(GaussianNB(), random_state=0))]).fit(
        X, y
    ),
}
models = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@pytest.fixture
def eager_switches():
    """Threads take turns after a few bytecodes, where they usually have thousands."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*calls):
    """Make calls at the same moment, each in a thread; return what they raised."""
    barrier, raised = threading.Barrier(len(calls)), []

    def run(call):
        barrier.wait()
        try:
            call()
        except Exception as error:  # the test asserts that there is none
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def untrue(model, joint, a, b):
    """Say what is not as it is after a joint request for rows `a` and `b`, which may overlap."""
    asked = np.union1d(a, b)
    if not np.array_equal(np.flatnonzero(model.forgotten_), asked):
        return f"forgotten are {np.flatnonzero(model.forgotten_)}, asked were {asked}"
    if len(model.receipts_) != 2:
        return f"{len(model.receipts_)} receipts of two requests"
    first, second = model.receipts_
    named = [sorted([*receipt.rows.tolist(), *receipt.already.tolist()]) for receipt in (first, second)]
    if sorted(named) != sorted([sorted(a), sorted(b)]):
        return f"the receipts name {named}"
    if len(first.already) or not np.array_equal(second.already, np.intersect1d(a, b)):
        return "the receipts are wrong about what was forgotten before"
    if [first.n_retained, second.n_retained] != [60 - len(first.rows), 60 - len(asked)]:
        return f"the receipts say that {first.n_retained} and {second.n_retained} rows are retained"
    differing = state_differences(learned_state(model), learned_state(joint))
    if differing:
        return f"the model differs from that of the joint request in {list(differing)[:3]}"
    left = find_marks(model, X[asked])
    return f"forgotten rows are left in {list(left)[:3]}" if left else None


@pytest.mark.usefixtures("eager_switches")
@models
def test_two_requests_at_once_are_both_served(make):
    fitted, faults = make(), []
    for pair in range(N_PAIRS):
        rows = np.random.default_rng(pair).choice(60, size=5, replace=False).tolist()
        a, b = (rows[:3], rows[2:]) if pair % 2 else (rows[:2], rows[2:])
        joint = copy.deepcopy(fitted).unlearn(np.union1d(a, b))
        model = copy.deepcopy(fitted)
        faults += at_once(lambda model=model, a=a: model.unlearn(a), lambda model=model, b=b: model.unlearn(b))
        faults.append(untrue(model, joint, a, b))
    faults = [fault for fault in faults if fault is not None]
    assert not faults, f"{len(faults)} faults in {N_PAIRS} pairs, the first: {faults[0]}"


def served_in_between(model, asked, at):
    """Predict, and after a number of bytecodes let another thread serve a request to the end before going on."""
    seen, helper = 0, threading.Thread(target=lambda: model.unlearn([3, 7, 30]))

    def trace(frame, event, arg):
        nonlocal seen
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            seen += 1
            if seen == at:
                helper.start()
                helper.join(WAIT)
        return trace

    sys.settrace(trace)
    try:
        predicted = model.predict_proba(asked)
    finally:
        sys.settrace(None)
    if helper.ident is not None:
        helper.join()
    return predicted, seen


@models
def test_predictions_are_those_of_one_state(make):
    """Also where the request is served at the worst moment, between any two steps of a prediction."""
    fitted = make()
    before, after = fitted.predict_proba(X), copy.deepcopy(fitted).unlearn([3, 7, 30]).predict_proba(X)
    assert not np.array_equal(before, after)
    _, n_bytecodes = served_in_between(copy.deepcopy(fitted), X, at=0)
    mixed = []
    for at in np.linspace(1, n_bytecodes, N_PLACES).astype(int).tolist():
        predicted, _ = served_in_between(copy.deepcopy(fitted), X, at)
        if not (np.array_equal(predicted, before) or np.array_equal(predicted, after)):
            mixed.append(at)
    assert mixed == [], f"{len(mixed)} of {N_PLACES} predictions are of no state"


@pytest.mark.usefixtures("eager_switches")
def test_labels_are_those_of_one_state_while_a_class_is_forgotten():
    fitted = MODELS["votes"]()
    after = copy.deepcopy(fitted).unlearn(classes=[2])
    allowed = {fitted.predict(X).tobytes(), after.predict(X).tobytes()}
    strange, raised = 0, []
    for _ in range(20):
        model, told = copy.deepcopy(fitted), []
        raised += at_once(
            lambda model=model: model.unlearn(classes=[2]),
            lambda model=model, told=told: told.extend(model.predict(X).tobytes() for _ in range(10)),
        )
        strange += len(set(told) - allowed)
    assert (strange, raised) == (0, [])


SEVERAL_THREADS = """
import threading, time
import numpy as np
from sklearn.linear_model import Ridge, RidgeClassifier
from threadpoolctl import threadpool_info
from mlunlearn import Retrain, SISAClassifier

seen = []

class Watching(RidgeClassifier):
    def fit(self, X, y):
        for _ in range(5):
            time.sleep(0.02)
            seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return super().fit(X, y)

X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
models = [SISAClassifier(Watching(), n_shards=2, n_slices=n, random_state=0) for n in (1, 3)] + [Retrain(Watching())]
threads = [threading.Thread(target=model.fit, args=(X, y)) for model in models]
assert max(pool["num_threads"] for pool in threadpool_info()) == 2
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert seen and set(seen) == {1}, seen
"""


def test_models_that_train_in_several_threads_have_one_thread_each_for_their_sums():
    """The number of threads of BLAS is one of the process: who is done first must not give it back to all."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SEVERAL_THREADS], env=environment, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
