"""Unlearners inside unlearners, in threads: nobody waits for a turn that the one who waits for him holds."""

import subprocess
import sys

import pytest

LIMIT = 240  # seconds; a deadlock would last for ever

PROGRAM = """
import joblib, numpy as np
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from mlunlearn import Retrain, SISAClassifier
from mlunlearn.checks import learned_state, state_differences

rng = np.random.default_rng(0)
y = np.arange(48) % 2
X = rng.normal(size=(48, 3)) + y[:, None]

def net():
    from torch import manual_seed, nn
    from mlunlearn.nets import TorchClassifier
    manual_seed(0)
    return TorchClassifier(nn.Linear(3, 2))

def model(n_jobs):
    return {model}

one, several = model(1).fit(X, y), model(2)
with {backend}:
    several.fit(X, y).unlearn([3, 7])
    predicted = several.predict_proba(X)
assert np.array_equal(one.unlearn([3, 7]).predict_proba(X), predicted)
"""
MODELS = {
    "shards in shards": "SISAClassifier(SISAClassifier(GaussianNB(), n_shards=2, n_jobs=n_jobs), n_shards=2, "
    "n_jobs=n_jobs, random_state=0)",
    "shards in a model": "Retrain(SISAClassifier(GaussianNB(), n_shards=2, n_jobs=n_jobs), random_state=0)",
    "models in shards": "SISAClassifier(Retrain(GaussianNB()), n_shards=2, n_jobs=n_jobs, random_state=0)",
    "nets in a bag": "Retrain(BaggingClassifier(net(), n_estimators=3, n_jobs=n_jobs), random_state=0)",
    "models in a vote": "SISAClassifier(VotingClassifier([('a', Retrain(GaussianNB())), "
    "('b', Retrain(LogisticRegression()))], voting='soft', n_jobs=n_jobs), n_shards=2, n_jobs=n_jobs, random_state=0)",
}
BACKENDS = {"threads": "joblib.parallel_config('threading')", "processes": "joblib.parallel_config('loky')"}


@pytest.mark.parametrize(
    ("model", "backend"),
    [
        *((name, "threads") for name in MODELS if name != "nets in a bag"),
        pytest.param("nets in a bag", "threads", marks=pytest.mark.slow),
        pytest.param("shards in shards", "processes", marks=pytest.mark.slow),
    ],
)
def test_nobody_waits_for_ever(model, backend):
    program = PROGRAM.format(model=MODELS[model], backend=BACKENDS[backend])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], timeout=LIMIT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
