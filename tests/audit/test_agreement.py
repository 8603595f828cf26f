"""Distances between the outputs of two models against closed forms and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax

from mlunlearn.audit.metrics.agreement import activation_distance, completeness, js_divergence, zrf

LN2 = math.log(2.0)
ONE_HOT = np.eye(2)
SWAPPED = np.eye(2)[::-1]


@st.composite
def two_outputs(draw):
    """Two models' probabilities on the same samples, exact zeros and subnormal entries included."""
    shape = (2, draw(st.integers(1, 5)), draw(st.integers(2, 4)))
    entries = st.one_of(st.just(0.0), st.floats(0.0, 1.0), st.just(5e-324))
    raw = draw(arrays(np.float64, shape, elements=entries))
    raw[..., 0] += raw.sum(axis=-1) < 1e-3
    return raw / raw.sum(axis=-1, keepdims=True)


def confident_and_uniform(n_classes):
    """One output with a logit 12 above all others, and the uniform one."""
    logits = np.zeros((1, n_classes))
    logits[0, 0] = 12.0
    return softmax(logits, axis=1), np.full((1, n_classes), 1.0 / n_classes)


@settings(deadline=None)
@given(two_outputs())
def test_divergences_are_symmetric_and_bounded(outputs):
    p, q = outputs
    for distance, upper in [
        (js_divergence, LN2),
        (activation_distance, math.sqrt(2.0)),
        (lambda a, b: activation_distance(a, b, norm="l1"), 2.0),
    ]:
        assert distance(p, q) == pytest.approx(distance(q, p), abs=1e-14)
        assert 0.0 <= distance(p, q) <= upper + 1e-12
        assert distance(p, p) == 0.0
    assert 1.0 - LN2 <= zrf(p, q) <= 1.0
    assert completeness(p, q) == completeness(q, p)


@settings(deadline=None)
@given(two_outputs(), st.randoms())
def test_divergences_ignore_the_order_of_samples_and_classes(outputs, random):
    p, q = outputs
    rows = random.sample(range(p.shape[0]), p.shape[0])
    columns = random.sample(range(p.shape[1]), p.shape[1])
    p2, q2 = p[rows][:, columns], q[rows][:, columns]
    for measure in (js_divergence, activation_distance, zrf):
        assert measure(p2, q2) == pytest.approx(measure(p, q), abs=1e-12)


def test_js_divergence_agrees_with_scipy():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), size=(2, 40))
    expected = np.mean([jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)])
    assert js_divergence(p, q) == pytest.approx(expected, rel=1e-10)


def test_disjoint_outputs_are_at_the_largest_distance():
    assert js_divergence(ONE_HOT, SWAPPED) == pytest.approx(LN2, abs=1e-15)
    assert js_divergence(ONE_HOT, SWAPPED, normalized=True) == pytest.approx(1.0)
    assert activation_distance(ONE_HOT, SWAPPED) == pytest.approx(math.sqrt(2.0))
    assert activation_distance(ONE_HOT, SWAPPED, norm="l1") == pytest.approx(2.0)
    assert zrf(ONE_HOT, SWAPPED) == pytest.approx(1.0 - LN2)
    assert completeness(ONE_HOT, SWAPPED) == 0.0


def test_distances_are_means_over_samples():
    half = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert js_divergence(ONE_HOT, half) == pytest.approx(LN2 / 2)
    assert activation_distance(ONE_HOT, half) == pytest.approx(math.sqrt(2.0) / 2)
    assert completeness(ONE_HOT, half) == 0.5


@pytest.mark.parametrize(
    ("n_classes", "official", "definition"), [(10, 0.782, 0.475), (20, 0.887, 0.408), (100, 0.977, 0.337)]
)
def test_zrf_reproduces_the_printed_pairs(n_classes, official, definition):
    confident, uniform = confident_and_uniform(n_classes)
    assert zrf(confident, uniform, variant="official") == pytest.approx(official, abs=1e-3)
    assert zrf(confident, uniform) == pytest.approx(definition, abs=1e-3)


def test_zrf_averages_the_scores_of_several_initialisations():
    confident, uniform = confident_and_uniform(10)
    for variant in ("definition", "official"):
        single = [zrf(confident, q, variant=variant) for q in (uniform, confident)]
        together = zrf(confident, np.stack([uniform, confident]), variant=variant)
        assert together == pytest.approx(np.mean(single))


@pytest.mark.parametrize("variant", ["definition", "official"])
def test_zrf_of_a_random_model_is_one(variant):
    p = np.random.default_rng(1).dirichlet(np.ones(5), size=30)
    assert zrf(p, p, variant=variant) == pytest.approx(1.0)


def test_official_zrf_is_finite_for_zero_probabilities():
    assert math.isfinite(zrf(ONE_HOT, SWAPPED, variant="official"))


def test_completeness_compares_labels_of_any_type():
    assert completeness(["a", "b", "c", "d"], ["a", "b", "c", "a"]) == 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: completeness([0, 1], [0, 1, 2]), "same shape"),
        (lambda: completeness([], []), "not empty"),
        (lambda: activation_distance(ONE_HOT, ONE_HOT, norm="max"), "norm must be one of"),
        (lambda: js_divergence(ONE_HOT, np.eye(3)), "same shape"),
        (lambda: js_divergence([[2.0, -1.0]], [[0.5, 0.5]]), "apply softmax"),
        (lambda: js_divergence([[0.2, 0.2]], [[0.5, 0.5]]), "must sum to 1"),
        (lambda: js_divergence([[1.0]], [[1.0]]), "one column per class"),
        (lambda: js_divergence([[np.nan, 1.0]], [[0.5, 0.5]]), "NaN or infinity"),
        (lambda: js_divergence([0.5, 0.5], [0.5, 0.5]), "must be 2-D"),
        (lambda: zrf(ONE_HOT, np.stack([np.eye(3)] * 2)), "same shape"),
        (lambda: zrf(ONE_HOT, ONE_HOT, variant="paper"), "variant must be"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
