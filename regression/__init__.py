"""Regression unlearning: continuous targets from images, text, series and tables."""
