"""Intervals and tests: resampling of rows and persons, and contrasts with references."""
