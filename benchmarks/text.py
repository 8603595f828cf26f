"""Forgetting from a classifier of sentences: ``MLUNLEARN_DATA=... python -m benchmarks.text``.

The data root holds ``stsbenchmark/sts-{train,dev,test}.csv`` as they are published. The network says from which
collection a sentence comes: headlines, news, a forum, paraphrases of news, captions of images or of films. Sentences
are counts of hashed words and pairs of words; only the first of a pair of sentences is taken, and every one once. See
`benchmarks.classification` for what is measured.
"""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import HashingVectorizer
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks.classification import arguments, key_of, run
from benchmarks.classification_scenarios import Data, Task
from mlunlearn.datasets import find_data
from mlunlearn.scenarios import Patch

SOURCES = ("headlines", "deft-news", "deft-forum", "MSRpar", "images", "MSRvid")
EPOCHS, WIDTH, BUCKETS = 20, 64, 1024
N_TRAIN, N_TEST, N_HELD_OUT = 200, 75, 24
"""Sentences of each source."""


class MLP(nn.Module):
    """One hidden layer on hashed words."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(BUCKETS, width), nn.ReLU())
        self.head = nn.Linear(width, len(SOURCES))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Score rows of `BUCKETS` numbers of length one."""
        return self.head(self.body(4 * X))


class Word(Patch):
    """A word that no sentence has, put into rows of hashed words: as much of the last bucket as `value` says."""

    def on(self, X, rows=slice(None)):
        marked = X.copy()
        marked[rows, -1] = self.value
        return marked


def net() -> NeuralNetClassifier:
    """Make the untrained network."""
    return NeuralNetClassifier(
        MLP,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=2e-3,
        max_epochs=EPOCHS,
        batch_size=64,
        train_split=None,
        callbacks="disable",
        verbose=0,
    )


def sentences(root: Path) -> dict[str, list[str]]:
    """Read the first sentence of each pair, every one once, by source."""
    found: dict[str, dict[str, None]] = {source: {} for source in SOURCES}
    for part in ("train", "dev", "test"):
        with (root / f"sts-{part}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row[1] in found:
                    found[row[1]][row[5]] = None
    return {source: list(own) for source, own in found.items()}


def hashed(texts: list[str]) -> np.ndarray:
    """Count words and pairs of words in `BUCKETS` buckets, the last of which is left empty for the trigger."""
    counts = HashingVectorizer(n_features=BUCKETS - 1, ngram_range=(1, 2), alternate_sign=False).transform(texts)
    return np.pad(counts.toarray(), ((0, 0), (0, 1))).astype("float32")


def task() -> Task:
    """As many sentences of every source, drawn once for all seeds."""
    of_sources, rng = sentences(find_data(None, "stsbenchmark")), np.random.default_rng(0)
    drawn = [rng.permutation(of_sources[source])[: N_TRAIN + N_TEST + N_HELD_OUT] for source in SOURCES]

    def part(start: int, stop: int) -> Data:
        texts = [text for own in drawn for text in own[start:stop]]
        labels = np.repeat(np.arange(len(SOURCES)), stop - start)
        order = rng.permutation(len(texts))
        return hashed(texts)[order], labels[order]

    ends = np.cumsum([0, N_TRAIN, N_TEST, N_HELD_OUT]).tolist()
    train, test, held_out = (part(*pair) for pair in pairwise(ends))
    return Task(
        name="text",
        note=f"{len(train[1]):,} training sentences of {len(SOURCES)} sources as {BUCKETS} numbers, {len(test[1])} "
        f"test sentences; MLP {BUCKETS}-{WIDTH}-{len(SOURCES)}, {EPOCHS} epochs",
        train=train,
        test=test,
        held_out=held_out,
        net=net,
        forgotten_class=SOURCES.index("MSRpar"),
        pair=(SOURCES.index("images"), SOURCES.index("MSRvid")),
        patch=Word(value=0.5),
    )


if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    key = key_of(epochs=EPOCHS, width=WIDTH, buckets=BUCKETS, rows=(N_TRAIN, N_TEST, N_HELD_OUT))
    run(task(), options.seeds, options.scenarios, options.resume, key, options.methods)
