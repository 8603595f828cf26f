"""The audit from model to file: perfect unlearners, one that does nothing, and everything that must be refused."""

import base64
import copy
import json
import pickle
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO

import matplotlib.image
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.datasets import load_iris, make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlunlearn import DataChangedError, Retrain, SISAClassifier, SISARegressor
from mlunlearn.audit import Audit, audit, compare
from mlunlearn.audit._preparation.references import _recipe
from mlunlearn.base import UnlearnerMixin
from mlunlearn.receipts import Work

N_TRAIN, N_FORGET = 400, 100
FITS = []


class CountingTree(DecisionTreeClassifier):
    """A tree that notes every fit."""

    def fit(self, X, y, **options):
        FITS.append(len(X))
        return super().fit(X, y, **options)


class DoesNothing(UnlearnerMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Says that it forgot."""

    guarantee = "approximate"

    def __init__(self, estimator, random_state=None):
        self.estimator = estimator
        self.random_state = random_state

    def _fit(self):
        block = self._data.block(self._retained())
        self.estimator_ = clone(self.estimator).set_params(random_state=self.seed_).fit(block.X, block.y)

    def _unlearn(self, rows):
        return Work(samples=0, full=1)

    def predict(self, X):
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        return self.estimator_.predict_proba(X)


@pytest.fixture(scope="module")
def data():
    """Train and test data with label noise: a model that learns it by heart knows what it saw."""
    return make_classification(800, flip_y=0.3, n_informative=5, random_state=0)


def tree():
    return DecisionTreeClassifier(max_features=5)


def unlearned(model, data, rows=N_FORGET):
    X, y = data
    return model.fit(X[:N_TRAIN], y[:N_TRAIN]).unlearn(range(rows))


def run(model, data, **options):
    X, y = data
    options = {"train": (X[:N_TRAIN], y[:N_TRAIN]), "random_state": 0, "n_bootstrap": 60, **options}
    return audit(model, X[N_TRAIN:], y[N_TRAIN:], **options)


@pytest.fixture(scope="module")
def report(data):
    return run(unlearned(Retrain(tree(), random_state=0), data), data)


@pytest.mark.parametrize(
    "perfect", [Retrain(tree()), SISAClassifier(tree(), n_shards=3, aggregation="mean")], ids=lambda m: type(m).__name__
)
def test_a_perfect_unlearner_is_called_distinguishable_as_rarely_as_stated(perfect, data):
    """Ten seeds at 5 %: more than three alarms happen with a chance of 0.1 %."""
    X, y = data
    models = {f"seed {seed}": unlearned(clone(perfect).set_params(random_state=seed), data) for seed in range(10)}
    found = compare(models, X[N_TRAIN:], y[N_TRAIN:], train=(X[:N_TRAIN], y[:N_TRAIN]), random_state=1000).verdicts
    assert sum(found[name].decision == "distinguishable from one" for name in models) <= 3


def test_a_retrained_model_gets_a_favourable_verdict_and_the_original_does_not(report):
    """A chance of 5 % that another seed fails."""
    assert report.verdict.decision == "as a retrained model"
    assert report.verdict.residue < 1.0
    assert report.verdict_on_original.decision == "distinguishable from one"
    assert report["accuracy", "forget"].original.estimate > report["accuracy", "forget"].unlearned.high


@pytest.mark.parametrize("estimator", [tree(), DecisionTreeClassifier(max_depth=12, max_features=3)])
def test_an_unlearner_that_did_nothing_is_caught(estimator, data):
    report = run(unlearned(DoesNothing(estimator, random_state=0), data), data)
    for key in [
        ("accuracy", "forget"),
        ("accuracy gap", "forget"),
        ("average gap", "all"),
        ("forgetting score", "forget"),
    ]:
        assert report[key].unlearned == report[key].original
    assert report.verdict == report.verdict_on_original
    assert report.verdict.decision == "distinguishable from one"
    assert report.verdict.found[0].name.startswith("membership")
    assert report.verdict.found[0].direction == "the forgotten rows are still recognised"


def test_a_copy_of_a_nearest_neighbour_model_is_caught_although_no_seed_matters(data):
    class Neighbours(DoesNothing):
        def _fit(self):
            block = self._data.block(self._retained())
            self.estimator_ = clone(self.estimator).fit(block.X, block.y)

    report = run(unlearned(Neighbours(KNeighborsClassifier(1)), data), data)
    assert report["accuracy gap", "forget"].null == (0.0, 0.0, 0.0)
    assert report.verdict.decision == "distinguishable from one"
    assert any("does not depend on the seed" in note for note in report.notes)


def test_without_train_nothing_is_said_about_forgotten_rows(data):
    model = unlearned(Retrain(tree(), random_state=0), data)
    for _ in range(2):
        report = run(model, data, train=None)
        frame = report.to_frame()
        assert set(frame["data"]) == {"retain", "test"}
        assert frame["original"].isna().all()
        assert frame["null"].notna().all()
        assert "membership" in report.verdict.absent[0]
        assert report.verdict.decision == "cannot tell at this size"
        assert sum("pass train=(X, y)" in what for what in report.not_measured) == 2
        assert report.predictions.sizes["retain"] == model.receipts_[-1].n_retained
        model.unlearn(range(N_FORGET + 10))


def test_rows_blanked_in_texts_are_not_asked_about():
    texts = np.array([f"{word} number {i % 7}" for i in range(40) for word in ("good", "bad")], dtype=object)
    y = np.array(["yes", "no"] * 40)
    inner = make_pipeline(HashingVectorizer(n_features=32, alternate_sign=False), MultinomialNB())
    model = Retrain(inner, random_state=0).fit(texts, y).unlearn([0, 1]).unlearn([4, 5])
    other = np.array([f"{text} again {i}" for i, text in enumerate(texts)], dtype=object)
    assert audit(model, other, y, n_bootstrap=5).predictions.sizes == {"retain": 76, "test": 80}
    assert audit(model, other, y, train=(texts, y), n_bootstrap=5).predictions.sizes["forget"] == 4


def test_the_model_is_left_alone_and_its_data_not_copied(data, monkeypatch):
    model = unlearned(Retrain(tree(), random_state=0), data)
    before, held = pickle.dumps(model), vars(model)["_data"]
    arrays = (held.X, held.y)
    asked = []
    predict = Retrain.predict
    monkeypatch.setattr(Retrain, "predict", lambda self, X: asked.append((self, X)) or predict(self, X))
    run(model, data, train=None)
    assert pickle.dumps(model) == before
    assert vars(model)["_data"] is held
    assert (held.X, held.y) == arrays if arrays is None else held.X is arrays[0] and held.y is arrays[1]
    assert any(X is held.X for asked_model, X in asked if asked_model is model)


def test_the_same_seed_gives_the_same_audit_and_another_seed_another(data):
    model = unlearned(Retrain(tree(), random_state=0), data)
    first, again, other = (run(model, data, random_state=seed).to_frame() for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_references_never_share_the_model_s_seed(data):
    model = unlearned(Retrain(tree(), random_state=0), data)
    seeds = run(model, data, n_references=4).about["seeds"]
    assert len({seeds["unlearned"], *seeds["references"]}) == 5


@pytest.fixture(scope="module")
def model(data):
    return unlearned(Retrain(CountingTree(), random_state=0), data)


class TestRefused:
    """Errors come before anything is trained."""

    @pytest.fixture(autouse=True)
    def _nothing_is_trained(self, model):
        FITS.clear()
        yield
        assert FITS == []

    def references(self, data, *estimators, forgotten=range(N_FORGET), seeds=(11, 12)):
        X, y = data
        return [
            Retrain(estimator, random_state=seed).fit(X[:N_TRAIN], y[:N_TRAIN], exclude=forgotten)
            for estimator, seed in zip(estimators, seeds, strict=True)
        ]

    def test_other_settings_than_seeds(self, model, data):
        two = self.references(data, tree(), DecisionTreeClassifier(max_depth=3))
        with pytest.raises(ValueError, match="estimator__max_depth"):
            run(model, data, references=two)

    def test_another_recipe_than_the_model_s(self, model, data):
        with pytest.raises(ValueError, match="estimator__max_features"):
            run(model, data, references=self.references(data, tree(), tree()))

    def test_another_original(self, model, data):
        two = self.references(data, *[DecisionTreeClassifier()] * 2)
        with pytest.raises(ValueError, match="one recipe"):
            run(model, data, references=two, original=Retrain(LogisticRegression()))

    def test_equal_seeds(self, data):
        model = unlearned(Retrain(tree(), random_state=0), data)
        for seeds in ((11, 11), (0, 1)):
            with pytest.raises(ValueError, match="the same seed"):
                run(model, data, references=self.references(data, tree(), tree(), seeds=seeds))

    def test_another_forget_set(self, data):
        model = unlearned(Retrain(tree(), random_state=0), data)
        with pytest.raises(ValueError, match=r"exclude=model\.forgotten_"):
            run(model, data, references=self.references(data, tree(), tree(), forgotten=range(50)))

    def test_a_single_reference(self, model, data):
        with pytest.raises(ValueError, match="at least two"):
            run(model, data, references=[model])
        with pytest.raises(ValueError, match="n_references"):
            run(model, data, n_references=1)

    def test_data_that_do_not_fit(self, model, data):
        X, y = data
        with pytest.raises(ValueError, match="fitted on 400"):
            run(model, data, train=(X[:300], y[:300]))
        with pytest.raises(DataChangedError, match="are not those"):
            run(model, data, train=(X[:N_TRAIN] + 1.0, y[:N_TRAIN]))
        with pytest.raises(ValueError, match="features"):
            audit(model, X[N_TRAIN:, :3], y[N_TRAIN:], train=(X[:N_TRAIN], y[:N_TRAIN]))
        with pytest.raises(ValueError, match="one target for each row"):
            audit(model, X[N_TRAIN:], y[:5])
        with pytest.raises(ValueError, match=r"train must be \(X, y\)"):
            run(model, data, train=X)
        with pytest.raises(ValueError, match="unseen must be"):
            run(model, data, unseen=X)

    def test_groups_that_do_not_fit(self, model, data):
        for groups, message in [
            ({"forget": np.zeros(100)}, "there is data for"),
            ({"train": np.zeros(3), "test": np.zeros(400)}, "must have shape"),
            ({"train": np.arange(400)}, "both of them or neither"),
        ]:
            with pytest.raises(ValueError, match=message):
                run(model, data, groups=groups)

    def test_models_that_cannot_be_audited(self, data):
        X, y = data
        with pytest.raises(TypeError, match="has no predict"):
            run(object(), data)
        with pytest.raises(ValueError, match="holds no training data"):
            run(DummyClassifier().fit(X, y), data, train=None)
        with pytest.raises(ValueError, match="nothing has been forgotten"):
            run(Retrain(tree()).fit(X[:N_TRAIN], y[:N_TRAIN]), data)

    def test_models_that_came_trained(self, data):
        X, y = data
        model = DoesNothing(FrozenEstimator(tree().fit(X, y)))
        model.n_samples_fit_, model._forgotten = N_TRAIN, np.arange(5)
        with pytest.raises(ValueError, match="FrozenEstimator"):
            run(model, data)

    def test_a_reloaded_model_without_data(self, model, data):
        with pytest.raises(ValueError, match="holds no training data"):
            run(pickle.loads(pickle.dumps(model)), data, train=None)

    def test_weights_left_out(self, data):
        X, y = data
        weighted = Retrain(tree()).fit(X[:N_TRAIN], y[:N_TRAIN], np.ones(N_TRAIN)).unlearn([0])
        with pytest.raises(ValueError, match="sample_weight"):
            run(weighted, data)


def test_models_can_be_given(data):
    X, y = data
    model = Retrain(tree(), random_state=0).fit(X[:N_TRAIN], y[:N_TRAIN])
    original = copy.deepcopy(model)
    model.unlearn(range(N_FORGET))
    two = [Retrain(tree(), random_state=s).fit(X[:N_TRAIN], y[:N_TRAIN], exclude=range(N_FORGET)) for s in (1, 2)]
    given = run(model, data, references=two, original=original)
    made = run(model, data, references=two)
    assert given.to_frame().equals(made.to_frame())
    assert "speedup" not in given.cost
    bare = run(pickle.loads(pickle.dumps(model)), data, train=None, references=two)
    assert set(bare.to_frame()["data"]) == {"test"}


def test_seeds_and_workers_are_not_part_of_a_recipe():
    one = SISAClassifier(make_pipeline(DecisionTreeClassifier(random_state=1)), random_state=1, n_jobs=2, verbose=1)
    two = SISAClassifier(make_pipeline(DecisionTreeClassifier(random_state=2)), random_state=2)
    assert _recipe(one) == _recipe(two)
    assert _recipe(one) != _recipe(clone(two).set_params(estimator__decisiontreeclassifier__max_depth=2))


def test_a_forgotten_class_and_text_labels(data):
    X, codes = load_iris(return_X_y=True)
    y = np.array(["setosa", "versicolor", "virginica"])[codes]
    model = SISAClassifier(tree(), n_shards=2, aggregation="mean", random_state=0).fit(X, y).unlearn(classes="setosa")
    report = audit(model, X[::2] + 0.01, y[::2], train=(X, y), n_bootstrap=20, random_state=0)
    assert report["accuracy", "forget"].unlearned.estimate == 0.0 == report["accuracy", "forget"].null.estimate
    assert report["accuracy", "forget"].original.estimate > 0.9


def test_labels_only_weights_ids_unseen_data_and_groups(data):
    X, y = data
    ids = np.arange(N_TRAIN) // 4
    model = Retrain(SGDClassifier(), random_state=0)
    model.fit(X[:N_TRAIN], y[:N_TRAIN], np.ones(N_TRAIN), sample_ids=ids).unlearn(forget_ids=range(20))
    report = audit(
        model,
        X[400:600],
        y[400:600],
        train=(X[:N_TRAIN], y[:N_TRAIN], np.ones(N_TRAIN)),
        unseen=(X[600:], y[600:]),
        groups={"train": ids, "unseen": np.arange(200) // 4},
        n_bootstrap=20,
        random_state=0,
    )
    assert report.predictions.sizes == {"forget": 80, "retain": 320, "test": 200, "unseen": 200}
    assert report.about["nonmembers"] == "unseen"
    assert [statistic.name.split(":")[0] for statistic in report.verdict.statistics] == [
        "membership",
        "agreement",
        "distance",
        "performance",
    ]


def test_groups_reach_every_attack(data):
    persons = {"train": np.arange(N_TRAIN) // 4, "test": np.arange(400) // 4}
    report = run(unlearned(Retrain(tree(), random_state=0), data), data, groups=persons)
    assert {"loss attack AUC", "threshold attack AUC", "entropy attack AUC"} <= {row.metric for row in report.rows}


@pytest.mark.parametrize(
    "model", [Retrain(DecisionTreeRegressor(max_features=3), random_state=0), SISARegressor(Ridge(), n_shards=3)]
)
def test_regressors_have_errors_and_distances(model):
    X, y = make_regression(300, 5, noise=5.0, random_state=0)
    model = clone(model).fit(X[:200], y[:200]).unlearn(range(40))
    report = audit(model, X[200:], y[200:], train=(X[:200], y[:200]), n_bootstrap=30, random_state=0)
    measured = {row.metric for row in report.rows if "attack" not in row.metric}
    assert measured == {"error", "error gap", "prediction distance", "signed error gap"}
    errors = np.abs(model.predict(X[200:]) - y[200:])
    assert report["error", "test"].unlearned.estimate == pytest.approx(errors.mean())
    assert report.to_frame().notna().drop(columns="scaled").all().all()
    report.plot()


def test_costs_are_those_of_the_receipts(data):
    model = unlearned(Retrain(tree(), random_state=0), data)
    cost = run(model, data).cost
    assert cost["seconds"] == model.receipts_[-1].seconds
    assert cost["speedup"] == pytest.approx(cost["seconds_retrain"] / cost["seconds"])
    assert cost["retrained_share"] == 1.0


def test_workers_do_not_change_the_audit(data):
    model = unlearned(Retrain(tree(), random_state=0), data)
    assert run(model, data, n_jobs=2).to_frame().equals(run(model, data).to_frame())


def test_what_is_saved_comes_back_and_holds_no_row(report, data, tmp_path):
    folder = report.save(tmp_path / "new" / "audit")
    assert sorted(path.name for path in folder.iterdir()) == ["audit.csv", "audit.json", "audit.png"]
    assert (folder / "audit.png").read_bytes().startswith(b"\x89PNG")
    loaded = Audit.load(folder)
    assert str(loaded) == str(report)
    assert loaded.to_frame().equals(report.to_frame())
    assert loaded.predictions is None
    loaded.plot(tmp_path / "again.svg")
    text = (folder / "audit.json").read_text()
    assert json.loads(text)["about"]["guarantee"] == "exact"
    assert {"seeds", "versions", "sizes", "method"} <= json.loads(text)["about"].keys()
    assert not any(repr(float(value)) in text for value in data[0][:5].ravel())


def test_a_file_of_a_later_release_is_refused(report, tmp_path):
    folder = report.save(tmp_path)
    saved = json.loads((folder / "audit.json").read_text())
    (folder / "audit.json").write_text(json.dumps({**saved, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        Audit.load(folder)


def test_absent_scores_survive_saving(data, tmp_path):
    report = run(unlearned(Retrain(tree(), random_state=0), data), data, train=None)
    assert Audit.load(report.save(tmp_path)).to_frame().equals(report.to_frame())


def test_it_prints_the_verdict_first_and_then_describes(report):
    text, html = str(report), report._repr_html_()
    for words in ("VERDICT", "declared statistic", "original", "Description, no decision", "Not measured: ZRF"):
        assert words in text
        assert words in html
    assert "<table" in html
    assert "exact" in repr(report)


class Links(HTMLParser):
    """Notes what a page holds and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data):
        self.words.append(data)


