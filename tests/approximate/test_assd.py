"""ASSD: the threshold follows the share of rows to forget."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from mlunlearn.approximate import ASSDClassifier
from mlunlearn.approximate.dampening import percentile_of


@pytest.mark.parametrize(("share", "percentile"), [(0.01, 99.31), (0.1, 97.60)])
def test_percentiles_of_the_paper(share, percentile):
    assert percentile_of(share) == pytest.approx(percentile, abs=0.005)


@pytest.mark.parametrize("rows", [range(3), range(150)])
@pytest.mark.parametrize("reference", ["all", "retain"])
def test_the_share_of_weights_that_are_dampened(rows, reference, trained_conv, digits):
    class Looking(ASSDClassifier):
        def _dampener(self, *args):
            self.found_ = super()._dampener(*args)
            return self.found_

    X, y = digits
    model = Looking(FrozenEstimator(trained_conv), reference=reference, random_state=0).fit(X, y).unlearn(rows)
    work, ratios = model.receipts_[-1].work.details, model.found_.importances.ratios()
    assert work["percentile"] == percentile_of(len(rows) / 300)
    selected = np.sum(ratios > work["alpha"])
    assert selected / len(ratios) == pytest.approx(1 - work["percentile"] / 100, abs=2 / len(ratios))
    assert not ASSDClassifier.published(trained_conv).per_sample
