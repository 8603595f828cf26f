"""Intervals and tests: resampling of rows and persons, and contrasts with references."""

from mlunlearn.audit.intervals.bootstrap import BootstrapInterval, bootstrap_interval

__all__ = ["BootstrapInterval", "bootstrap_interval"]
