"""Windows, and what is left of them and of the scales when customers and days go."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mlunlearn import DataChangedError, DataNotAttachedError, ForgetRequestError, Retrain, UnknownIdError
from mlunlearn.regression import (
    BlindspotRegressor,
    FineTuneRegressor,
    SequenceForecaster,
    SeriesForgetter,
    StandardizedRegressor,
    Windows,
    load_forecaster,
)

CUTTER = Windows(n_past=24, horizon=6, stride=6)


@pytest.fixture
def series():
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=24 * 20, freq="h")
    wave = np.sin(np.arange(len(times)) * 2 * np.pi / 24)
    loads = {name: 3 * k + k * wave + 0.1 * rng.normal(size=len(times)) for k, name in enumerate(["a", "b", "c"], 1)}
    return pd.DataFrame(loads, index=times)


@pytest.fixture
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(24 * 5, 16), nn.ReLU(), nn.Linear(16, 6))


def weights(model):
    return list(model.unlearner_.estimator_.net_.module_.state_dict().values())


def test_windows_are_cut_at_the_right_hours(series):
    starts = CUTTER.starts(series)
    X, y = CUTTER.cut(series, starts)
    i = 80
    column, first = starts[i]
    np.testing.assert_array_equal(X[i, :, 0], series.iloc[first : first + 24, column])
    np.testing.assert_array_equal(y[i], series.iloc[first + 24 : first + 30, column])
    assert X.shape == (len(starts), 24, 5)


def test_no_window_holds_a_missing_hour(series):
    series.iloc[100, 1] = np.nan
    gone = {tuple(s) for s in Windows(24, 6, 1).starts(series.fillna(0)).tolist()} - {
        tuple(s) for s in Windows(24, 6, 1).starts(series).tolist()
    }
    assert gone == {(1, first) for first in range(71, 101)}


@pytest.mark.parametrize("request_", [{"customers": "b"}, {"start": "2024-01-05", "end": "2024-01-06"}])
def test_an_exact_unlearner_gives_the_forecaster_that_never_saw_them(series, net, request_):
    def build():
        return SeriesForgetter(Retrain(StandardizedRegressor(net), random_state=0), CUTTER)

    never = series.copy()
    rows = slice(None) if "customers" in request_ else slice(96, 120)
    never.iloc[rows, [1] if "customers" in request_ else [0, 1, 2]] = np.nan
    model, reference = build().fit(series).unlearn(**request_), build().fit(never)
    assert model.guarantee == "exact"
    pd.testing.assert_frame_equal(model.scales_, reference.scales_, check_exact=True)
    assert np.array_equal(model.starts_, reference.starts_)
    assert all(torch.equal(a, b) for a, b in zip(weights(model), weights(reference), strict=True))
    assert model.receipts_[-1].n_retained == len(reference.starts_)


@pytest.mark.parametrize("method", [FineTuneRegressor, BlindspotRegressor])
def test_an_approximate_unlearner_has_exact_windows_and_scales(series, net, method):
    model = SeriesForgetter(method(net, n_steps=10, random_state=0), CUTTER).fit(series)
    before = model.starts_
    model.unlearn(customers=["a", "c"], start="2024-01-05", end="2024-01-06").unlearn(customers="b")
    assert model.scales_.index.tolist() == ["a", "c"]
    left = series["a"].drop(series.index[96:120])
    np.testing.assert_allclose(model.scales_.loc["a"], [left.mean(), left.std(ddof=0)])
    touched = [first + 30 > 96 and first < 120 for _, first in before.tolist()]
    kept = [tuple(s) for s, hit in zip(before.tolist(), touched, strict=True) if s[0] != 1 and not hit]
    assert [tuple(s) for s in model.starts_.tolist()] == kept
    assert sum(len(receipt.rows) for receipt in model.receipts_) == len(before) - len(kept)
    assert model._data["b"].isna().all()


def test_the_series_passed_in_is_not_changed(series, net):
    before = series.copy()
    SeriesForgetter(FineTuneRegressor(net, n_steps=2, random_state=0), CUTTER).fit(series).unlearn(customers="a")
    pd.testing.assert_frame_equal(series, before)


def test_forecasts_come_in_the_units_of_the_customer(series, net):
    model = SeriesForgetter(FineTuneRegressor(net, random_state=0), CUTTER).fit(series.iloc[:-24])
    forecast = model.predict(series.iloc[:-24])
    assert forecast.shape == (6, 3)
    assert forecast.index[0] == series.index[-24]
    assert np.abs(forecast - series.iloc[-24:-18]).mean().max() < 2.0
    with pytest.raises(ValueError, match="last 24 hours"):
        model.predict(series.iloc[:5])
    with pytest.raises(ValueError, match="no customer 'a'"):
        model.unlearn(customers="a").predict(series)


def test_requests_that_cannot_be_served_change_nothing(series, net):
    model = SeriesForgetter(FineTuneRegressor(net, n_steps=2, random_state=0), CUTTER).fit(series)
    before = dict(vars(model))
    with pytest.raises(ForgetRequestError, match="nothing was asked"):
        model.unlearn()
    with pytest.raises(UnknownIdError, match="no customer"):
        model.unlearn(customers="z")
    with pytest.raises(UnknownIdError, match="no hour"):
        model.unlearn(start="2030-01-01")
    with pytest.raises(ForgetRequestError, match="no window"):
        model.unlearn(start="2024-01-01")
    assert vars(model) == before


def test_series_that_are_not_hourly_are_refused(series, net):
    model = SeriesForgetter(FineTuneRegressor(net), CUTTER)
    for wrong in (series.to_numpy(), series.drop(series.index[7]), series.iloc[::-1]):
        with pytest.raises(ValueError, match="series must"):
            model.fit(wrong)
    with pytest.raises(ValueError, match="there is no window"):
        model.fit(series.iloc[:10])


def test_quantile_forecasters_forget(series):
    net = load_forecaster(horizon=6, max_epochs=2, n_hidden=8)
    model = SeriesForgetter(BlindspotRegressor(net, blind_steps=5, n_steps=5, random_state=0), CUTTER).fit(series)
    assert model.unlearn(customers="c").predict(series[["a", "b"]]).shape == (6, 2)


def test_a_forecaster_that_scales_windows_has_no_units():
    X = torch.randn(3, 24, 5)
    net = SequenceForecaster(5, horizon=6).eval()
    moved = X.clone()
    moved[..., 0] = 100 * X[..., 0] + 7
    torch.testing.assert_close(net(moved), 100 * net(X) + 7, rtol=1e-2, atol=0.5)


@pytest.mark.parametrize("exact", [True, False])
def test_a_saved_forecaster_holds_no_hour_and_forgets_after_it_got_its_series_back(series, net, exact):
    inner = Retrain(StandardizedRegressor(net), random_state=0) if exact else FineTuneRegressor(net, random_state=0)
    model = SeriesForgetter(inner, CUTTER).fit(series).unlearn(customers="c")
    saved = pickle.dumps(model)
    hours = series.to_numpy()
    scaled = ((series - model.scales_["mean"]) / model.scales_["scale"])[["a", "b"]].to_numpy()
    for values in (hours, hours.astype(np.float32), scaled, scaled.astype(np.float32)):
        assert not any(values[i, k].tobytes() in saved for i in range(len(values)) for k in range(values.shape[1]))
    reloaded = pickle.loads(saved)
    pd.testing.assert_frame_equal(reloaded.predict(series[["a", "b"]]), model.predict(series[["a", "b"]]))
    with pytest.raises(DataNotAttachedError, match=r"attach_data\(series\)"):
        reloaded.unlearn(customers="a")
    with pytest.raises(ValueError, match="480 hours"):
        reloaded.attach_data(series[["b", "a", "c"]])
    with pytest.raises(ValueError, match="480 hours"):
        reloaded.attach_data(series.iloc[:-1])
    edited = series.copy()
    edited.iloc[5, 0] += 1
    with pytest.raises(DataChangedError, match="edited"):
        reloaded.attach_data(edited)
    erased = series.assign(c=0.0)
    reloaded.attach_data(erased).unlearn(customers="a")
    model.unlearn(customers="a")
    assert all(torch.equal(a, b) for a, b in zip(weights(reloaded), weights(model), strict=True))
    assert reloaded._data[["a", "c"]].isna().all(axis=None)


def test_copies_in_memory_keep_the_series(series, net):
    model = SeriesForgetter(FineTuneRegressor(net, n_steps=2, random_state=0), CUTTER).fit(series)
    for twin in (copy.copy(model), copy.deepcopy(model)):
        twin.unlearn(customers="a")
    assert not model.receipts_
