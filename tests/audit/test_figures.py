"""Figures that can be read: names apart from each other, panels on given axes, sums of what receipts say."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.naive_bayes import GaussianNB

from mlunlearn import Retrain, SISAClassifier
from mlunlearn.audit import Audit, Outputs, Predictions, plot_costs
from mlunlearn.audit.figure import draw_comparison

NAMES = ("SISA, 3 shards", "SCRUB", "LoTUS", "fine-tuning", "SalUn", "IAU", "SSD", "continued", "constant predictor")


@pytest.mark.parametrize("distances", ["equal", "near", "spread"])
def test_names_of_methods_with_near_values_do_not_overlap(distances):
    rng = np.random.default_rng(0)
    width = {"equal": 0.0, "near": 0.01, "spread": 1.0}[distances]
    table = pd.DataFrame(
        {
            "verdict": "cannot tell at this size",
            "distance": 0.1 + width * rng.random(len(NAMES)),
            "seconds": [*(1.0 + 0.1 * rng.random(len(NAMES) - 1)), np.nan],
        },
        index=list(NAMES),
    )
    table.loc["retrained"] = ["", 0.1, 5.0]
    ax = draw_comparison(table)
    ax.figure.draw_without_rendering()
    # of the text alone, without the line to its point
    boxes = {text.get_text(): Text.get_window_extent(text) for text in ax.texts if text.get_text() in NAMES}
    assert set(boxes) == set(NAMES)
    assert not [pair for pair in combinations(NAMES, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    for box in boxes.values():
        assert ax.figure.bbox.x0 <= box.x0
        assert box.x1 <= ax.figure.bbox.x1 + 1.0


def test_costs_are_the_sums_of_the_receipts():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 2
    models = {
        "sharded": SISAClassifier(GaussianNB(), n_shards=4, random_state=0).fit(X, y),
        "retrained": Retrain(GaussianNB(), random_state=0).fit(X, y),
    }
    with pytest.raises(ValueError, match="served no request"):
        plot_costs(models)
    for row in (3, 30, 50):
        for model in models.values():
            model.unlearn([row])
    given = Figure().subplots()
    assert plot_costs(models, given) is given
    lines = {line.get_label(): line.get_ydata() for line in given.lines}
    assert lines["training anew each time"].tolist() == [0, 1, 2, 3]
    assert lines["retrained"] == pytest.approx(np.arange(4))
    shares = [receipt.retrained_share for receipt in models["sharded"].receipts_]
    assert lines["sharded"] == pytest.approx([0.0, *np.cumsum(shares)])
    assert plot_costs(models["sharded"]).get_legend_handles_labels()[1][1] == "SISAClassifier"


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_points_on_the_axis_are_seen_whole_and_no_words_lie_over_them(floor):
    table = pd.DataFrame(
        {
            "verdict": ["as a retrained model", "distinguishable from one", ""],
            "distance": [0.0, 0.5, floor],
            "seconds": [0.1, 1.0, 2.0],
        },
        index=["exact", "other", "retrained"],
    )
    ax = draw_comparison(table)
    ax.figure.draw_without_rendering()
    points = {line.get_label(): line for line in ax.lines}
    x, y = ax.transData.transform(points["as a retrained model"].get_xydata()[0])
    radius = points["as a retrained model"].get_markersize() / 2 * ax.figure.dpi / 72
    assert y - radius > ax.bbox.y0
    inside = [text for text in ax.texts if text.get_text().strip() == "retraining"]
    assert len(inside) == len(ax.texts) - 2
    assert not any(Text.get_window_extent(text).contains(x, y) for text in inside)
    assert "distance between retrained models" in ax.get_legend_handles_labels()[1]


def test_where_chance_explains_nothing_the_share_of_rows_is_written():
    y = np.zeros(50, dtype=int)
    right, other = {"test": Outputs(y)}, {"test": Outputs(np.where(np.arange(50) < 3, 1, 0))}
    report = Audit.of(
        Predictions("classifier", {"test": y}, other, [right, right], deterministic=True), n_bootstrap=2, random_state=0
    )
    words = [text.get_text() for text in report.plot().axes[0].texts]
    assert words == ["6.0% of rows →"]


def test_one_panel_on_given_axes():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1.0, 1.0], size=(4, 80))
    said = [{"forget": Outputs(p[:30].argmax(1), p[:30]), "test": Outputs(p[30:].argmax(1), p[30:])} for p in proba]
    y = rng.integers(2, size=80)
    targets = {"forget": y[:30], "test": y[30:]}
    report = Audit.of(Predictions("classifier", targets, said[0], said[1:]), n_bootstrap=2, random_state=0)
    axes = Figure().subplots(1, 2)
    for panel, ax, label in zip(("verdict", "curves"), axes, ("difference", "unseen rows"), strict=True):
        assert report.plot(ax=ax, panel=panel) is ax.figure
        assert ax.get_xlabel().startswith(label)
    with pytest.raises(ValueError, match="there is no panel 'costs'"):
        report.plot(ax=axes[0], panel="costs")
    without = {"test": y[30:]}
    alone = Predictions("classifier", without, {"test": said[0]["test"]}, [{"test": one["test"]} for one in said[1:]])
    with pytest.raises(ValueError, match="there is no panel 'curves'"):
        Audit.of(alone, n_bootstrap=2, random_state=0).plot(ax=axes[0], panel="curves")
