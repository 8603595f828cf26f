"""The `Audit`: a verdict, and a table that describes, to be read, drawn and saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from numpy.typing import NDArray

from mlunlearn.audit.attacks.curves import RocCurve, roc_curves
from mlunlearn.audit.judge import Judge
from mlunlearn.audit.metrics.people import by_label, exposures, worst_off
from mlunlearn.audit.predictions import Predictions
from mlunlearn.audit.printing import (
    DESCRIPTION,
    EXPOSURE,
    HOW_TO_READ,
    RULE,
    headlines_of,
    notes_on,
    remarks_of,
    short_table,
    title_of,
)
from mlunlearn.audit.saved import fields_as_dict, fields_from_dict, plain, verdict_table
from mlunlearn.audit.table import CONFIDENCE, Row, measure
from mlunlearn.audit.verdict import Verdict, favourable_only_if_found
from mlunlearn.training.seeds import root_seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = 2


@dataclass(frozen=True, repr=False)
class Audit:
    """A verdict on a model that has forgotten something, and a description of it.

    Made by `mlunlearn.audit.audit`, or from predictions of any kind of model by `Audit.of`.

    Parameters
    ----------
    verdict : Verdict
        Of the model under audit.
    verdict_on_original : Verdict or None
        Of the model before unlearning, by the same statistics: shows what the audit can see.
    comparison : str
        Whether forgotten and unseen rows are alike to retrained models, and how they are compared.
    rows : tuple of Row
        The description: every score between that of further retrained models and that of the original.
    curves : tuple of RocCurve
        For every model, the ROC curve of the score that the verdict uses.
    about : mapping
        What was audited: method, guarantee, seeds, versions, sizes.
    cost : mapping of str to float
        Seconds of unlearning, and of retraining where that was measured.
    not_measured : tuple of str
        What is absent from the table, and what to pass to have it.
    notes : tuple of str
        What a reader of the table has to know.
    worst : pandas.DataFrame
        Mean exposure of all and of the most exposed 5 % of the forgotten and of the retained rows, each model's own;
        the risk is the mean of the unlearned model minus that of the retrained ones.
    predictions : Predictions or None, default=None
        What the models said; never saved.
    ids : mapping of str to ndarray, default={}
        The person of each forgotten and retained row, or its position; never saved.

    See Also
    --------
    mlunlearn.audit.audit : Makes an audit from a model.
    mlunlearn.audit.compare : Audits many models against one set of references.

    Examples
    --------
    >>> import numpy as np
    >>> from mlunlearn.audit import Audit, Outputs, Predictions
    >>> y = np.arange(40) % 2
    >>> right, wrong = Outputs(y), Outputs(1 - y)
    >>> references = [{"test": right}] * 2
    >>> predictions = Predictions("classifier", {"test": y}, {"test": wrong}, references, deterministic=True)
    >>> report = Audit.of(predictions, random_state=0)
    >>> report["completeness", "test"].unlearned.estimate, report["completeness", "test"].null.estimate
    (0.0, 1.0)
    >>> report.verdict.decision
    'distinguishable from one'
    """

    verdict: Verdict
    verdict_on_original: Verdict | None
    comparison: str
    rows: tuple[Row, ...]
    curves: tuple[RocCurve, ...]
    about: Mapping[str, Any]
    cost: Mapping[str, float]
    not_measured: tuple[str, ...]
    notes: tuple[str, ...]
    worst: pd.DataFrame = field(compare=False)
    predictions: Predictions | None = field(default=None, compare=False)
    ids: Mapping[str, NDArray[Any]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        predictions: Predictions,
        *,
        alpha: float = 0.05,
        residue: float = 1.0,
        exchangeable: bool | None = None,
        n_bootstrap: int = 200,
        random_state: Any = None,
        about: Mapping[str, Any] | None = None,
        cost: Mapping[str, float] | None = None,
        not_measured: list[str] | None = None,
        ids: Mapping[str, NDArray[Any]] | None = None,
    ) -> Audit:
        """Judge and describe predictions.

        Parameters
        ----------
        predictions : Predictions
            What the models said.
        alpha, residue : float
            As in `mlunlearn.audit.audit`.
        exchangeable : bool or None, default=None
            As in `mlunlearn.audit.audit`.
        n_bootstrap : int, default=200
            Bootstrap resamples.
        random_state : int, RandomState instance or None, default=None
            Seeds the attacks and the resamples.
        about, cost : mapping or None, default=None
            What to keep with the scores.
        not_measured : list of str or None, default=None
            What the predictions lack, in words.
        ids : mapping of str to ndarray or None, default=None
            The person of each forgotten and retained row.

        Returns
        -------
        Audit
            The verdict and the scores.
        """
        seed = root_seed(random_state)
        judge = Judge(predictions, alpha, residue, seed, exchangeable)
        found = judge.comparability()
        verdict = judge.verdict(predictions.unlearned, found)
        original = None if predictions.original is None else judge.verdict(predictions.original, found)
        verdict = favourable_only_if_found(verdict, original)
        rows, _, left_out = measure(predictions, n_bootstrap, seed)
        about = {
            **(about or {}),
            "task": predictions.task,
            "sizes": predictions.sizes,
            "nonmembers": predictions.nonmembers,
            "n_references": len(predictions.references),
            "n_bootstrap": n_bootstrap,
            "confidence": CONFIDENCE,
            "exchangeable": None if found is None else found.exchangeable,
            "alike": None if found is None else found.alike,
            "random_state": seed,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        missing = (*(not_measured or []), *left_out)
        return cls(
            verdict,
            original,
            "" if found is None else str(found),
            rows,
            roc_curves(judge),
            about,
            dict(cost or {}),
            missing,
            notes_on(predictions, verdict),
            worst_off(exposures(predictions)),
            predictions,
            dict(ids or {}),
        )

    def __getitem__(self, key: tuple[str, str]) -> Row:
        for row in self.rows:
            if (row.metric, row.data) == key:
                return row
        raise KeyError(f"{key} was not measured; there are {[(row.metric, row.data) for row in self.rows]}.")

    def to_frame(self) -> pd.DataFrame:
        """Return the table, one row for every metric on every data set.

        Returns
        -------
        pandas.DataFrame
            Columns `metric`, `data`; `unlearned`, `null`, `original`, each followed by its interval (`_low`,
            `_high`); `better`, which is "lower", "higher" or "like null"; `scaled`, the place between the original (0)
            and the null (1). What was not measured is NaN. Description: the decision is `verdict`.
        """
        return pd.DataFrame([row.as_dict() for row in self.rows])

    def summary(self) -> str:
        """Return the verdict, the same of the model before unlearning, and how to read them.

        Returns
        -------
        str
            A few lines; printing the audit gives the tables as well.
        """
        return "\n".join([title_of(self.about), *headlines_of(self), HOW_TO_READ])

    def by_person(self) -> pd.DataFrame:
        """Return exposure and risk of every person, or of every row where there are no persons, the largest first.

        Returns
        -------
        pandas.DataFrame
            Columns `data`, `of` (the id, or the row's position), `rows`, `unlearned`, `original`, `retrained`, `risk`.

        Raises
        ------
        ValueError
            If the audit was loaded from a file, which holds nothing of single rows.

        Notes
        -----
        The exposure of a row is the share of unseen rows that the model is less sure of; the risk is the exposure minus
        that under retrained models. Under an exact model the risks of single rows scatter round 0.
        """
        return by_label(exposures(self._held()), self.ids)

    def by_class(self) -> pd.DataFrame:
        """Return the same for every class.

        Returns
        -------
        pandas.DataFrame
            As `by_person`; `of` is the class, by the label that the user gave it.

        Raises
        ------
        ValueError
            If the audit was loaded from a file, or is of a regressor.
        """
        predictions = self._held()
        if predictions.task == "regressor":
            raise ValueError("a regressor has no classes; use by_person().")
        table = by_label(exposures(predictions), "label")
        return table if predictions.classes is None else table.assign(of=predictions.classes[table["of"].to_numpy()])

    def _held(self) -> Predictions:
        if self.predictions is None:
            raise ValueError("this audit was loaded from a file, which holds no predictions of single rows.")
        return self.predictions

    def plot(
        self, path: str | Path | None = None, *, ax: Axes | None = None, panel: Literal["verdict", "curves"] = "verdict"
    ) -> Figure:
        """Draw the verdict's statistics beside what is chance, and the ROC curves of all models.

        Parameters
        ----------
        path : str, Path or None, default=None
            Where to write the figure; the ending decides the format.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw one panel; None makes a figure with all of them.
        panel : {"verdict", "curves"}, default="verdict"
            Which panel to draw on `ax`.

        Returns
        -------
        matplotlib.figure.Figure
            The figure. Its text alternative is the table.

        Raises
        ------
        ValueError
            If there is no such panel: curves need forgotten rows.
        """
        from mlunlearn.audit.figure import draw, draw_panel

        figure = draw(self) if ax is None else draw_panel(self, panel, ax)
        if path is not None:
            is_png = Path(path).suffix.lower() == ".png"
            figure.savefig(path, metadata={"Description": str(self)} if is_png else None)
        return figure

    def to_html(self, path: str | Path) -> Path:
        """Write one page with the verdict, the tables and the figures, which needs no other file and no network.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Path
            The file.

        Notes
        -----
        As with `save`, no training data and no prediction on a single row is written.
        """
        from mlunlearn.audit.html import page

        file = Path(path)
        file.write_text(page(self), encoding="utf-8")
        return file

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
        text = json.dumps(plain({"format": FORMAT, **fields_as_dict(self)}), indent=1, allow_nan=False)
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
            If the file was written by another release.
        """
        saved = json.loads((Path(path) / "audit.json").read_text(encoding="utf-8"))
        if saved["format"] != FORMAT:
            raise ValueError(f"{path} was written in format {saved['format']}, this release reads format {FORMAT}.")
        return cls(**fields_from_dict(saved))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """Return the verdict, what it rests on, and the main scores, aligned in columns."""
        lines = [title_of(self.about), "", *headlines_of(self), "", verdict_table(self.verdict).to_string(index=False)]
        lines += [*RULE.format(alpha=self.verdict.alpha).split("; "), "", DESCRIPTION]
        lines.append(short_table(self.rows, refused=self.refused).to_string(index=False))
        if not self.worst.empty:
            lines += ["", EXPOSURE, self.worst.round(3).to_string(index=False)]
        return "\n".join([*lines, "", *remarks_of(self)])

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        from mlunlearn.audit.html import fragment

        return fragment(self)

    @property
    def refused(self) -> bool:
        """Whether attacks would measure how forgotten and unseen rows differ to any model, and are not shown."""
        return self.about.get("alike", self.about.get("exchangeable")) is False
