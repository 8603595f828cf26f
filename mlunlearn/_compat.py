"""The private corners of scikit-learn this package needs, in one place."""

from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions, make_constraint
from sklearn.utils.validation import _check_sample_weight

__all__ = ["Interval", "StrOptions", "_check_sample_weight", "_safe_indexing", "make_constraint"]
