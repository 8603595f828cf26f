"""Any fitted models and index sets; many methods; what is accepted in silence nowhere; persons."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlunlearn import Retrain, SISAClassifier
from mlunlearn.audit import Outputs, Predictions, audit, compare, relative_test
from mlunlearn.audit._preparation.overlap import count_twins, never_trained_on, row_hashes
from mlunlearn.audit.attacks.relative import chi_squared_divergence
from mlunlearn.audit.metrics.people import exposures, worst_off
from mlunlearn.audit.printing import short_table
from mlunlearn.exceptions import DataChangedError, UnlearningWarning

N, F = 400, 100
FITS = []


class CountedTree(DecisionTreeClassifier):
    """A tree that notes every fit."""

    def fit(self, X, y, **options):
        FITS.append(len(X))
        return super().fit(X, y, **options)


class Broken(ClassifierMixin, BaseEstimator):
    """Says NaN."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


@pytest.fixture(scope="module")
def data():
    return make_classification(800, flip_y=0.3, n_informative=5, random_state=0)


def tree(seed, X, y, kind=CountedTree):
    return kind(max_features=5, random_state=seed).fit(X, y)


def run(model, data, what=audit, **options):
    X, y = data
    options = {"train": (X[:N], y[:N]), "forget_idx": range(F), "random_state": 0, **options}
    options |= {"n_bootstrap": 20} if what is audit else {}
    return what(model, X[N:], y[N:], **options)


def test_plain_models_and_positions_are_enough(data):
    X, y = data
    assert run(tree(0, X[F:N], y[F:N]), data).verdict.decision == "as a retrained model"
    assert run(tree(0, X[:N], y[:N]), data).verdict.decision == "distinguishable from one"


def test_everything_can_be_given_and_nothing_is_trained(data):
    X, y = data
    references = [tree(seed, X[F:N], y[F:N]) for seed in (1, 2, 3)]
    model, original = tree(0, X[F:N], y[F:N]), tree(9, X[:N], y[:N])
    FITS.clear()
    report = run(model, data, references=references, original=original, exchangeable=True)
    assert FITS == []
    assert report.verdict_on_original.decision == "distinguishable from one"


def test_retained_rows_suffice_and_the_report_says_what_is_absent(data):
    X, y = data
    report = run(tree(0, X[F:N], y[F:N]), data, train=(X[F:N], y[F:N]), forget_idx=None)
    assert report.predictions.sizes == {"retain": 300, "test": 400}
    assert [s.name for s in report.verdict.statistics] == [
        "performance: mean score, unseen",
        "performance: mean score, retained",
    ]
    assert "they need the forgotten rows" in str(report)
    assert report.verdict.decision == "cannot tell at this size"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y_test": lambda y: y.astype(str)}, "the test labels are"),
        ({"y_test": lambda y: y + 7}, "the test labels are"),
        ({"y_test": lambda y: np.where(np.arange(len(y)) == 3, np.nan, y)}, "1 missing values"),
        ({"X_test": "train"}, "test rows are training rows"),
        ({"references": [LogisticRegression(), LogisticRegression()]}, "trains CountedTree and the references train"),
        ({"references": "all rows"}, "learned from forgotten rows"),
        ({"references": "twice"}, "the same seed"),
        ({"references": "copied"}, "one model is there twice"),
        ({"model": Broken()}, r"the model \(Broken\) predicts NaN"),
        ({"references": "itself"}, "are the same"),
        ({"forget_idx": [0, 900]}, "forget_idx"),
        ({"alpha": 1.5}, "alpha must be a number"),
        ({"residue": 0.0}, "residue must be a number"),
        ({"exchangeable": "no"}, "exchangeable must be True or False"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # not the address of a function
)
def test_what_was_accepted_in_silence_is_refused_before_anything_is_trained(options, message, data):
    X, y = data
    y_test, X_test = options.pop("y_test", lambda y: y)(y[N:]), X[N:]
    if options.pop("X_test", None):
        X_test = X[:N]
    model = options.pop("model", None)
    model = tree(0, X[F:N], y[F:N]) if model is None else model.fit(X[:N], y[:N])
    references = options.pop("references", None)
    if references == "all rows":
        references = [tree(seed, X[:N], y[:N]) for seed in (1, 2)]
    elif references == "twice":
        references = [tree(1, X[F:N], y[F:N]), tree(1, X[F:N], y[F:N])]
    elif references == "copied":
        references = [tree(seed, X[F:N], y[F:N]) for seed in (1, 1, 2)]
        for reference in references:
            reference.random_state = None
    elif references == "itself":
        references = [model, tree(1, X[F:N], y[F:N])]
    elif references is not None:
        references = [reference.fit(X[F:N], y[F:N]) for reference in references]
    settings = {"train": (X[:N], y[:N]), "forget_idx": range(F), **options}
    FITS.clear()
    with pytest.raises(ValueError, match=message):
        audit(model, X_test, y_test, references=references, **settings)
    assert FITS == []


