"""What torch classifiers and regressors share: how a net is built, trained by passes over rows, and left tidy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags, check_consistent_length
from sklearn.utils.validation import validate_data
from skorch import NeuralNet
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, Subset

from mlunlearn.nets.callbacks import ended_by_callback, files_in_passing, on_no_disk
from mlunlearn.nets.casting import CastingLoader, takes_integers, tensors
from mlunlearn.nets.loaders import BatchLoader, JoiningLoader, LabelledItems
from mlunlearn.nets.seeds import seeded
from mlunlearn.parameters import check_flag
from mlunlearn.rows.dataset_rows import DatasetRows, labels_of, rows_of
from mlunlearn.rows.items import Items
from mlunlearn.training.generators import TURNS, KeptGenerators, SeededGenerators
from mlunlearn.training.passes import FEWEST_ROWS, n_samples_of
from mlunlearn.training.seeds import root_seed

MAX_EPOCHS = 20
_DEFAULTS: dict[str, Any] = {
    "optimizer": torch.optim.Adam,
    "lr": 1e-3,
    "max_epochs": MAX_EPOCHS,
    "batch_size": 128,
    "train_split": None,
    "iterator_train": BatchLoader,
    "iterator_train__shuffle": True,
    "iterator_valid": BatchLoader,
    "callbacks": "disable",
    "verbose": 0,
}


class TorchEstimator(BaseEstimator):
    """A torch model with a seed that trains in whole and partial passes.

    Parameters
    ----------
    net : torch module (class or instance) or skorch net
        Never changed.
    autocast : bool, default=False
        Train in ``bfloat16`` where torch thinks it safe.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, shuffling and dropout.
    """

    takes_items = True
    """Rows may come as `Items`, which are read a batch at a time."""

    _default_net: type[NeuralNet]
    _default_criterion: type[nn.Module]
    _multi_output: bool

    def __init__(self, net: Any, *, autocast: bool = False, random_state: Any = None):
        self.net = net
        self.autocast = autocast
        self.random_state = random_state

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of a skorch net are taken with and without ``net__``, as searches over nets name them.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self
            The estimator.
        """
        if not isinstance(self.net, NeuralNet):
            return super().set_params(**params)
        own = self._get_param_names()
        named = {name if name.partition("__")[0] in own else f"net__{name}": value for name, value in params.items()}
        return super().set_params(**named)

    @property
    def max_epochs(self) -> int:
        """Epochs that `fit` trains."""
        return self.net.max_epochs if isinstance(self.net, NeuralNet) else MAX_EPOCHS

    # ------------------------------------------------------------------ building

    def _build(self) -> NeuralNet:
        if not isinstance(self.net, NeuralNet):
            module = clone(self.net, safe=False)
            return self._default_net(module, criterion=self._default_criterion, **_DEFAULTS)
        net = clone(self.net).set_params(verbose=0)
        net.callbacks = on_no_disk(self.net.callbacks)
        if net.iterator_train is DataLoader:
            net.set_params(iterator_train=JoiningLoader)
        return net

    def untrained_net(self, seed: int) -> NeuralNet:
        """Build a net that stands where training starts.

        Parameters
        ----------
        seed : int
            Draws the initial weights of a module class; those of a module instance are as passed.

        Returns
        -------
        skorch.NeuralNet
            Initialised, and independent of ``net_``.
        """
        net = self._build()
        with seeded(seed, net.device):
            try:
                net.initialize()
            except ValueError as error:
                if "empty parameter list" not in str(error):
                    raise
                raise ValueError(
                    f"the module {type(net.module_).__name__} has no parameters, so there is nothing to train; give it "
                    "a layer with weights."
                ) from error
        return net

    def _start(self, X: Any, y: np.ndarray, classes: Any) -> Any:
        """Validate the first rows, and build the net."""
        check_flag("autocast", self.autocast)
        X = self._check_X(X, reset=True)
        self._learn_targets(y, classes)
        self.net_ = self.untrained_net(root_seed(self.random_state))
        return X

    def _output_of(self, X: Any) -> Any:
        """Return what the module puts out for two rows; what training draws later does not depend on it."""
        with TURNS, KeptGenerators(), SeededGenerators(0):
            few = X[:2].read() if isinstance(X, Items) else X[:2]
            return self.net_.evaluation_step((tensors(few, self.net_.device, self._takes_integers()), None))

    def _refuse_several_outputs(self, output: Any) -> None:
        """Refuse a tuple where skorch would hand it to a loss of torch, which takes one tensor."""
        net = self.net_
        loss_of_skorch = type(net).get_loss.__module__.startswith("skorch.")
        if isinstance(output, tuple) and loss_of_skorch and type(net.criterion_).__module__.startswith("torch.nn"):
            raise ValueError(
                f"the module returns {len(output)} outputs, and {type(net.criterion_).__name__} takes one tensor; "
                "return that alone, or pass a skorch net with a get_loss that takes them all."
            )

    def _learn_targets(self, y: np.ndarray, classes: Any) -> None:
        raise NotImplementedError

    def _encode(self, y: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _check_output(self, X: Any) -> None:
        """Refuse a module whose output does not fit the targets, before it is trained."""

    # ------------------------------------------------------------------ training

    def _train(self, rows: Any, y: np.ndarray, epochs: float) -> None:
        """Train with a fresh optimiser, scheduler and callbacks, one of which may end it."""
        seed, net = root_seed(self.random_state), self.net_
        with seeded(seed, net.device), files_in_passing(net):
            net.initialize_optimizer()
            net.initialize_history()  # schedulers read the epoch from it
            rows, y = self._ready(rows), self._encode(y)
            X = served(rows, y)
            net.notify("on_train_begin", X=X, y=y)  # where callbacks may give the module its widths
            self._check_output(rows)
            try:
                with self._casting(net, rows), self._precision():
                    self._run_passes(X, y, epochs, seed)
            except KeyboardInterrupt as stop:
                if not ended_by_callback(stop):
                    raise
            net.notify("on_train_end", X=X, y=y)
        self._tidy()

    def _run_passes(self, X: Any, y: np.ndarray, epochs: float, seed: int) -> None:
        """Run a partial pass over a window of the rows, which may wrap round the end, then the whole ones."""
        train, valid = self._split(X, y)
        n = len(train)
        whole, rest = divmod(n_samples_of(n, epochs, FEWEST_ROWS), n)
        window = Subset(train, ((seed + np.arange(rest)) % n).tolist())
        for rows, passes in ((window, 1), (train, whole)):
            if len(rows):
                with _split_into(self.net_, rows, valid):
                    self.net_.fit_loop(X, y, epochs=passes)

    def _split(self, X: Any, y: np.ndarray) -> tuple[Any, Any]:
        """Split validation rows off once; where rows are too few for that, they are validated on themselves."""
        net = self.net_
        if not isinstance(net.train_split, ValidSplit):
            return net.get_split_datasets(X, y)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            try:
                return net.get_split_datasets(X, y)
            except ValueError:  # fewer rows, or rows of each class, than parts
                rows = net.get_dataset(X, y)
                return rows, rows

    def _tidy(self) -> None:
        """Leave weights and buffers: no moments, no gradients of the last batch, no records, always the same mode."""
        net = self.net_
        net.optimizer_.state.clear()
        for part in (net.module_, net.criterion_):
            part.zero_grad(set_to_none=True)
            part.eval()
        if net.callbacks_:
            net.callbacks = on_no_disk(self.net.callbacks)
            net.initialize_callbacks()

    # ------------------------------------------------------------------ inputs

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        X = rows_of(X)
        if isinstance(X, Items):
            return X
        return validate_data(self, X, dtype=None, allow_nd=True, reset=reset)

    def _ready(self, X: Any) -> Any:
        """Cast arrays as a whole; items, and bytes such as those of images, wait until their batch."""
        if _waits(X):
            return X if isinstance(X, Items) else np.require(X, requirements=["C", "W"])
        return self.cast(X)

    @contextmanager
    def _casting(self, net: NeuralNet, rows: Any) -> Iterator[None]:
        """Let a net cast batches of rows that wait for it."""
        own = net.iterator_train, net.iterator_valid
        if _waits(rows):
            net.iterator_train, net.iterator_valid = map(self._cast_batches_of, own)
        try:
            yield
        finally:
            net.iterator_train, net.iterator_valid = own

    def _cast_batches_of(self, loader: Any) -> Any:
        def casting(dataset: Any, **options: Any) -> CastingLoader:
            return CastingLoader(loader(dataset, **options), self.net_.device, self._takes_integers())

        return casting

    def _precision(self) -> Any:
        return torch.autocast(torch.device(self.net_.device).type, torch.bfloat16, enabled=self.autocast)

    def _takes_integers(self) -> bool:
        return takes_integers(self.net_.module_)

    def _answers(self, X: Any, method: str) -> np.ndarray:
        """Ask the net about checked rows, and leave the net and torch's generator as they are."""
        X = self._ready(X)
        net: Any = object.__new__(type(self.net_))  # other threads may ask the net at the same time
        vars(net).update(vars(self.net_))
        with torch.random.fork_rng(devices=[]), self._casting(net, X):  # torch's own loader draws a seed
            if not _waits(X):
                return getattr(net, method)(X).astype(np.float64)
            loader = net.get_iterator(net.get_dataset(served(X, np.zeros(len(X), np.float32))), training=False)
            net.iterator_valid = _in_one_batch
            return _gathered((getattr(net, method)(batch) for batch, _ in loader), len(X))

    def cast(self, X: np.ndarray) -> np.ndarray:
        """Give inputs the type that the module takes.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            Integers stay integers for modules with embeddings; everything else becomes float32.
        """
        dtype = np.int64 if self._takes_integers() and X.dtype.kind in "iu" else np.float32
        return np.require(X, dtype, ["C", "W"])

    def _fit(self, X: Any, y: Any) -> Self:
        X, kinds = rows_of(X), {"multi_output": self._multi_output, "y_numeric": self._multi_output}
        if isinstance(X, Items):
            y = labels_of(X) if y is None and isinstance(X, DatasetRows) else y
            y = validate_data(self, y=y, **kinds)
            check_consistent_length(X, y)
        else:
            X, y = validate_data(self, X, y, dtype=None, allow_nd=True, **kinds)
        self._train(self._start(X, y, None), y, self.max_epochs)
        return self

    def _partial_fit(self, X: Any, y: Any, classes: Any, epochs: float) -> Self:
        X = self._check_X(X, reset=False) if hasattr(self, "net_") else self._start(X, y, classes)
        self._train(X, np.asarray(y), epochs)
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _waits(X: Any) -> bool:
    """Tell whether rows are cast a batch at a time: items would all be read at once, bytes take four times the room."""
    return isinstance(X, Items) or (X.dtype.kind in "biu" and X.dtype.itemsize == 1)


def _in_one_batch(dataset: Any, **options: Any) -> list[tuple[Any, None]]:
    return [(dataset.X, None)]


def _gathered(parts: Iterator[np.ndarray], n_rows: int) -> np.ndarray:
    """Put answers into one array as they come: small ones, kept between large batches, would scatter the memory."""
    first = next(parts)
    found = np.empty((n_rows, *first.shape[1:]))
    start = 0
    for part in chain([first], parts):
        found[start : start + len(part)] = part
        start += len(part)
    return found


def served(X: Any, y: np.ndarray) -> Any:
    """Return rows as skorch takes them.

    Parameters
    ----------
    X : ndarray or Items
        Inputs.
    y : ndarray
        Targets.

    Returns
    -------
    ndarray or LabelledItems
        Items become a dataset of torch.
    """
    return LabelledItems(X, y) if isinstance(X, Items) else X


@contextmanager
def _split_into(net: NeuralNet, train: Any, valid: Any) -> Iterator[None]:
    """Let a net train on and validate with these rows, in place of what its own split would draw."""
    own = net.train_split
    net.train_split = lambda *args, **params: (train, valid)
    try:
        yield
    finally:
        net.train_split = own
