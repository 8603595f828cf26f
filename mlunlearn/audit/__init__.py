"""Metrics, membership attacks, retrained references and the Audit object."""
