"""Methods, one in each file."""