def test_a_misspelt_task_and_broken_outputs_are_refused():
    y = np.array([0, 1, 0])
    said = {"test": Outputs(y)}
    with pytest.raises(ValueError, match="task must be one of"):
        Predictions("clasifier", {"test": y}, said, [said, said])
    broken = {"test": Outputs(y, np.full((3, 2), np.nan))}
    with pytest.raises(ValueError, match="the null 1 model predicts NaN"):
        Predictions("classifier", {"test": y}, said, [said, broken])


def test_matched_non_members_make_mislabelled_rows_comparable(data):
    X, y = data
    y = y.copy()
    y[:F] = 1 - y[:F]
    model = tree(0, X[F:N], y[F:N])
    alone = run(model, (X, y))
    assert not alone.about["exchangeable"]
    assert "attack" not in short_table(alone.rows, refused=True)["score"].str.cat()
    matched = run(
        model,
        (np.concatenate([X[:N], X[600:]]), np.concatenate([y[:N], y[600:]])),
        non_members=(X[N:600], 1 - y[N:600]),
    )
    assert matched.about["alike"]
    assert matched.about["nonmembers"] == "matched"
    assert matched.verdict.decision == "as a retrained model"


def test_methods_are_compared_with_controls_and_a_constant_predictor(data):
    X, y = data
    exact = Retrain(MLPClassifier((8,), max_iter=5, tol=0.0), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        original = exact.fit(X[:N], y[:N]).estimator_
        exact.unlearn(range(F))
        result = run(
            {"exact": exact, "nothing done": copy.deepcopy(original)}, data, compare, original=original, n_references=2
        )
    table = result.to_frame()
    assert list(table.index) == [
        "exact",
        "nothing done",
        "from scratch",
        "continued",
        "before unlearning",
        "constant predictor",
        "retrained",
    ]
    assert table.loc["nothing done", "distance"] == table.loc["before unlearning", "distance"]
    y_test = y[N:]
    assert table.loc["constant predictor", "accuracy test"] == np.mean(y_test == np.bincount(y[F:N]).argmax())
    assert result.plot().get_ylabel().startswith("distance")


def test_an_estimator_that_cannot_continue_is_named(data):
    X, y = data
    exact = Retrain(DecisionTreeClassifier(max_features=5), random_state=0).fit(X[:N], y[:N])
    original = exact.estimator_
    exact.unlearn(range(F))
    result = run([exact], data, compare, original=original)
    assert any("DecisionTreeClassifier cannot continue training" in note for note in result.notes)
    assert "from scratch" in result.table.index


def test_seeds_are_nested(data):
    X, y = data
    trainings = [[tree(10 * i + j, X[F:N], y[F:N]) for j in range(3)] for i in range(2)]
    row = run({"trees": trainings, "one": tree(99, X[F:N], y[F:N])}, data, compare).table.loc["trees"]
    assert row["sd of unlearnings"] > 0.0
    assert row["sd of trainings"] >= 0.0
    assert row["verdict"] != "distinguishable from one"


def test_a_comparison_of_other_requests_is_refused(data):
    X, y = data
    one, two = (Retrain(GaussianNB()).fit(X[:N], y[:N]).unlearn(range(n)) for n in (F, F + 1))
    with pytest.raises(ValueError, match="other rows"):
        run({"one": one, "two": two}, data, compare, forget_idx=None)
    with pytest.raises(ValueError, match="controls"):
        run({"retrained": one}, data, compare, forget_idx=None)
    with pytest.raises(ValueError, match="mapping of names"):
        run([one, one], data, compare, forget_idx=None)


@pytest.mark.parametrize("whole", [True, False])
def test_models_that_learned_from_other_rows_are_refused(data, whole):
    """They name the same positions, of other people."""
    X, y = data
    order = np.arange(N)[::-1]
    ours, theirs = (
        Retrain(GaussianNB(), random_state=0).fit(X[rows], y[rows]).unlearn(range(F)) for rows in (np.arange(N), order)
    )
    references = [
        Retrain(GaussianNB(), random_state=seed).fit(X[rows], y[rows], exclude=range(F))
        for seed, rows in ((1, np.arange(N)), (2, order))
    ]
    options = {"forget_idx": None} if whole else {"forget_idx": None, "train": None}
    with pytest.raises(DataChangedError, match="not those theirs learned from"):
        run({"ours": ours, "theirs": theirs}, data, compare, **options)
    with pytest.raises(DataChangedError, match="not those reference 2 learned from"):
        run(ours, data, references=references, **options)


def test_exposure_is_the_share_of_unseen_rows_that_are_less_certain():
    rng = np.random.default_rng(0)
    sizes = {"forget": 5, "retain": 40, "test": 30}
    targets = {name: rng.integers(2, size=n) for name, n in sizes.items()}

    def said():
        proba = {name: rng.dirichlet([1, 1], n) for name, n in sizes.items()}
        return {name: Outputs(p.argmax(axis=1), p) for name, p in proba.items()}

    predictions = Predictions("classifier", targets, said(), [said(), said()], said())
    table = exposures(predictions)
    own = {name: out.proba[np.arange(sizes[name]), targets[name]] for name, out in predictions.unlearned.items()}
    expected = [np.mean(own["test"] < score) for score in own["forget"]]
    assert table["unlearned"][:5].tolist() == pytest.approx(expected)
    worst = worst_off(table).set_index(["data", "rows"])
    assert worst.loc[("retain", "worst 5%"), "original"] == table["original"][5:].nlargest(2).mean()


def test_risk_is_given_by_person_and_by_class(data):
    X, y = data
    persons = {"train": np.arange(N) // 4, "test": np.arange(N) // 4}
    report = run(tree(0, X[:N], y[:N]), data, groups=persons)
    table = report.by_person()
    assert len(table) == 100
    assert (table["rows"] == 4).all()
    assert table["risk"].is_monotonic_decreasing
    assert table.index.tolist() == list(range(100))
    assert set(table["of"][table["data"] == "forget"]) == set(range(25))
    assert len(report.by_class()) == 4


def test_classes_are_named_as_the_user_named_them(data):
    X, y = data
    names = np.array(["yes", "no"])[y]
    report = run(tree(0, X[F:N], names[F:N]), (X, names))
    table = report.by_class()
    assert set(table["of"]) == {"yes", "no"}
    counted = table[table["data"] == "forget"].set_index("of")["rows"]
    assert counted["yes"] == (names[:F] == "yes").sum()
    assert table["risk"].is_monotonic_decreasing
    assert table.index.tolist() == [0, 1, 2, 3]


def test_the_risk_of_the_worst_off_is_the_difference_of_its_neighbours(data):
    X, y = data
    worst = run(tree(0, X[F:N], y[F:N]), data).worst
    assert len(worst) == 4
    assert worst["risk"].to_numpy() == pytest.approx((worst["unlearned"] - worst["retrained"]).to_numpy())


def test_twins_are_counted_and_shown(data):
    X, y = data
    X = X.copy()
    X[200:203] = X[:3]
    report = run(tree(0, X[F:N], y[F:N]), (X, y))
    assert report.about["twins"] == 3
    assert "3 forgotten rows have identical twins" in str(report)


def test_equal_rows_have_equal_hashes():
    X = np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0], [2.0, 5.0]])
    hashes = row_hashes(X)
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 3
    many = np.random.default_rng(0).integers(3, size=(3000, 6)).astype(float)
    assert len(np.unique(row_hashes(many))) == len(np.unique(many, axis=0))
    assert count_twins(X, np.array([True, False, False, False])) == 1


