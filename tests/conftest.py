"""How random inputs are drawn, and how long worker processes wait for tests."""

import os
from contextlib import suppress

import joblib
from hypothesis import settings

# The same inputs in every run, unless HYPOTHESIS_PROFILE=explore asks for new ones.
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

# Workers that leave after five idle minutes, as they would on a busy machine, can leave a later call without answer.
with suppress(TypeError):  # joblib 1.4 cannot be told
    joblib.parallel_config(backend="loky", idle_worker_timeout=3600)
