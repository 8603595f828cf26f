"""Interrupts at any bytecode of a request, in any frame: the model is the one before or the one after, for good."""

import copy
import gc
import random
import sys
import threading
from opcode import opname

import numpy as np
import pytest
import sklearn
import threadpoolctl
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from mlunlearn import Retrain, SISAClassifier
from mlunlearn.checks import flatten_state, state_differences
from mlunlearn.receipts import Receipt
from mlunlearn.training.generators import TURNS, KeptGenerators, SeededGenerators

FIRST, SECOND = [2, 17], [5]
N_SLOW = 510  # trials of each of three models, with one interrupt and with two: above 3,000 in all
N_FAST = 40
LAST = 40  # of the last bytecodes of a request, each is tried
STUCK = 5.0  # seconds after which a request that waits for a lock counts as waiting for ever
NEVER_RETURNED = "the next request never returned"

rng = np.random.default_rng(0)
y = np.arange(40) % 2
X = rng.normal(size=(40, 3)) + y[:, None]

MODELS = {
    "retrain": lambda: Retrain(GaussianNB(), random_state=0).fit(X, y),
    "shards": lambda: SISAClassifier(GaussianNB(), n_shards=2, n_slices=2, random_state=0).fit(X, y),
    "ids": lambda: SISAClassifier(LogisticRegression(), n_shards=2, random_state=0).fit(
        X, y, sample_ids=[f"person {row // 2}" for row in range(40)]
    ),
}


@pytest.fixture(autouse=True)
def settings_of_scikit_learn():
    """Put back what an interrupt inside scikit-learn's own contexts leaves changed for whoever comes next."""
    before = sklearn.get_config()
    yield
    sklearn.set_config(**before)


class Interrupts:
    """Raise KeyboardInterrupt at one bytecode of a call, counted over all Python frames, and again some time later.

    The second one hits what is done to recover from the first. ``heard`` tells whether the interpreter itself could
    have raised them there: it looks for signals after calls, at the start of functions and where it jumps back. A trace
    function that raises is dropped by the interpreter, so a profile function, which then still runs, puts it back.
    """

    def __init__(self, at=0, again=None):
        self.at, self.again = at, again
        self.seen, self.raised, self.heard = 0, [], True
        self._last, self._over = {}, False

    def run(self, call):
        """Call, and return the KeyboardInterrupt that came out, with its traceback; None if the call returned.

        Whoever is told of garbage collections is not told of these: an interrupt in there goes nowhere.
        """
        self._outside = sys._getframe()
        told, gc.callbacks[:] = gc.callbacks[:], []
        try:
            if self.again is not None:
                sys.setprofile(self._put_back)
            sys.settrace(self._trace)
            call()
        except KeyboardInterrupt as error:
            return error
        finally:
            self._over = True  # a finaliser that runs between the next lines must not put the trace back
            sys.setprofile(None)
            sys.settrace(None)
            gc.callbacks[:] = told
        return None

    def _trace(self, frame, event, arg):
        if self._over:
            return None
        if frame.f_code.co_filename == __file__ and frame.f_code.co_name != "<lambda>":
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.seen += 1
            last = self._last.get(frame)
            self._last[frame] = frame.f_lasti
            if self.seen == self.at:
                self.heard &= last is None or frame.f_lasti < last or _is_call(frame.f_code, last)
                self.heard &= _name_of(frame.f_code, frame.f_lasti) != "PUSH_EXC_INFO"  # the call before it has raised
                self._last.clear()
                self.raised.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
                if self.again is not None and len(self.raised) == 1:
                    self.at += self.again
                raise KeyboardInterrupt
        return self._trace

    def _put_back(self, frame, event, arg):
        if len(self.raised) == 1 and not self._over and sys.gettrace() is None and frame is not self._outside:
            while frame is not None and frame is not self._outside:
                frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = self._trace, True, False
                frame = frame.f_back
            sys.settrace(self._trace)