def test_the_kernel_divergence_is_the_largest_value_of_its_variational_form():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 2)), rng.normal(0.5, size=(12, 2))
    both = np.concatenate([x, y])
    kernel = np.exp(-((both[:, None] - both[None]) ** 2).sum(axis=2) / 2.0)

    def value(a):
        h = kernel @ a
        return 2 * (h[:12].mean() - h[12:].mean()) - np.mean(h[12:] ** 2) - 0.1 * a @ kernel @ a

    largest = chi_squared_divergence(x, y, 1.0, 0.1)
    assert all(value(rng.normal(scale=0.3, size=24)) < largest for _ in range(200))
    from scipy.optimize import minimize

    assert -minimize(lambda a: -value(a), np.zeros(24)).fun == pytest.approx(largest, rel=1e-3)


def test_the_relative_test_refuses_what_it_cannot_use():
    p = np.full((30, 2), 0.5)
    assert relative_test(p, p, p).p_value == 1.0
    with pytest.raises(ValueError, match="same rows"):
        relative_test(p, p[:20], p)
    with pytest.raises(ValueError, match="blocks need"):
        relative_test(p[:10], p[:10], p[:10])


class TestNothingIsAcceptedInSilence:
    """Every error comes before a model is trained."""

    @pytest.fixture
    def refused(self, data):
        X, y = data
        known = {
            "train": (X[:N], y[:N]),
            "forget_idx": range(F),
            "references": [tree(seed, X[F:N], y[F:N], DecisionTreeClassifier) for seed in (1, 2, 3)],
        }
        model = tree(4, X[F:N], y[F:N], DecisionTreeClassifier)

        def refuse(match, X_test=X[N:], y_test=y[N:], model=model, **given):
            with pytest.raises(ValueError, match=match):
                audit(model, X_test, y_test, random_state=0, **{**known, **given})

        return refuse

    def test_a_label_that_no_training_row_has(self, refused, data):
        refused("labels", y_test=np.where(np.arange(len(data[1]) - N) == 5, 9, data[1][N:]))

    @pytest.mark.parametrize("change", [pd.DataFrame, np.float32, sparse.csr_matrix])
    def test_training_rows_in_another_container(self, refused, data, change):
        X, y = data
        rows = X[F:N].astype(change) if change is np.float32 else change(X[F:N])
        refused("of the test rows are training rows", X_test=rows, y_test=y[F:N])

    @pytest.mark.parametrize("rows", [slice(F), slice(F, N)])
    def test_non_members_that_are_training_rows(self, refused, data, rows):
        refused("non_members rows are training rows", non_members=(data[0][rows], data[1][rows]))

    def test_one_hot_labels(self, refused, data):
        refused("one label for each row", y_test=np.eye(2, dtype=int)[data[1][N:]])

    @pytest.mark.parametrize(
        ("learner", "match"),
        [(DecisionTreeClassifier(max_depth=2), "max_depth"), (GaussianNB(), "GaussianNB")],
    )
    def test_references_of_another_recipe_inside_a_pipeline(self, refused, data, learner, match):
        X, y = data
        model = Retrain(make_pipeline(StandardScaler(), DecisionTreeClassifier()), random_state=0)
        model.fit(X[:N], y[:N]).unlearn(range(F))
        pipelines = [make_pipeline(StandardScaler(), copy.deepcopy(learner)).fit(X[F:N], y[F:N]) for _ in range(2)]
        refused(match, model=model, forget_idx=None, references=pipelines)

    def test_one_model_is_no_sequence_of_references(self, refused, data):
        refused("references must be a sequence", references=tree(9, data[0][F:N], data[1][F:N]))
        refused("n_references must be a whole number", n_references="3")
        refused("alpha must be a number between", alpha=1.0)

    def test_a_column_of_labels_is_taken(self, data):
        X, y = data
        model = Retrain(DecisionTreeClassifier(), random_state=0).fit(X[:N], y[:N]).unlearn(range(F))
        reports = [
            audit(model, X[N:], labels, train=(X[:N], y[:N]), n_references=2, n_bootstrap=2, random_state=0)
            for labels in (y[N:], y[N:, None])
        ]
        assert str(reports[0].verdict) == str(reports[1].verdict)

    def test_what_compare_cannot_compare(self, data):
        X, y = data
        model = tree(4, X[F:N], y[F:N])
        for models in (model, {}, [], {"a": []}, {"a": [[]]}, {"a": [model, [model]]}):
            with pytest.raises(ValueError, match=r"model|sequence"):
                compare(models, X[N:], y[N:], train=(X[:N], y[:N]), forget_idx=range(F))

    def test_retained_rows_alone_cannot_be_favourable(self, data):
        X, y = data
        model = Retrain(DecisionTreeClassifier(), random_state=0).fit(X[:N], y[:N]).unlearn(range(F))
        report = audit(model, X[N:], y[N:], n_references=3, n_bootstrap=2, random_state=0)
        assert "without the forgotten rows no audit can be favourable" in str(report.verdict)


