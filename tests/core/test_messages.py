"""What is wrong is said in the words of the one who reads it."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from torch import nn

from mlunlearn import Retrain, SISAClassifier

X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: SISAClassifier(None).fit(X, Y), "estimator is None: pass the model"),
        (lambda: Retrain(None).fit(X, Y), "estimator is None: pass the model"),
        (lambda: Retrain(GaussianNB()).fit(X, Y, sample_ids="a"), "sample_ids is one text, 'a'"),
        (lambda: Retrain(nn.Flatten()).fit(X, Y), "the module Flatten has no parameters"),
    ],
)
def test_messages_name_what_is_wrong(fit, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit()
