"""What the models said: the only thing an audit looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outputs", "Predictions"]

TASKS = ("classifier", "regressor")
DATA = ("forget", "retain", "test", "unseen", "matched")


@dataclass(frozen=True)
class Outputs:
    """The outputs of one model on one data set.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Predicted classes as integer codes, the columns of `proba`; predicted values for regression.
    proba : ndarray of shape (n_samples, n_classes) or None, default=None
        Class probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import Outputs
    >>> Outputs(np.array([0, 1])).proba is None
    True
    """

    labels: NDArray[Any]
    proba: NDArray[np.float64] | None = None


ByData = Mapping[str, Outputs]


@dataclass(frozen=True)
class Predictions:
    """The outputs of all models of an audit, on data sets named "forget", "retain", "test", "unseen" and "matched".

    An audit of any kind of model starts here: whoever can write down these arrays can have one from
    `mlunlearn.audit.Audit.of`.

    Parameters
    ----------
    task : {"classifier", "regressor"}
        What the models do.
    targets : mapping of str to ndarray
        By data set: true classes as integer codes, or true values. "test" is needed, the others may be absent.
    unlearned : mapping of str to Outputs
        The model under audit.
    references : sequence of mapping of str to Outputs
        Models retrained without the forget set, at least two, independently seeded. The first is what the others are
        compared with; those after it give the null.
    original : mapping of str to Outputs or None, default=None
        The model before unlearning.
    untrained : sequence of ndarray of shape (n_forget, n_classes), default=()
        Probabilities that models with random weights give on the forget set.
    groups : mapping of str to ndarray of int, default={}
        By data set: the person or source of each sample, counted from 0, if samples are dependent.
    deterministic : bool, default=False
        Whether training is known to give one model, whatever the seed, such as nearest neighbours. References that
        agree in every answer then do so for certain, and not by chance.
    classes : ndarray or None, default=None
        The label of each code, in the user's words; None leaves them codes.

    Raises
    ------
    ValueError
        If arrays do not belong together or there are fewer than two references.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import Outputs, Predictions
    >>> said = {"test": Outputs(np.array([0, 1, 1]))}
    >>> predictions = Predictions("classifier", {"test": np.array([0, 1, 0])}, said, [said, said])
    >>> predictions.sizes, predictions.has_proba
    ({'test': 3}, False)
    """

    task: Literal["classifier", "regressor"]
    targets: Mapping[str, NDArray[Any]]
    unlearned: ByData
    references: tuple[ByData, ...] | list[ByData]
    original: ByData | None = None
    untrained: tuple[NDArray[np.float64], ...] | list[NDArray[np.float64]] = ()
    groups: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)
    deterministic: bool = False
    classes: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {TASKS}, got {self.task!r}.")
        if len(self.references) < 2:
            raise ValueError(
                f"an audit needs at least two retrained references, got {len(self.references)}: the second one shows "
                "what a perfect unlearner scores."
            )
        unknown = sorted(set(self.targets) - set(DATA))
        if unknown or "test" not in self.targets:
            raise ValueError(f"targets must be named after {DATA}, with 'test' among them; got {sorted(self.targets)}.")
        for name, target in self.targets.items():
            for said in self.models().values():
                if name not in said or len(said[name].labels) != len(target):
                    raise ValueError(f"every model must have one output for each of the {len(target)} {name} samples.")

        self._check_values()

    def _check_values(self) -> None:
        """Refuse what is no number, and name the model that said it."""
        for data, target in self.targets.items():
            if np.asarray(target).dtype.kind not in "biuf" or not np.isfinite(target).all():
                raise ValueError(f"targets[{data!r}] must be finite numbers (codes of labels, or values).")
        for name, said in self.models().items():
            for data in self.targets:
                proba, labels = said[data].proba, np.asarray(said[data].labels)
                for values in (labels, proba):
                    if values is not None and values.dtype.kind == "f" and not np.isfinite(values).all():
                        raise ValueError(f"the {name} model predicts NaN or infinity on {data} data.")

    def models(self) -> dict[str, ByData]:
        """Name the outputs of every model by its part in the audit.

        Returns
        -------
        dict of str to mapping of str to Outputs
            "unlearned", "original" where there is one, "retrained", and "null 1", "null 2" and so on.
        """
        named = {"unlearned": self.unlearned}
        if self.original is not None:
            named["original"] = self.original
        named["retrained"] = self.references[0]
        return {**named, **{f"null {i}": said for i, said in enumerate(self.references[1:], start=1)}}

    @property
    def sizes(self) -> dict[str, int]:
        """Samples of each data set."""
        return {name: len(self.targets[name]) for name in DATA if name in self.targets}

    @property
    def has_proba(self) -> bool:
        """Whether every model gives probabilities."""
        return all(out.proba is not None for said in self.models().values() for out in said.values())

    @property
    def nonmembers(self) -> str:
        """The data set that stands for samples never seen: "matched" or "unseen" where given, otherwise "test"."""
        return next(name for name in ("matched", "unseen", "test") if name in self.targets)