class TestReferencesAreMadeAsTheModelWas:
    @pytest.fixture
    def sharded(self, data):
        X, y = data
        model = SISAClassifier(DecisionTreeClassifier(), n_shards=3, random_state=0)
        return model.fit(X[:N], y[:N]).unlearn(range(F))

    def test_those_of_a_sharded_model_are_sharded(self, data, sharded, monkeypatch):
        trained = []
        fit = SISAClassifier.fit

        def noting(self, X, y, **options):
            trained.append((self.n_shards, options.get("exclude", ())))
            return fit(self, X, y, **options)

        monkeypatch.setattr(SISAClassifier, "fit", noting)
        run(sharded, data, forget_idx=None, n_references=2)
        assert [(shards, list(exclude)) for shards, exclude in trained] == [(3, list(range(F)))] * 2 + [(3, [])]

    def test_those_of_another_algorithm_are_refused_where_they_are_passed(self, data, sharded):
        X, y = data
        single = [
            Retrain(DecisionTreeClassifier(), random_state=seed).fit(X[:N], y[:N], exclude=range(F)) for seed in (1, 2)
        ]
        with pytest.raises(ValueError, match="another algorithm, from which even an exact model differs"):
            run(sharded, data, forget_idx=None, references=single)

    def test_a_comparison_names_models_of_another_algorithm(self, data, sharded):
        X, y = data
        single = Retrain(DecisionTreeClassifier(), random_state=1).fit(X[:N], y[:N]).unlearn(range(F))
        both = {"single": single, "sharded": sharded}
        compared = compare(both, X[N:], y[N:], train=(X[:N], y[:N]), n_references=2, random_state=0)
        assert "sharded: other algorithms than Retrain" in str(compared)
        assert "single: other" not in str(compared)

    def test_a_comparison_names_models_in_which_something_else_learns(self, data):
        X, y = data
        both = {
            name: Retrain(inside, random_state=1).fit(X[:N], y[:N]).unlearn(range(F))
            for name, inside in {"tree": DecisionTreeClassifier(), "bayes": make_pipeline(GaussianNB())}.items()
        }
        compared = compare(both, X[N:], y[N:], train=(X[:N], y[:N]), n_references=2, random_state=0)
        assert "bayes: other algorithms" in str(compared)
        assert "tree: other" not in str(compared)


