"""A torch regressor whose targets are standardised inside, so that step sizes and weights mean the same everywhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from mlunlearn.nets import TorchRegressor
from mlunlearn.nets.casting import Inputs, tensors
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks.layers import forward
from mlunlearn.networks.links import Link, last_layer
from mlunlearn.networks.outputs import agreeing, check_network, rescale, unit_layer
from mlunlearn.networks.units import aligned, evenly_spread, moments
from mlunlearn.rows.items import Items

_FEW = 8
_BETTER, _NEARER = 0.9, 0.5
_AT_ONCE = 64


class StandardizedRegressor(TorchRegressor):
    """Train a torch network on standardised targets, and predict in the units of `y`.

    Targets are standardised where the network's output comes straight from a linear layer. A network that does
    something on the way out, such as a ReLU, a Softplus, a sigmoid or a clamp, means the values that it can put out: it
    is trained in the units of `y`. When it is edited, its last linear layer learns in units in which the network is, to
    first order, one that ends in that layer and learns standardised targets; see `mlunlearn.networks.links.Link`.

    Parameters
    ----------
    net : torch module (class or instance) or skorch net
        What to train, never changed. The loss is the net's criterion, read in standard deviations of the targets.
    autocast : bool, default=False
        Train in ``bfloat16`` where torch thinks it safe.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, shuffling and dropout.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The network, trained on ``(y - mean_) / scale_``.
    mean_, scale_ : ndarray of shape () or (n_outputs,)
        Mean and standard deviation of the training targets; a constant target has scale 1. They are 0 and 1 for a
        network that is trained in the units of `y`.
    unit_layer_ : str or None
        The linear layer into which units can be folded, if there is one.
    last_layer_ : str or None
        Of another network, the linear layer that its output is a function of, if there is one.
    adopted_ : bool
        Whether the network was trained elsewhere, in units of its own.
    pretrained_ : bool
        Whether the weights of a module instance, as they were passed, mean the units of the targets.

    Notes
    -----
    The weights of a module instance are where training starts. Where its error, on up to 1,024 training rows and in the
    units of `y`, is less than 0.9 of that of predicting their mean, or less than half of what it is where its outputs
    are read in standard deviations, the instance was trained, well or badly: the units are folded into its last layer,
    and training starts from what the instance predicts. Any other is taken for untrained, and its weights are read in
    standard deviations.

    Means are summed without rounding, so the order of the rows does not change a bit of them.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from torch import nn
    >>> from mlunlearn.networks import StandardizedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = StandardizedRegressor(nn.Linear(10, 1), random_state=0).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    """

    @classmethod
    def in_place_of(cls, regressor: TorchRegressor) -> StandardizedRegressor:
        """Make one with the network of another regressor.

        Parameters
        ----------
        regressor : TorchRegressor
            Not changed. Of a fitted one the trained network is taken, not a copy.

        Returns
        -------
        StandardizedRegressor
            The same object if it is one.
        """
        if isinstance(regressor, cls):
            return regressor
        if not hasattr(regressor, "net_"):
            return cls(**regressor.get_params(deep=False))
        twin = cls(**regressor.get_params(deep=False) | {"net": regressor.net_})
        for name, value in vars(regressor).items():
            if name not in cls._get_param_names():
                setattr(twin, name, value)
        return twin

    # ------------------------------------------------------------- training

    def _learn_targets(self, y: Any, classes: Any) -> None:
        super()._learn_targets(y, classes)
        self._take_own_units(np.asarray(y), adopted=False)

    def _take_own_units(self, y: np.ndarray, *, adopted: bool) -> None:
        self.mean_, self.scale_ = np.zeros(y.shape[1:]), np.ones(y.shape[1:])
        self.unit_layer_: str | None = None
        self.last_layer_: str | None = None
        self._link: Link | None = None
        self.adopted_, self.pretrained_ = adopted, False

    def _start(self, X: Any, y: np.ndarray, classes: Any) -> Any:
        X = super()._start(X, y, classes)
        y = np.asarray(y, dtype=np.float64)
        with seeded(0, self.net_.device):
            self._find_unit_layer(self._inputs(X[:_FEW]), y[:_FEW])
            if self.unit_layer_ is not None:
                rows = evenly_spread(len(X))
                self.mean_, self.scale_ = moments(y)
                self._note_pretrained(X[rows], y[rows])
                self.fold_units(self.net_.module_)
        return X

    def _inputs(self, X: Any) -> Inputs:
        """Read rows as the network takes them, where it is."""
        X = X.read() if isinstance(X, Items) else np.require(X, requirements=["C", "W"])
        return tensors(X, self.net_.device, self._takes_integers())

    def _find_unit_layer(self, X: Inputs, y: np.ndarray) -> None:
        module = self.net_.module_.eval()
        check_network(module, X, y, self.net_.criterion_)
        names = {part: name for name, part in module.named_modules()}
        unit = unit_layer(module, X)
        last = last_layer(module, X) if unit is None else None
        self.unit_layer_ = None if unit is None else names[unit]
        self.last_layer_ = None if last is None else names[last]

    def _encode(self, y: np.ndarray) -> np.ndarray:
        y = np.asarray(y, dtype=np.float64)
        return super()._encode((y - self.mean_) / self.scale_)

    def adopt(self, X: Inputs, y: np.ndarray) -> None:
        """Check a network that was trained elsewhere; unless this class trained it, its units are those of `y`.

        Parameters
        ----------
        X : torch.Tensor of shape (n, ...) or dict of them
            A few inputs, where the network is.
        y : ndarray of shape (n,) or (n, n_outputs)
            Their targets.

        Raises
        ------
        ValueError
            If the network does not predict a value, or quantiles, for each target.
        """
        if hasattr(self, "mean_"):
            check_network(self.net_.module_.eval(), X, y, self.net_.criterion_)
            return
        with torch.no_grad():
            self._flat, self._bare = y.ndim == 1, forward(self.net_.module_.eval(), X).ndim == 1
        self._take_own_units(y, adopted=True)
        self._find_unit_layer(X, y)

    # ---------------------------------------------------------------- units

    def _note_pretrained(self, X: Any, y: np.ndarray) -> None:
        """Find out whether a module instance, as it was passed, means the units of the targets or those of this model.

        One that knows the targets means theirs, and so does one that is nearer to them so than in standard deviations:
        whose outputs are large because the targets are.
        """
        if self.adopted_ or not _is_instance(self.net):
            return
        net = self.untrained_net(0)
        targets = torch.as_tensor(y, dtype=torch.float32, device=net.device).reshape(len(y), -1)

        def error_of(output: torch.Tensor) -> float:
            return float(net.criterion_(*agreeing(output, targets)))

        with torch.no_grad():
            own = self._outputs_of(net.module_, X)
            mean, scale = (torch.as_tensor(aligned(value, own)).to(own) for value in (self.mean_, self.scale_))
            if self._link is not None:
                self._link.put_on(net.module_, self._layer_of(net.module_))
            read = (own if self._link is None else self._outputs_of(net.module_, X)) * scale + mean
            guess = (
                targets.mean(dim=0).reshape(1, -1, *(1,) * (own.ndim - 2)).expand_as(own if own.ndim > 1 else targets)
            )
            known = error_of(own)
            self.pretrained_ = known < _BETTER * error_of(guess) or known < _NEARER * error_of(read)

    def _outputs_of(self, module: nn.Module, X: Any) -> torch.Tensor:
        parts = (self._inputs(X[at : at + _AT_ONCE]) for at in range(0, len(X), _AT_ONCE))
        return torch.cat([forward(module.eval(), part) for part in parts])

    def fold_units(self, module: nn.Module) -> nn.Module:
        """Have a network at the weights that were passed put out what it predicts in the units of this model.

        Parameters
        ----------
        module : torch.nn.Module
            Changed in place where the weights mean the units of the targets; otherwise they are read in those of this
            model.

        Returns
        -------
        torch.nn.Module
            The same object.
        """
        if self.pretrained_ and self._link is not None:
            self._link.fold_in(self._layer_of(module))
        elif self.pretrained_ and self.unit_layer_ is not None:
            rescale(self._layer_of(module), 1 / self.scale_, -self.mean_ / self.scale_)
        if self._link is not None:
            self._link.put_on(module, self._layer_of(module))
        return module

    @contextmanager
    def standardized_by(self, y: np.ndarray, some: np.ndarray, X: Any) -> Iterator[None]:
        """Express the network's output in standard deviations of other targets, and leave its predictions as they are.

        A network that can take no units up keeps its own, which owe nothing to any target. One that was trained
        elsewhere, or that does something on the way out, is back in its own units at the end.

        Parameters
        ----------
        y : ndarray of shape (n,) or (n, n_outputs)
            The targets that are retained: a constant of all targets would give the forgotten ones away.
        some : ndarray of int
            Places of a few of them.
        X : ndarray of shape (n_some, ...) or Items
            Their inputs, as the network takes them.

        Yields
        ------
        None
            While the units are these.
        """
        own, y = (self.mean_, self.scale_), np.asarray(y, dtype=np.float64)
        mean, scale = moments(y)
        if self.unit_layer_ is not None:
            self._move_units(mean, scale)
            self._note_pretrained(X, y[some])
            yield
            if self.adopted_:
                self._move_units(*own)
            return
        layer, module = self._layer_of(self.net_.module_), self.net_.module_.eval()
        if self.last_layer_ is not None:
            self._link = Link.of(module, layer, self._inputs(X[:_FEW]), mean, scale)
        if self._link is None:
            yield
            return
        self.mean_, self.scale_ = mean, scale
        self._note_pretrained(X, y[some])
        self._link.fold_in(layer)
        handles = self._link.put_on(module, layer)
        yield
        for handle in handles:
            handle.remove()
        self._link.fold_out(layer)
        self._link, (self.mean_, self.scale_) = None, own

    def _move_units(self, mean: np.ndarray, scale: np.ndarray) -> None:
        rescale(self._layer_of(self.net_.module_), self.scale_ / scale, (self.mean_ - mean) / scale)
        self.mean_, self.scale_ = mean, scale

    def _layer_of(self, module: nn.Module) -> nn.Linear:
        return module.get_submodule(self.unit_layer_ or self.last_layer_ or "")  # type: ignore[return-value]

    def standardize(self, values: np.ndarray) -> np.ndarray:
        """Turn values in the units of `y` into those of the network's output.

        Parameters
        ----------
        values : ndarray of shape (n, n_outputs, ...)
            Targets, or predictions as `predict_all` gives them.

        Returns
        -------
        ndarray of the same shape
            In standard deviations of the targets.
        """
        return (values - aligned(self.mean_, values)) / aligned(self.scale_, values)

    def restore_units(self, output: np.ndarray) -> np.ndarray:
        """Turn what the network puts out into the units of `y`.

        Parameters
        ----------
        output : ndarray of shape (n,) or (n, n_outputs, ...)
            Of the network.

        Returns
        -------
        ndarray of shape (n, n_outputs, ...)
            Predictions.
        """
        output = output[:, None] if output.ndim == 1 else output
        return output * aligned(self.scale_, output) + aligned(self.mean_, output)

    # -------------------------------------------------------------- predict

    def predict_all(self, X: Any) -> np.ndarray:
        """Predict everything the network puts out, such as all quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, ...)
            In the units of `y`.
        """
        check_is_fitted(self, "net_")
        return self.restore_units(self._answers(self._check_X(X, reset=False), "predict"))

    def middle(self, values: np.ndarray) -> np.ndarray:
        """Take one value for each target: of several quantiles the middle one.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_outputs, ...)
            As `predict_all` gives them.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As `predict` gives them.
        """
        values = values[..., values.shape[-1] // 2] if values.ndim == 3 else values
        return values.ravel() if self._flat else values

    def predict(self, X: Any) -> np.ndarray:
        """Predict values: of several quantiles the middle one.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), Dataset or dict of arrays
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`.
        """
        return self.middle(self.predict_all(X))

    def with_network(self, module: nn.Module) -> Self:
        """Dress another network of the same architecture and in the same units.

        Parameters
        ----------
        module : torch.nn.Module
            The network, not copied.

        Returns
        -------
        StandardizedRegressor
            Predicts with `module`.
        """
        twin = copy.copy(self)
        twin.net_ = object.__new__(type(self.net_))
        vars(twin.net_).update(vars(self.net_))
        vars(twin.net_)["module_"] = module
        return twin


def _is_instance(net: Any) -> bool:
    """Tell whether a net starts at weights that were passed."""
    if not isinstance(net, NeuralNet):
        return isinstance(net, nn.Module)
    return isinstance(net.module, nn.Module) and not net.get_params_for("module")
