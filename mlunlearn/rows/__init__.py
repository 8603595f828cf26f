"""Rows of training data: what may still be read of them, how they are recognised, and what they are called."""