def test_a_page_needs_nothing_but_itself_and_holds_no_row(report, data, tmp_path):
    path = report.to_html(tmp_path / "audit.html")

    text = path.read_text(encoding="utf-8")
    found = Links(text)
    (source,) = found.sources
    start = "data:image/png;base64,"
    assert source.startswith(start)
    picture = matplotlib.image.imread(BytesIO(base64.b64decode(source.removeprefix(start))), format="png")
    assert picture.shape[1] > 1000
    assert picture.std() > 0.01  # something is drawn
    assert not {"script", "link", "iframe"} & set(found.tags)
    assert "http" not in text
    words = " ".join(found.words)
    assert f"VERDICT: {report.verdict}" in words
    for part in ("membership", "performance", "worst 5%", "Description, no decision", "completeness", "How to read it"):
        assert part in words
    assert not any(repr(float(value)) in text for value in data[0][:5].ravel())
    # what was saved gives the same page
    again = Audit.load(report.save(tmp_path / "saved")).to_html(str(tmp_path / "again.html"))
    assert Links(again.read_text(encoding="utf-8")).words == found.words


def test_names_are_no_markup(data, tmp_path):
    X, y = data
    evil = type("<script>Tree", (DecisionTreeClassifier,), {})
    given = {"train": (X[:N_TRAIN], y[:N_TRAIN]), "forget_idx": range(N_FORGET), "n_references": 2, "n_bootstrap": 2}
    model = evil(max_features=5, random_state=0).fit(X[N_FORGET:N_TRAIN], y[N_FORGET:N_TRAIN])
    made = audit(model, X[N_TRAIN:], y[N_TRAIN:], **given)
    for text in (made.to_html(tmp_path / "audit.html").read_text(encoding="utf-8"), made._repr_html_()):
        assert "script" not in Links(text).tags
        assert "&lt;script&gt;Tree" in text


def test_the_figure_shows_every_model(report):
    left, right = report.plot().axes
    assert len(right.get_lines()) == 8  # original, unlearned, five references, chance
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "membership",
        "agreement",
        "distance",
        "performance",
    ]
    with pytest.raises(KeyError, match="was not measured"):
        report["no such metric", "test"]


@pytest.mark.torch
def test_nets_are_compared_with_untrained_nets(data):
    nn = pytest.importorskip("torch.nn")

    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 2))

    X, y = data
    model = unlearned(Retrain(Net, random_state=0), (X.astype("float32"), y))
    report = run(model, (X.astype("float32"), y))
    assert len(report.predictions.untrained) == 10
    assert 1.0 - np.log(2.0) <= report["ZRF", "forget"].unlearned.estimate < 1.0
    assert not any("ZRF" in what for what in report.not_measured)


def test_importing_the_audit_is_light():
    code = "import sys, mlunlearn.audit; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
