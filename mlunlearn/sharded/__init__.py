"""Exact sharded unlearning."""
