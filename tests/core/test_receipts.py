"""Receipts are evidence: they say what happened, survive as JSON, and cannot be edited by accident."""

import dataclasses
import json
import pickle
import platform
from datetime import datetime

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from mlunlearn import ForgetRequestError, Retrain, SISAClassifier


@pytest.fixture
def model():
    X, y = load_iris(return_X_y=True)
    return SISAClassifier(GaussianNB(), n_shards=3, random_state=0).fit(X, y)


def test_a_receipt_as_json_says_what_the_receipt_says(model):
    receipt = model.unlearn([7, 20]).unlearn([20, 31], request_id="2026-17", reason="consent withdrawn").receipts_[-1]
    record = json.loads(receipt.to_json(indent=2))
    assert set(record) == {field.name for field in dataclasses.fields(receipt)}
    assert (record["rows"], record["already"], record["n_retained"]) == ([31], [20], 147)
    assert (record["request_id"], record["reason"]) == ("2026-17", "consent withdrawn")
    assert (record["guarantee"], record["exactness"], record["seed"]) == ("exact", "bits", 0)
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["scikit-learn"] == sklearn.__version__
    assert record["work"]["samples"] == receipt.work.samples
    assert record["work"]["details"]["shards"] == receipt.work.details["shards"]
    assert datetime.fromisoformat(record["served_at"]) == receipt.served_at


def test_a_receipt_of_forgotten_labels_of_any_kind_becomes_json():
    X, y = load_iris(return_X_y=True)
    names = load_iris().target_names[y]
    receipt = Retrain(GaussianNB()).fit(X, names).unlearn(classes=["setosa"]).receipts_[-1]
    assert json.loads(receipt.to_json())["classes"] == ["setosa"]
    receipt = Retrain(GaussianNB()).fit(X, y).unlearn(classes=np.array([1])).receipts_[-1]
    assert json.loads(receipt.to_json())["classes"] == [1]


def test_every_request_has_a_name_of_its_own(model):
    for row in range(5):
        model.unlearn([row])
    assert len({receipt.request_id for receipt in model.receipts_}) == 5


def test_evidence_is_not_edited_by_accident(model):
    asked = np.array([3, 4])
    receipt = model.unlearn(asked).receipts_[-1]
    asked[0] = 99
    assert receipt.rows.tolist() == [3, 4]
    with pytest.raises(ValueError, match="read-only"):
        receipt.rows[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        model.forgotten_[3] = False
    with pytest.raises(dataclasses.FrozenInstanceError):
        receipt.n_retained = 150
    assert isinstance(model.receipts_, tuple)
    assert model.forgotten_.sum() == 2


def test_details_and_versions_are_not_edited_either(model):
    receipt = pickle.loads(pickle.dumps(model.unlearn([3]))).receipts_[-1]
    for mapping in (receipt.work.details, receipt.versions):
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping["shards"] = [9]
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping.clear()
    assert receipt.versions["scikit-learn"] == sklearn.__version__


def test_a_request_is_called_by_a_text(model):
    for about in ({"request_id": 17}, {"request_id": ""}, {"reason": 4}):
        with pytest.raises(ForgetRequestError, match="must be a text"):
            model.unlearn([3], **about)
    assert not model.receipts_


def test_what_a_caller_keeps_of_forgotten_is_of_its_time(model):
    before = model.forgotten_
    model.unlearn([3])
    assert not before.any()
    assert np.flatnonzero(model.forgotten_).tolist() == [3]
