"""SCRUB+R: SCRUB, and then back to the pass after which the rows to forget are as often wrong as rows never seen."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from mlunlearn.approximate.run import Run
from mlunlearn.approximate.scrub import SCRUBClassifier
from mlunlearn.networks.batches import Rows


class SCRUBRewindClassifier(SCRUBClassifier):
    r"""Forget by disagreeing with the network before on the rows to forget, and take back what was too much.

    `SCRUBClassifier` runs to its end, and the network is kept after each pass. The reference is the error of the last
    one on held-out rows of the classes that the rows to forget are of: so often would it be wrong on them if it had
    never seen them. The network after the pass whose error on the rows to forget is nearest to that is taken, of
    several the latest.

    Parameters
    ----------
    estimator : torch module, skorch net, TorchClassifier, Pipeline or FrozenEstimator
        The network; an unfitted one is trained by `fit`, of a frozen one a copy is edited.
    max_epochs : int, default=10
        Passes over the retained rows.
    forget_epochs : int, default=3
        Passes over the rows to forget, before the first ones of those.
    alpha : float, default=0.5
        Weight :math:`\alpha` of the distance on retained rows.
    gamma : float, default=1
        Weight :math:`\gamma` of the loss on retained rows.
    temperature : float, default=2
        :math:`T`.
    lr : float, default=0.0005
        Learning rate, divided by ten after 50, 80 and 90 per cent of the steps.
    optimizer : {'adam', 'sgd'}, default='adam'
        The latter with momentum 0.9.
    weight_decay : float, default=0.0005
        L2 penalty of the optimiser.
    batch_size, forget_batch_size : int or None, default=None
        Rows of a step over the retained rows, and over those to forget; None takes the network's own.
    random_state : int, RandomState instance or None, default=None
        Seeds training and forgetting.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    estimator_ : TorchClassifier or Pipeline
        The model after forgetting.
    classes_, n_samples_fit_, forgotten_, receipts_, seed_
        As for every unlearner.

    See Also
    --------
    SCRUBClassifier : The same without going back.

    Notes
    -----
    Guarantee: approximate. Needs what SCRUB needs, and besides the labels of the rows to forget and held-out rows,
    given as ``fit(..., held_out=(X, y))``: some of each class that rows to forget are of, distributed as they are.
    Changes all weights and the statistics of batch normalisation. Cost: that of SCRUB, `max_epochs` readings of the
    rows to forget and one or two of the held-out rows, and as many networks in memory as there are passes. The receipt
    names the errors, the reference and the pass. It is meant for privacy, where an error that is too large betrays a
    row; to remove what is wrong, take SCRUB to its end. Fails where the error jumps between passes, so that none is
    near, and where the reference is that of few rows.

    References
    ----------
    "Towards Unbounded Machine Unlearning", arXiv:2302.09880. `published` gives its settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from mlunlearn.approximate import SCRUBRewindClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SCRUBRewindClassifier(nn.Linear(4, 3), max_epochs=4, random_state=0)
    >>> model = model.fit(X[::2], y[::2], held_out=(X[1::2], y[1::2])).unlearn([3, 17, 60])
    >>> sorted(model.receipts_[-1].work.details)
    ['forget_error', 'reference_error', 'rewound_to']
    """

    needs = frozenset({*SCRUBClassifier.needs, "forget_labels", "held_out"})

    def _edit(self, module: nn.Module, forget: Rows, retain: Rows, run: Run) -> dict[str, Any]:
        alike = self._rows_alike(forget, run)
        checkpoints: list[dict[str, Tensor]] = []
        errors: list[float] = []

        def note() -> None:
            checkpoints.append({name: value.clone() for name, value in module.state_dict().items()})
            errors.append(1 - run.accuracy(module, forget))

        self._scrub(module, forget, retain, run, after_pass=note)
        reference = 1 - run.accuracy(module, alike)
        best = min(reversed(range(len(errors))), key=lambda epoch: abs(errors[epoch] - reference))
        module.load_state_dict(checkpoints[best])
        return {"forget_error": errors, "reference_error": reference, "rewound_to": best + 1}

    def _rows_alike(self, forget: Rows, run: Run) -> Rows:
        """Held-out rows of the classes of the rows to forget."""
        held_out = cast(Rows, run.held_out)  # it is among the needs
        wanted = _labels(forget, run).unique()
        labels = _labels(held_out, run)
        missing = wanted[~torch.isin(wanted, labels)]
        if len(missing):
            unseen = self.classes_.tolist()[int(missing[0])]
            raise ValueError(
                f"held_out holds no row of class {unseen!r}, which rows to forget are of: give some of each class, "
                "call fit(X, y, held_out=(X_other, y_other))."
            )
        return held_out.where(torch.isin(labels, wanted).numpy())


def _labels(rows: Rows, run: Run) -> Tensor:
    return torch.cat([batch.y.cpu() for batch in rows.in_order(run.batch_size)])
