"""Public graphs, generated ones, and the splits of published protocols."""
