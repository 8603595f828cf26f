"""What the methods share that certify linear networks by Gaussian noise, and others not at all."""

from __future__ import annotations

from mlunlearn.graph.base import GraphUnlearnerMixin
from mlunlearn.state import Guarantee


class CertifiedIfLinear(GraphUnlearnerMixin):
    """A method of `epsilon`, `delta` and `sigma`, whose ``_fit`` sets ``certified_``."""

    epsilon: float
    delta: float
    sigma: float

    @property
    def guarantee(self) -> Guarantee:  # type: ignore[override]
        """Certified for linear networks, approximate for others."""
        return "certified" if getattr(self, "certified_", True) else "approximate"

    def _check_certificate(self) -> None:
        if not (self.epsilon > 0 and 0 < self.delta < 1 and self.sigma > 0):
            raise ValueError("epsilon and sigma must be positive, and delta between 0 and 1.")
