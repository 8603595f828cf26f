"""Receipts: what a request to forget did, and what it guarantees."""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import uuid4

import numpy as np

TRAINERS = ("mlunlearn", "numpy", "scikit-learn", "torch", "torch-geometric")
"""Distributions whose release may change what is learned."""


def versions() -> dict[str, str]:
    """Name the releases that a model was trained with.

    Returns
    -------
    dict of str to str
        Python, and those of `TRAINERS` that are installed; torch and torch-geometric only where torch is in use.
    """
    return dict(_versions("torch" in sys.modules))


@lru_cache(maxsize=2)
def _versions(torch_loaded: bool) -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version())]
    for name in TRAINERS:
        if torch_loaded or not name.startswith("torch"):
            try:
                found.append((name, version(name)))
            except PackageNotFoundError:  # torch-geometric is an extra; mlunlearn may run from a folder
                continue
    return tuple(found)


def read_only(values: np.ndarray) -> np.ndarray:
    """Write-protect an array, and return it."""
    values.flags.writeable = False
    return values


class ReadOnly(dict[str, Any]):
    """A mapping that is not changed any more."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a receipt is evidence and cannot be changed; make a copy: dict(...).")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadOnly, (dict(self),)


@dataclass(frozen=True)
class Work:
    """What serving a request cost, in the unit of training: samples read, counted once per pass.

    Parameters
    ----------
    samples : int
        Samples reprocessed by this request.
    full : int
        Samples a fit on all retained rows would process.
    details : mapping, default={}
        What the method has to add, such as the shards and slices it touched.

    Examples
    --------
    >>> from mlunlearn.receipts import Work
    >>> Work(samples=50, full=1000).share
    0.05
    """

    samples: int
    full: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the details as they are now."""
        object.__setattr__(self, "details", ReadOnly(self.details))

    @property
    def share(self) -> float:
        """Share of a full fit on the retained rows."""
        return self.samples / self.full if self.full else 0.0


@dataclass(frozen=True)
class Receipt:
    """The record of one request, kept in ``receipts_``.

    Parameters
    ----------
    method : str
        Class of the model that served it.
    guarantee : str
        ``"exact"``, ``"certified"`` or ``"approximate"``.
    rows : ndarray of shape (n_forgotten,)
        Positions, in the data given to `fit`, that this request forgot.
    already : ndarray of shape (n_repeated,)
        Positions it asked for that had been forgotten before.
    classes : tuple
        Classes it named.
    n_retained : int
        Rows still remembered afterwards.
    seconds : float
        Wall time of the request.
    work : Work
        Samples reprocessed, against a full fit.
    seed : int or None
        Root seed of the model.
    served_at : datetime
        When, in UTC.
    of : str, default='rows'
        What `rows` counts: rows of a table, or the nodes, edges or features of a graph.
    exactness : str or None, default=None
        In which sense an exact request is exact: ``"bits"``, ``"rounding"``, ``"law"`` or ``"influence"``.
    twins : int or None, default=None
        Forgotten rows with an identical copy among the retained ones, which nobody can forget; None where that was
        not counted.
    request_id : str
        Name of the request; a random one unless `unlearn` was given another.
    reason : str or None, default=None
        Why it was made.
    versions : mapping of str to str, default={}
        Releases of Python and of the packages that trained.

    Notes
    -----
    A receipt cannot be changed: its arrays are write-protected. It names rows by position, never by id.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from mlunlearn import Retrain
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> receipt = Retrain(LogisticRegression(), random_state=0).fit(X, y).unlearn([0]).receipts_[-1]
    >>> receipt.guarantee, receipt.rows.tolist(), receipt.n_retained, receipt.retrained_share
    ('exact', [0], 3, 1.0)
    """

    method: str
    guarantee: str
    rows: np.ndarray
    already: np.ndarray
    classes: tuple[Any, ...]
    n_retained: int
    seconds: float
    work: Work
    seed: int | None
    served_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    of: str = "rows"
    exactness: str | None = None
    twins: int | None = None
    request_id: str = field(default_factory=lambda: uuid4().hex)
    reason: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take copies of the positions that nobody can write to."""
        for name in ("rows", "already"):
            object.__setattr__(self, name, read_only(np.array(getattr(self, name))))
        object.__setattr__(self, "versions", ReadOnly(self.versions))

    @property
    def retrained_share(self) -> float:
        """Share of a full fit on the retained rows that this request reprocessed."""
        return self.work.share

    def to_json(self, **options: Any) -> str:
        """Write the receipt as JSON, for a record that outlives the model.

        Parameters
        ----------
        **options
            Of `json.dumps`, such as ``indent=2``.

        Returns
        -------
        str
            An object with every field: positions as lists, the time as ISO 8601, `work` as an object of its own.

        Examples
        --------
        >>> import json
        >>> from sklearn.linear_model import LogisticRegression
        >>> from mlunlearn import Retrain
        >>> model = Retrain(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> model = model.unlearn([0], request_id="2026-17", reason="consent withdrawn")
        >>> record = json.loads(model.receipts_[-1].to_json())
        >>> record["request_id"], record["reason"], record["rows"]
        ('2026-17', 'consent withdrawn', [0])
        """
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        work = {"samples": self.work.samples, "full": self.work.full, "details": dict(self.work.details)}
        return json.dumps({**record, "work": work}, default=_as_plain, **options)

    def __str__(self) -> str:
        """One line for people."""
        repeated = f", {len(self.already)} forgotten before" if len(self.already) else ""
        twins = f"; {self.twins} of them have identical twins among retained {self.of}" if self.twins else ""
        return (
            f"{self.method}: forgot {len(self.rows)} {self.of}{repeated} in {self.seconds:.3g} s, "
            f"{self.retrained_share:.2%} of a full fit, {self.n_retained} {self.of} remain ({self.guarantee}){twins}"
        )


def _as_plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