def _is_call(code, place):
    return _name_of(code, place).startswith("CALL")


def _name_of(code, place):
    return opname[code.co_code[place]]


def observed(model):
    """Everything about a model but when things happened: its parts, its data, and what its receipts name."""
    parts = flatten_state(model, skip=lambda path, part: isinstance(part, Receipt))
    named = [(r.rows.tolist(), r.already.tolist(), r.n_retained) for r in getattr(model, "receipts_", [])]
    return {**parts, "named by receipts": repr(named)}


def same(a, b):
    return not state_differences(a, b)


def global_generators():
    """The states of the generators of numpy and Python, and of torch where it is loaded."""
    torch = sys.modules.get("torch")
    name, numbers, *rest = np.random.get_state()  # noqa: NPY002
    return (
        name,
        numbers.tobytes(),
        *rest,
        random.getstate(),
        None if torch is None else torch.get_rng_state().numpy().tobytes(),
    )


def free_turns():
    """Release the locks of the process, which an interrupt where none can be leaves locked for every later trial."""
    while TURNS._is_owned():
        TURNS.release()
    shared = getattr(threadpoolctl.OpenBLASController, "_SHARED_STATE", None)  # of newer releases
    if shared is not None and shared.lock.locked():
        shared.lock.release()


def serve_next(model, rows, elsewhere):
    """Serve a request, if asked for in another thread, where a lock that was left locked shows; tell if it returned."""
    if not elsewhere:
        model.unlearn(rows)
        return True
    helper = threading.Thread(target=model.unlearn, args=(rows,), daemon=True)
    helper.start()
    helper.join(STUCK)
    return not helper.is_alive()


def fault(fitted, states, at, again=None):
    """Interrupt one request, serve another one, and say in a few words what went wrong; None if nothing did."""
    before, after, both = states
    model = copy.deepcopy(fitted)
    interrupts = Interrupts(at, again)
    drawn = global_generators()
    error = interrupts.run(lambda: model.unlearn(FIRST))
    kept = global_generators() == drawn  # now, and not when the traceback is freed
    where = f"interrupted at {' and '.join(interrupts.raised) or 'nothing'} (bytecode {at}, again {again})"
    if not interrupts.heard:
        free_turns()
    if not kept and again is None:
        return f"{where}: a global generator was left seeded"
    found = observed(model)
    if not same(found, after) and (error is None or not same(found, before)):
        return f"{where}: neither the model before nor the model after"
    done = same(found, after)
    if not serve_next(model, SECOND, elsewhere=interrupts.heard):
        return f"{where}: {NEVER_RETURNED}"
    served = observed(model)
    del error
    gc.collect()
    if not same(observed(model), served) or not model.forgotten_[SECOND].all():
        return f"{where}: a request that had returned was undone when the traceback was freed"
    if not done:
        model.unlearn(FIRST)
    if not same(learned(observed(model)), learned(both)):
        return f"{where}: the requests that followed gave another model"
    return None


def learned(state):
    """Leave out what tells the order of requests."""
    return {path: part for path, part in state.items() if "receipts" not in path}


def trials(make, places, again):
    """Interrupt at chosen places, and return the faults and the number of interrupts that were raised."""
    fitted = make()
    after = copy.deepcopy(fitted).unlearn(FIRST)
    both = copy.deepcopy(after).unlearn(SECOND)
    states = observed(fitted), observed(after), observed(both)
    for _ in range(2):  # the first run fills caches
        count = Interrupts()
        model = copy.deepcopy(fitted)
        count.run(lambda model=model: model.unlearn(FIRST))
    chosen = places(count.seen)
    faults = []
    gc.freeze()  # what is there already need not be searched again and again
    try:
        for at, pause in zip(chosen, again(len(chosen)), strict=True):
            found = fault(fitted, states, at, pause)
            faults += [] if found is None else [found]
            if found is not None and NEVER_RETURNED in found:
                break  # the lock may be one of the whole process: every later trial would wait for it as well
    finally:
        gc.unfreeze()
    return faults, len(chosen)


