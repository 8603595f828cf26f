"""The `Audit`: a table in which every score stands beside its null, to be read, drawn and saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlunlearn.audit.bootstrap import BootstrapInterval
from mlunlearn.audit.curves import RocCurve, roc_curves
from mlunlearn.audit.predictions import Predictions
from mlunlearn.audit.scores import STRONGEST
from mlunlearn.audit.table import CONFIDENCE, Row, measure
from mlunlearn.seeds import root_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
SHORT = ("accuracy", "accuracy gap", "error", "error gap", "prediction distance", "JS divergence", "completeness")


@dataclass(frozen=True, repr=False)
class Audit:
    """The scores of an unlearned model, each between its null and the original model's score.

    The null is a perfect unlearner's own score: that of independent further models retrained without the forgotten
    rows. Made by `mlunlearn.audit.audit`, or from predictions of any kind of model by `Audit.of`.

    Parameters
    ----------
    rows : tuple of Row
        The table.
    curves : tuple of RocCurve
        For every model, the ROC curve of the attack that is strongest on it.
    about : mapping
        What was audited: method, guarantee, seeds, versions, sizes.
    cost : mapping of str to float
        Seconds of unlearning, and of retraining where that was measured.
    not_measured : tuple of str
        What is absent from the table, and what to pass to have it.
    notes : tuple of str
        What a reader of the table has to know.
    predictions : Predictions or None, default=None
        What the models said; never saved.

    See Also
    --------
    mlunlearn.audit.audit : Makes an audit from a model.

    Notes
    -----
    The headline is the strongest attack, not an average over attacks. The largest of several noisy figures lies above
    chance by luck alone; its null is the largest figure against a perfect unlearner.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import Audit, Outputs, Predictions
    >>> y = np.arange(40) % 2
    >>> right, wrong = Outputs(y), Outputs(1 - y)
    >>> predictions = Predictions("classifier", {"test": y}, {"test": wrong}, [{"test": right}] * 2)
    >>> report = Audit.of(predictions, random_state=0)
    >>> report["completeness", "test"].unlearned.estimate, report["completeness", "test"].null.estimate
    (0.0, 1.0)
    """

    rows: tuple[Row, ...]
    curves: tuple[RocCurve, ...]
    about: Mapping[str, Any]
    cost: Mapping[str, float]
    not_measured: tuple[str, ...]
    notes: tuple[str, ...]
    predictions: Predictions | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        predictions: Predictions,
        *,
        n_bootstrap: int = 500,
        random_state: Any = None,
        about: Mapping[str, Any] | None = None,
        cost: Mapping[str, float] | None = None,
        not_measured: list[str] | None = None,
    ) -> Audit:
        """Score predictions.

        Parameters
        ----------
        predictions : Predictions
            What the models said.
        n_bootstrap : int, default=500
            Bootstrap resamples.
        random_state : int, RandomState instance or None, default=None
            Seeds the attacks and the resamples.
        about, cost : mapping or None, default=None
            What to keep with the scores.
        not_measured : list of str or None, default=None
            What the predictions lack, in words.

        Returns
        -------
        Audit
            The scores.
        """
        seed = root_seed(random_state)
        rows, attacks, left_out = measure(predictions, n_bootstrap, seed)
        curves = roc_curves(attacks)
        about = {
            **(about or {}),
            "task": predictions.task,
            "sizes": predictions.sizes,
            "nonmembers": predictions.nonmembers,
            "n_references": len(predictions.references),
            "n_bootstrap": n_bootstrap,
            "confidence": CONFIDENCE,
            "random_state": seed,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        missing = (*(not_measured or []), *left_out)
        return cls(rows, curves, about, dict(cost or {}), missing, _notes(predictions), predictions)

    def __getitem__(self, key: tuple[str, str]) -> Row:
        for row in self.rows:
            if (row.metric, row.data) == key:
                return row
        raise KeyError(f"{key} was not measured; there are {[(row.metric, row.data) for row in self.rows]}.")

    @property
    def headline(self) -> str | None:
        """The attack that is strongest on the unlearned model; None if none was run."""
        return next((curve.attack for curve in self.curves if curve.model == "unlearned"), None)

    def to_frame(self) -> pd.DataFrame:
        """Return the table, one row for every metric on every data set.

        Returns
        -------
        pandas.DataFrame
            Columns `metric`, `data`; `unlearned`, `null`, `original`, each followed by its interval (`_low`,
            `_high`); `better`, which is "lower", "higher" or "like null"; `scaled`, the place between the original (0)
            and the null (1); `reaches_null`, whether the score lies within the null's interval or on its better
            side. What was not measured is NaN.
        """
        return pd.DataFrame([row.as_dict() for row in self.rows])

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw distances to the reference beside their null, and the ROC curve of the strongest attack.

        Parameters
        ----------
        path : str, Path or None, default=None
            Where to write the figure; the ending decides the format.

        Returns
        -------
        matplotlib.figure.Figure
            The figure. Its text alternative is the table.
        """
        from mlunlearn.audit.figure import draw

        figure = draw(self)
        if path is not None:
            is_png = Path(path).suffix.lower() == ".png"
            figure.savefig(path, metadata={"Description": str(self)} if is_png else None)
        return figure

    def save(self, path: str | Path) -> Path:
        """Write a folder with ``audit.json``, ``audit.csv`` and ``audit.png``.

        Parameters
        ----------
        path : str or Path
            The folder; made if it is not there.

        Returns
        -------
        Path
            The folder.

        Notes
        -----
        No training data and no prediction on a single row is written: the numbers of the table, of the figure, and
        what was audited.
        """
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_plain(self._as_dict()), indent=1, allow_nan=False)
        (folder / "audit.json").write_text(text + "\n", encoding="utf-8")
        self.to_frame().to_csv(folder / "audit.csv", index=False)
        self.plot(folder / "audit.png")
        return folder

    @classmethod
    def load(cls, path: str | Path) -> Audit:
        """Read an audit that was saved; it equals the one that was, and holds no predictions.

        Parameters
        ----------
        path : str or Path
            The folder.

        Returns
        -------
        Audit
            The audit. No code is run from the file.

        Raises
        ------
        ValueError
            If the file was written by a later release.
        """
        saved = json.loads((Path(path) / "audit.json").read_text(encoding="utf-8"))
        if saved["format"] > FORMAT:
            raise ValueError(f"{path} was written in format {saved['format']}, this release reads up to {FORMAT}.")
        return cls(
            rows=tuple(_row(entry) for entry in saved["rows"]),
            curves=tuple(
                RocCurve(**{**curve, "fpr": tuple(curve["fpr"]), "tpr": tuple(curve["tpr"])})
                for curve in saved["curves"]
            ),
            about=saved["about"],
            cost=saved["cost"],
            not_measured=tuple(saved["not_measured"]),
            notes=tuple(saved["notes"]),
        )

    def _as_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "headline": self.headline,
            "rows": [row.as_dict() for row in self.rows],
            "curves": [vars(curve) for curve in self.curves],
            "about": self.about,
            "cost": self.cost,
            "not_measured": self.not_measured,
            "notes": self.notes,
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """Return the main scores, aligned in columns."""
        short = self._short()
        lines = [self._title(), short.to_string(index=False)]
        if len(short) < len(self.rows):
            lines.append(f"{len(self.rows) - len(short)} more scores in to_frame().")
        return "\n".join([*lines, *self._remarks()])

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        from html import escape

        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self._remarks())
        return f"<p>{escape(self._title())}</p>{self._short().to_html(index=False)}{remarks}"

    def _title(self) -> str:
        guarantee = self.about.get("guarantee")
        of = f" of {self.about['method']}" if "method" in self.about else ""
        sizes = ", ".join(f"{n} {name}" for name, n in self.about["sizes"].items())
        return f"Audit{of}{f' ({guarantee})' if guarantee else ''}: {sizes} rows"

    def _short(self) -> pd.DataFrame:
        """Main scores as text; the strongest attack first."""
        shown = [row for row in self.rows if row.metric == STRONGEST]
        shown += [row for row in self.rows if row.metric in SHORT or row.data == "all"]
        shown += [row for row in self.rows if row.metric in ("forgetting score", "ZRF")]
        return pd.DataFrame(
            {
                "metric": row.metric,
                "data": row.data,
                "unlearned": _text(row.unlearned),
                "null": _text(row.null),
                "original": _text(row.original),
                "better": row.better,
                "reaches null": {True: "yes", False: "NO", None: "-"}[row.reaches_null],
            }
            for row in shown
        )

    def _remarks(self) -> list[str]:
        remarks = ["null: a perfect unlearner's own score (further retrained models); [ ]: 95 % bootstrap interval."]
        if self.headline is not None:
            remarks.append(f"The strongest attack on the unlearned model is the {self.headline} attack.")
        if "speedup" in self.cost:
            remarks.append(
                f"Unlearning took {self.cost['seconds']:.3g} s, {self.cost['speedup']:.3g} times as fast as retraining."
            )
        return [*remarks, *self.notes, *(f"Not measured: {what}." for what in self.not_measured)]