class TestUnseenRowsThatWereTrainedOn:
    @pytest.fixture
    def models(self, data):
        X, y = data
        return [tree(seed, X[F:N], y[F:N], DecisionTreeClassifier) for seed in range(4)]

    def test_few_are_counted_and_left_out(self, data, models):
        X, y = data
        X_test, y_test = np.concatenate([X[N:], X[:20]]), np.concatenate([y[N:], y[:20]])
        given = {"train": (X[:N], y[:N]), "forget_idx": range(F), "references": models[1:], "n_bootstrap": 2}
        with pytest.warns(UnlearningWarning, match="20 of 420 test rows are training rows as well; they are left out"):
            report = audit(models[0], X_test, y_test, random_state=0, **given)
        assert report.predictions.sizes["test"] == 400
        assert str(report.verdict) == str(audit(models[0], X[N:], y[N:], random_state=0, **given).verdict)

    def test_groups_stay_with_their_rows(self, data, models):
        X, y = data
        X_test, y_test = np.concatenate([X[:20], X[N:]]), np.concatenate([y[:20], y[N:]])
        groups = {"train": np.arange(N) // 4, "test": np.arange(420) // 20}
        with pytest.warns(UnlearningWarning, match="left out"):
            report = audit(
                models[0], X_test, y_test, train=(X[:N], y[:N]), forget_idx=range(F), references=models[1:],
                groups=groups, n_bootstrap=2, random_state=0,
            )  # fmt: skip
        assert len(np.unique(report.predictions.groups["test"])) == 20

    def test_rows_that_coincide_by_nature_stay(self):
        rng = np.random.default_rng(0)
        X = rng.integers(3, size=(800, 4)).astype(float)  # 81 different rows
        with pytest.warns(UnlearningWarning, match="they stay, since training rows coincide"):
            kept = never_trained_on(X[:N], X[N:], "test")
        assert kept.all()

    def test_none_is_no_warning(self, data):
        assert never_trained_on(data[0][:N], data[0][N:], "test").all()


def test_few_references_are_said_to_be_few(data):
    X, y = data
    model, *references = [tree(seed, X[F:N], y[F:N], DecisionTreeClassifier) for seed in range(6)]
    reports = [
        run(model, data, references=references[:k], original=tree(9, X[:N], y[:N], DecisionTreeClassifier))
        for k in (2, 5)
    ]
    assert "With 2 references little is known of what is chance" in str(reports[0])
    assert "little is known" not in str(reports[1])
