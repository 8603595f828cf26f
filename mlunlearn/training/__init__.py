"""How a copy of the user's estimator is trained: seeds, threads, passes, and whether it repeats itself."""
