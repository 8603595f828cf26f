"""Hourly series: windows, and a forecaster that forgets customers and days."""

from mlunlearn.regression.series.forgetter import SeriesForgetter
from mlunlearn.regression.series.windows import Windows

__all__ = [
    "SeriesForgetter",
    "Windows",
]
