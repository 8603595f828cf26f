"""Learners that do not depend on a seed: references agree, and one row that is answered otherwise decides."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from mlunlearn import Retrain
from mlunlearn.audit import Audit, Outputs, Predictions, audit, compare
from mlunlearn.audit.identity import identity_statistic


def split(load, n_train, seed=0):
    X, y = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = X[order], y[order]
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def fitted(learner, X, y, rows):
    return learner().fit(X[rows], y[rows])


@pytest.mark.parametrize(
    ("learner", "load", "n_train"),
    [(lambda: KNeighborsClassifier(1), load_breast_cancer, 400), (Ridge, load_diabetes, 300)],
)
def test_a_learner_without_a_seed_is_judged_by_equality(learner, load, n_train):
    X, y, X_test, y_test = split(load, n_train)
    forget, everything = np.arange(60), np.arange(n_train)
    retained = everything[60:]
    given = {
        "train": (X, y),
        "forget_idx": forget,
        "original": fitted(learner, X, y, everything),
        "references": [fitted(learner, X, y, retained) for _ in range(3)],
        "random_state": 0,
    }

    exact = audit(fitted(learner, X, y, retained), X_test, y_test, **given)
    nothing = audit(fitted(learner, X, y, everything), X_test, y_test, **given)
    # half of the forgotten rows are left in
    part = audit(fitted(learner, X, y, everything[30:]), X_test, y_test, **given)

    assert exact.verdict.decision == "as a retrained model"
    assert nothing.verdict.decision == part.verdict.decision == "distinguishable from one"
    assert [statistic.name.split(":")[0] for statistic in exact.verdict.statistics] == ["identity"]
    assert exact.verdict.residue < 0.35
    assert "does not depend on the seed" in str(exact)
    assert "little is known of what is chance" not in str(exact)


def test_the_residue_is_the_share_that_mostly_holds_a_row_whose_answer_changes():
    y = np.zeros(50, dtype=int)
    right, wrong = Outputs(y), Outputs(np.where(np.arange(50) < 3, 1, 0))
    predictions = Predictions(
        "classifier",
        {"forget": y, "test": y},
        {"forget": right, "test": right},
        [{"forget": right, "test": right}] * 5,
        original={"forget": wrong, "test": right},
    )

    verdict = Audit.of(predictions, random_state=0).verdict

    # three rows show: of a random share s of the forgotten rows none of them is there with chance (1 - s)^3
    assert (1.0 - verdict.residue) ** 3 == pytest.approx(0.2)
    assert verdict.decision == "as a retrained model"


def test_rounding_is_no_difference_whatever_the_units():
    rng = np.random.default_rng(0)
    values, units = rng.normal(size=200), 1e7
    said = {"test": Outputs(units * values)}
    rounded = {"test": Outputs(units * values + units * 1e-8 * rng.normal(size=200))}
    other = {"test": Outputs(units * (values + 1e-3 * rng.normal(size=200)))}

    def judged(ours, references):
        return Audit.of(
            Predictions("regressor", {"test": units * values}, ours, references), random_state=0, n_bootstrap=1
        ).verdict

    assert judged(rounded, [said] * 3).statistics[0].difference.p_value == 1.0
    assert judged(said, [said, rounded, said]).statistics[0].difference.p_value == 1.0
    assert judged(other, [said] * 3).decision == "distinguishable from one"


@pytest.mark.parametrize("n_references", [2, 3, 5])
def test_references_that_agree_by_chance_are_allowed_for(n_references):
    """The p-value is the chance that one more differs from K that agree, over the prior that is stated."""
    rng = np.random.default_rng(1)
    n_repetitions = 400_000
    common = np.where(rng.random(n_repetitions) < 0.5, 1.0, rng.random(n_repetitions))
    agree = np.all(rng.random((n_references, n_repetitions)) < common, axis=0)
    differs = rng.random(n_repetitions) >= common
    chance = differs[agree].mean()
    y = np.zeros(4, dtype=int)
    same, other = {"test": Outputs(y)}, {"test": Outputs(np.array([0, 0, 0, 1]))}

    statistic = identity_statistic(Predictions("classifier", {"test": y}, other, [same] * n_references), [other], same)

    assert statistic.difference.p_value == pytest.approx(chance, abs=4 * np.sqrt(chance / agree.sum()))
    assert statistic.value == 0.25


def test_two_references_that_agree_do_not_decide_alone():
    X, y, X_test, y_test = split(load_breast_cancer, 400)
    model = Retrain(KNeighborsClassifier(1)).fit(X, y).unlearn(range(80))

    report = audit(model, X_test, y_test, train=(X, y), n_references=2, random_state=0)

    assert [s.name.split(":")[0] for s in report.verdict.statistics] == ["membership", "identity"]
    assert "That takes 3 of them, and there are 2." in str(report)


def test_small_trees_of_different_seeds_may_agree_by_chance():
    X, y, X_test, y_test = split(load_wine, 120)
    retained = np.arange(20, 120)

    def tree(seed, rows=retained):
        return DecisionTreeClassifier(random_state=seed).fit(X[rows], y[rows])

    references = [tree(seed) for seed in range(1, 6)]
    answers = [reference.predict(X_test).tobytes() for reference in references]
    assert len(set(answers)) < len(answers)  # some are one tree

    verdict = audit(
        tree(0), X_test, y_test, train=(X, y), forget_idx=range(20), references=references, random_state=0
    ).verdict

    assert verdict.decision != "distinguishable from one"


def test_a_model_given_twice_without_a_seed_is_still_refused():
    X, y, X_test, y_test = split(load_wine, 120)
    retained = np.arange(20, 120)
    trees = [DecisionTreeClassifier(max_features=2, random_state=s).fit(X[retained], y[retained]) for s in range(4)]
    again = [tree.set_params(random_state=None) for tree in (*trees[1:], DecisionTreeClassifier())]
    again[-1] = type(trees[1])(max_features=2).fit(X[retained], y[retained])
    again[-1].tree_ = trees[1].tree_

    with pytest.raises(ValueError, match=r"one model is there twice.*random_state of its own"):
        audit(trees[0], X_test, y_test, train=(X, y), forget_idx=range(20), references=again)


def test_a_comparison_of_a_learner_without_a_seed():
    X, y, X_test, y_test = split(load_breast_cancer, 400)
    exact = Retrain(KNeighborsClassifier(1)).fit(X, y).unlearn(range(80))

    comparison = compare({"exact": exact}, X_test, y_test, train=(X, y), random_state=0)

    assert comparison.to_frame().loc[["exact", "before unlearning"], "identity"].gt(0).tolist() == [False, True]
    assert "does not depend on the seed" in str(comparison)
    decisions = [comparison.verdicts[name].decision for name in ("exact", "before unlearning")]
    assert decisions == ["as a retrained model", "distinguishable from one"]


def test_saved_and_read_again(tmp_path):
    X, y, X_test, y_test = split(load_breast_cancer, 400)
    model = Retrain(KNeighborsClassifier(1)).fit(X, y).unlearn(range(80))
    report = audit(model, X_test, y_test, train=(X, y), random_state=0)

    assert Audit.load(report.save(tmp_path)).verdict == report.verdict
