"""Metrics, each a plain function of arrays, and the signals they are made of."""