def _notes(predictions: Predictions) -> tuple[str, ...]:
    notes = []
    first, second = predictions.references[:2]
    if all(_same(first[name], second[name]) for name in predictions.sizes):
        notes.append(
            "The retrained models agree in every output: training does not depend on the seed, so a perfect "
            "unlearner's distances are 0."
        )
    if len(predictions.references) == 2:
        notes.append("With two references the intervals do not contain the difference between seeds.")
    return tuple(notes)


def _same(a: Any, b: Any) -> bool:
    if not np.array_equal(a.labels, b.labels):
        return False
    return a.proba is None or b.proba is None or np.array_equal(a.proba, b.proba)


def _text(interval: BootstrapInterval | None) -> str:
    if interval is None:
        return "-"
    ends = "" if np.isnan(interval.low) else f" [{interval.low:.3f}, {interval.high:.3f}]"
    return f"{interval.estimate:.3f}{ends}"


def _plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and NaN into what JSON has."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _row(entry: Mapping[str, Any]) -> Row:
    intervals = {}
    for name in ("unlearned", "null", "original"):
        ends = [entry[f"{name}{end}"] for end in ("", "_low", "_high")]
        intervals[name] = BootstrapInterval(*(float("nan") if value is None else value for value in ends))
    original = None if entry["original"] is None else intervals["original"]
    return Row(entry["metric"], entry["data"], entry["better"], intervals["unlearned"], intervals["null"], original)
