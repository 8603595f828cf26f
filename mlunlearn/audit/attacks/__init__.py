"""Membership attacks, each a plain function of arrays, and what the audit runs of them."""
