"""What torch classifiers and regressors share: how a net is built, trained by passes over rows, and left tidy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data
from skorch import NeuralNet
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, Subset

from mlunlearn.callbacks import ended_by_callback, files_in_passing, on_no_disk
from mlunlearn.loaders import BatchLoader, JoiningLoader
from mlunlearn.passes import FEWEST_ROWS, n_samples_of
from mlunlearn.seeds import root_seed
from mlunlearn.torch_seeds import seeded

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
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, shuffling and dropout.
    """

    _default_net: type[NeuralNet]
    _default_criterion: type[nn.Module]
    _multi_output: bool

    def __init__(self, net: Any, *, random_state: Any = None):
        self.net = net
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

    def _start(self, X: np.ndarray, y: np.ndarray, classes: Any) -> np.ndarray:
        """Validate the first rows, and build the net."""
        X = self._check_X(X, reset=True)
        self._learn_targets(y, classes)
        self.net_ = self.untrained_net(root_seed(self.random_state))
        return X

    def _output_of(self, X: np.ndarray) -> Any:
        """Return what the module puts out for two rows; what training draws later does not depend on it."""
        with torch.random.fork_rng(devices=[]):
            return self.net_.evaluation_step((torch.as_tensor(X[:2]), None))

    def _learn_targets(self, y: np.ndarray, classes: Any) -> None:
        raise NotImplementedError

    def _encode(self, y: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _check_output(self, X: np.ndarray) -> None:
        """Refuse a module whose output does not fit the targets, before it is trained."""

    # ------------------------------------------------------------------ training

    def _train(self, X: np.ndarray, y: np.ndarray, epochs: float) -> None:
        """Train with a fresh optimiser, scheduler and callbacks, one of which may end it."""
        seed, net = root_seed(self.random_state), self.net_
        with seeded(seed, net.device), files_in_passing(net):
            net.initialize_optimizer()
            net.initialize_history()  # schedulers read the epoch from it
            X, y = self.cast(X), self._encode(y)
            net.notify("on_train_begin", X=X, y=y)  # where callbacks may give the module its widths
            self._check_output(X)
            try:
                self._run_passes(X, y, epochs, seed)
            except KeyboardInterrupt as stop:
                if not ended_by_callback(stop):
                    raise
            net.notify("on_train_end", X=X, y=y)
        self._tidy()

    def _run_passes(self, X: np.ndarray, y: np.ndarray, epochs: float, seed: int) -> None:
        """Run a partial pass over a window of the rows, which may wrap round the end, then the whole ones."""
        train, valid = self._split(X, y)
        n = len(train)
        whole, rest = divmod(n_samples_of(n, epochs, FEWEST_ROWS), n)
        window = Subset(train, ((seed + np.arange(rest)) % n).tolist())
        for rows, passes in ((window, 1), (train, whole)):
            if len(rows):
                with _split_into(self.net_, rows, valid):
                    self.net_.fit_loop(X, y, epochs=passes)

    def _split(self, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
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

    def _check_X(self, X: Any, *, reset: bool) -> np.ndarray:
        return validate_data(self, X, dtype=None, allow_nd=True, reset=reset)

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
        embeds = any(isinstance(part, (nn.Embedding, nn.EmbeddingBag)) for part in self.net_.module_.modules())
        dtype = np.int64 if embeds and X.dtype.kind in "iu" else np.float32
        return np.require(X, dtype, ["C", "W"])

    def _fit(self, X: Any, y: Any) -> Self:
        X, y = validate_data(
            self, X, y, dtype=None, allow_nd=True, multi_output=self._multi_output, y_numeric=self._multi_output
        )
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


@contextmanager
def _split_into(net: NeuralNet, train: Any, valid: Any) -> Iterator[None]:
    """Let a net train on and validate with these rows, in place of what its own split would draw."""
    own = net.train_split
    net.train_split = lambda *args, **params: (train, valid)
    try:
        yield
    finally:
        net.train_split = own
