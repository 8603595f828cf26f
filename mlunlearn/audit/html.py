"""An audit as HTML: for a notebook, and as a page that needs nothing but itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

import pandas as pd

from mlunlearn.audit.printing import DESCRIPTION, EXPOSURE, RULE, headlines_of, remarks_of, short_table, title_of
from mlunlearn.audit.saved import number, verdict_table

if TYPE_CHECKING:
    from mlunlearn.audit.report import Audit

STYLE = (
    "body{font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;line-height:1.4}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .6rem;text-align:right;border:1px solid #ccc}"
    "img{max-width:100%}"
)


def fragment(report: Audit) -> str:
    """Return the verdict, the main tables and the remarks, for a notebook.

    Parameters
    ----------
    report : Audit
        What to show.

    Returns
    -------
    str
        HTML without a head.
    """
    tables = [_table(verdict_table(report.verdict)), *_paragraphs([DESCRIPTION]), _short(report)]
    return "".join([*_head(report), *tables, *_paragraphs(remarks_of(report))])


def page(report: Audit) -> str:
    """Return a page with the verdict, all tables, the figures and the remarks.

    Parameters
    ----------
    report : Audit
        What to show.

    Returns
    -------
    str
        HTML that refers to nothing outside itself: the figures are in it.
    """
    image = BytesIO()
    report.plot().savefig(image, format="png")
    source = f"data:image/png;base64,{b64encode(image.getvalue()).decode('ascii')}"
    title = escape(title_of(report.about))
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        *_head(report),
        _table(verdict_table(report.verdict)),
        *_paragraphs([RULE.format(alpha=report.verdict.alpha)]),
        f'<img src="{source}" alt="{escape(f"The verdict and its statistics: {report.verdict}")}">',
        *_paragraphs([DESCRIPTION]),
        _short(report),
    ]
    if not report.worst.empty:
        parts += [*_paragraphs([EXPOSURE]), _table(report.worst)]
    parts += _paragraphs(remarks_of(report))
    parts += ["<h2>All scores</h2>", _table(report.to_frame()), "</body></html>"]
    return "\n".join(parts) + "\n"


def _head(report: Audit) -> list[str]:
    verdict, *others = headlines_of(report)
    return [*_paragraphs([title_of(report.about)]), f"<p><b>{escape(verdict)}</b></p>", *_paragraphs(others)]


def _short(report: Audit) -> str:
    return _table(short_table(report.rows, refused=report.refused))


def _table(table: pd.DataFrame) -> str:
    return str(table.to_html(index=False, float_format=number, na_rep="-"))


def _paragraphs(lines: Sequence[str]) -> list[str]:
    return [f"<p>{escape(line)}</p>" for line in lines]
