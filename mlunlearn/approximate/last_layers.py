"""Learning again with the last layers alone: what CF-k and EU-k share."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from torch import nn

from mlunlearn.approximate.learning import OPTIMIZERS, Optimizer, make_optimizer
from mlunlearn.approximate.run import Run
from mlunlearn.networks.batches import Rows
from mlunlearn.networks.depth import Layer, ordered_layers
from mlunlearn.networks.loop import drops
from mlunlearn.parameters import check_choice, check_count


class LastLayers:
    """What methods share that freeze a network but for its last layers, which learn from the retained rows.

    A method says by `_start` from which weights the last layers start.
    """

    needs = frozenset({"retain", "retain_labels"})
    moves_buffers = True

    def __init__(
        self,
        estimator: Any,
        *,
        n_layers: int = 1,
        max_epochs: int | None = None,
        lr: float = 0.01,
        optimizer: Optimizer = "adam",
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.n_layers = n_layers
        self.max_epochs = max_epochs
        self.lr = lr
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def published(cls, estimator: Any, **others: Any) -> Self:
        """Use the settings that the method is commonly compared with on images.

        Parameters
        ----------
        estimator : as for the class
            The network.
        **others
            Further parameters of the class.

        Returns
        -------
        CFkClassifier or EUkClassifier
            Unfitted.
        """
        return cls(estimator, **{"max_epochs": 10, "optimizer": "sgd", "weight_decay": 5e-4, **others})

    def _check_settings(self) -> None:
        check_count("n_layers", self.n_layers)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)

    def _default_epochs(self, run: Run) -> int:
        """Say how many passes are taken where the user does not."""
        return 10

    def _start(self, module: nn.Module, last: list[Layer], run: Run) -> None:
        """Set the weights from which the last layers start; those they have, unless a method says otherwise."""

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        frozen, last = self._split(module, retain, run)
        parameters = dict(module.named_parameters())
        free = [parameters[name] for layer in last for name in layer.tensors if name in parameters]
        free = [parameter for parameter in free if parameter.requires_grad]
        if not free:
            raise ValueError(f"no weight of the last {self.n_layers} layers is trainable; give a larger n_layers.")
        self._start(module, last, run)
        module.train()
        for layer in frozen:
            for part in layer.parts:
                module.get_submodule(part).training = False
        batch_size = self.batch_size or run.batch_size
        run.learn(
            module,
            retain,
            batch_size=batch_size,
            n_steps=(self.max_epochs or self._default_epochs(run)) * retain.n_steps(batch_size),
            parameters=free,
            mode=None,
            optimizer=make_optimizer(self.optimizer, self.lr, self.weight_decay),
            schedule=drops(0.5, 0.8, 0.9),
            label="learning the last layers",
        )
        return {"layers": [layer.parts[0] for layer in last]}

    def _split(self, module: nn.Module, retain: Rows, run: Run) -> tuple[list[Layer], list[Layer]]:
        few = retain.where(np.arange(min(2, len(retain))))
        layers = ordered_layers(run.original, next(few.in_order(2)).X)
        if self.n_layers > len(layers):
            names = ", ".join(layer.parts[0] or type(module).__name__ for layer in layers)
            raise ValueError(f"n_layers is {self.n_layers}, and the network has {len(layers)} layers ({names}).")
        return layers[: -self.n_layers], layers[-self.n_layers :]