def once(n):
    return [None] * n


def twice(n):
    """How many bytecodes after the first the second interrupt comes: mostly soon, when things are cleaned up."""
    return (1 + np.random.default_rng(2).geometric(1 / 25, size=n)).tolist()


def at_random(n_places, seed):
    def places(n):
        drawn = np.random.default_rng(seed).choice(n, size=min(n_places, n), replace=False) + 1
        return [*range(max(n - LAST, 0) + 1, n + 1), *drawn.tolist()]

    return places


@pytest.fixture
def no_news_of_finalisers(monkeypatch):
    """Interrupts that hit a finaliser go nowhere, as Python documents, and are no news here."""
    monkeypatch.setattr(sys, "unraisablehook", lambda news: None)


@pytest.mark.usefixtures("no_news_of_finalisers")
@pytest.mark.parametrize("again", [once, twice])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_an_interrupted_request_is_served_or_was_never_made(make, again):
    faults, _ = trials(make, at_random(N_FAST, seed=0), again)
    assert faults == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_news_of_finalisers")
@pytest.mark.parametrize("again", [once, twice])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_thousands_of_interrupts(make, again):
    faults, n_trials = trials(make, at_random(N_SLOW, seed=1), again)
    assert n_trials >= N_SLOW
    assert faults == []


@pytest.mark.usefixtures("no_news_of_finalisers")
def test_generators_are_kept_wherever_one_interrupt_strikes():
    """While the traceback, which holds all frames that were left, is still there."""

    def train():
        with KeptGenerators(), SeededGenerators(3):
            random.random()

    before, count = global_generators(), Interrupts()
    count.run(train_outside(train))
    assert count.seen > 30
    changed = []
    for at in range(1, count.seen + 1):
        interrupts = Interrupts(at)
        error = interrupts.run(train_outside(train))
        if global_generators() != before:
            changed.append(interrupts.raised)
        assert error is not None
    assert changed == []


def train_outside(function):
    """Return a function of this file under another name of the file, as the file itself is not traced."""
    code = function.__code__.replace(co_filename="<work>")
    return type(function)(code, function.__globals__, function.__name__, None, function.__closure__)


def test_no_trace_is_left_on_by_a_finaliser():
    """Also by one that runs as the trial ends."""

    class Late:
        def __del__(self):
            self.gone = sum(range(3))

    def call():
        cycle = [Late()]
        cycle.append(cycle)
        raise KeyboardInterrupt

    for again in (None, 1, 3):
        for at in (1, 2, 5):
            Interrupts(at, again).run(train_outside(call))
            assert (sys.gettrace(), sys.getprofile()) == (None, None)


@pytest.mark.usefixtures("no_news_of_finalisers")
def test_interrupts_are_raised_where_they_are_asked_for():
    def work(log):
        try:
            log.append("working")
        finally:
            log.append("first step")
            log.append("second step")

    count = Interrupts()
    assert count.run(lambda: run_traced(work, [])) is None
    logs = set()
    for at in range(1, count.seen + 1):
        for again in (None, 1, 2, 5, 9):
            log, interrupts = [], Interrupts(at, again)
            assert isinstance(interrupts.run(lambda log=log: run_traced(work, log)), KeyboardInterrupt)
            assert 1 <= len(interrupts.raised) <= (1 if again is None else 2)
            logs.add((*log, len(interrupts.raised)))
    assert ("first step", "second step", 1) in logs
    assert ("working", "first step", "second step", 1) in logs
    assert ("first step", 2) in logs


def run_traced(work, log):
    """Run code of this file under another name, as the file itself is not traced."""
    traced = work.__code__.replace(co_filename="<work>")
    type(work)(traced, work.__globals__, work.__name__, None, work.__closure__)(log)
