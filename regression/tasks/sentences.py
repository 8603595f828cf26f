"""Similarity of sentences: STS-Benchmark, with the user's word vectors or with an embedding learned here."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import nn

from mlunlearn.datasets import find_data
from mlunlearn.regression.models.networks import LSTMPair
from mlunlearn.regression.tasks.task import RegressionTask, recipe

_URL = re.compile(r"https?://\S+|www\.\S+")
_WORD = re.compile(r"[a-z']+")
N_TOKENS = 10
N_BUCKETS = 2**14


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words, without addresses, digits, punctuation and stop words.

    Parameters
    ----------
    text : str
        A sentence.

    Returns
    -------
    list of str
        Its words; all of them where only stop words are left.

    Examples
    --------
    >>> from mlunlearn.regression.tasks.sentences import words_of
    >>> words_of("A plane is taking off.")
    ['plane', 'taking']
    """
    words = _WORD.findall(_URL.sub(" ", text.lower()))
    return [word for word in words if word not in ENGLISH_STOP_WORDS] or words


def hashed_pairs(
    pairs: Iterable[tuple[str, str]], *, n_buckets: int = N_BUCKETS, n_tokens: int = N_TOKENS
) -> np.ndarray:
    """Number words by a hash, so that no vocabulary is learned from anybody's text.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Texts.
    n_buckets : int, default=2**14
        Numbers there are; 0 is padding.
    n_tokens : int, default=10
        Words kept of a text; shorter ones are padded on the left.

    Returns
    -------
    ndarray of int64, shape (n, 2, n_tokens)
        Word numbers.

    Examples
    --------
    >>> from mlunlearn.regression import hashed_pairs
    >>> X = hashed_pairs([("one plane", "another plane")])
    >>> X.shape, bool(X[0, 0, -1] == X[0, 1, -1])
    ((1, 2, 10), True)
    """

    def numbers(text: str) -> list[int]:
        return [1 + zlib.crc32(word.encode()) % (n_buckets - 1) for word in words_of(text)]

    return _padded([(numbers(a), numbers(b)) for a, b in pairs], n_tokens)


def read_glove(path: str | Path, words: set[str]) -> tuple[dict[str, int], torch.Tensor]:
    """Read the vectors of some words from a GloVe text file.

    Parameters
    ----------
    path : path
        Lines of a word and its numbers.
    words : set of str
        Words wanted.

    Returns
    -------
    numbers : dict from str to int
        Row of each word that was found; row 0 is padding.
    vectors : torch.Tensor of shape (1 + n_found, n_dimensions)
        Row 0 is zero.

    Raises
    ------
    ValueError
        If none of the words is in the file.
    """
    numbers: dict[str, int] = {}
    rows: list[np.ndarray] = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            word, _, rest = line.partition(" ")
            if word in words and word not in numbers:
                numbers[word] = len(rows) + 1
                rows.append(np.array(rest.split(), dtype=np.float32))
    if not rows:
        raise ValueError(f"{path} has no vector for any of {len(words)} words.")
    return numbers, torch.as_tensor(np.vstack([np.zeros_like(rows[0]), *rows]))


def sts_benchmark(
    *, root: str | Path | None = None, glove: str | Path | None = None, n_buckets: int = N_BUCKETS
) -> RegressionTask:
    """Similarity, from 0 to 5, of pairs of English sentences.

    Parameters
    ----------
    root : path or None, default=None
        Data root with ``stsbenchmark/sts-{train,dev,test}.csv``; None takes ``MLUNLEARN_DATA``.
    glove : path or None, default=None
        A GloVe text file, such as ``glove.840B.300d.txt``; its vectors are kept fixed and words it lacks are left
        out. None learns an embedding of hashed words, which is a weaker model.
    n_buckets : int, default=2**14
        Numbers that words are hashed to.

    Returns
    -------
    RegressionTask
        Word numbers of shape (n, 2, 10), an LSTM pair, squared error, 100 epochs.

    Examples
    --------
    >>> from mlunlearn.regression import sts_benchmark
    >>> task = sts_benchmark()  # doctest: +SKIP
    """
    folder = find_data(root, "stsbenchmark")
    tables = [read_sts(folder / f"sts-{part}.csv") for part in ("train", "dev", "test")]
    pairs = [list(zip(t["first"], t["second"], strict=True)) for t in tables]
    module: type[nn.Module] | nn.Module = LSTMPair
    if glove is None:
        X = [hashed_pairs(part, n_buckets=n_buckets) for part in pairs]
        net = recipe(module, criterion=nn.MSELoss, lr=1e-2, module__n_words=n_buckets)
    else:
        known = {word for part in pairs for pair in part for text in pair for word in words_of(text)}
        numbers, vectors = read_glove(glove, known)
        X = [_numbered_pairs(part, numbers) for part in pairs]
        net = recipe(module, criterion=nn.MSELoss, lr=1e-2, module__vectors=vectors)
    y = [t["score"].to_numpy(np.float64) for t in tables]
    return RegressionTask("STS-B", X[0], y[0], X[1], y[1], X[2], y[2], net, "points")


def read_sts(path: Path) -> pd.DataFrame:
    """Read one file of STS-Benchmark, in which quotes are literal.

    Parameters
    ----------
    path : pathlib.Path
        Tab-separated: genre, file, year, id, score, two sentences; further columns are sources.

    Returns
    -------
    pandas.DataFrame
        Columns ``score``, ``first`` and ``second``.
    """
    with open(path, encoding="utf-8", newline="") as lines:
        rows = [(float(r[4]), r[5], r[6]) for r in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return pd.DataFrame(rows, columns=["score", "first", "second"])


def _numbered_pairs(pairs: Iterable[tuple[str, str]], numbers: dict[str, int]) -> np.ndarray:
    known = partial(filter, numbers.__contains__)
    ids = [tuple([numbers[word] for word in known(words_of(text))] for text in pair) for pair in pairs]
    return _padded(ids, N_TOKENS)


def _padded(pairs: Iterable[tuple[list[int], ...]], n_tokens: int) -> np.ndarray:
    pairs = list(pairs)
    X = np.zeros((len(pairs), 2, n_tokens), dtype=np.int64)
    for i, pair in enumerate(pairs):
        for side, ids in enumerate(pair):
            kept = ids[:n_tokens]
            X[i, side, n_tokens - len(kept) :] = kept
    return X
