"""The private corners of scikit-learn this package needs, in one place."""

from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight

__all__ = ["_check_sample_weight", "_safe_indexing"]
