"""Forgetting from trained classifiers: every method beside two controls, retrained models, and doing nothing.

``python -m benchmarks.cifar`` and ``python -m benchmarks.digits`` run it. The controls read a tenth or a fifth of the
samples of retraining: `from scratch` from untrained weights, `continued` from the trained ones. `before` does nothing,
`null` is a second retrained model.

Every scenario of every seed has an original model (one for all scenarios that do not change the data) and references
that were trained without all rows in question. Models are kept in the folder given by ``--resume``, under a hash of
what made them, and the results file is written after every scenario, so that a run that is broken off goes on. Defaults
were not tuned on these seeds.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlunlearn.approximate
from benchmarks.common import RESULTS, Trained, write_results
from mlunlearn.approximate import EditedClassifier, FineTuneClassifier, RestartClassifier
from mlunlearn.audit import Outputs, Predictions, Verdict
from mlunlearn.audit.judge import Judge
from mlunlearn.audit.metrics import logit_scaled_confidence
from mlunlearn.audit.verdict import favourable_only_if_found
from mlunlearn.nets import TorchClassifier
from mlunlearn.networks import find_head
from mlunlearn.scenarios import (
    Patch,
    backdoor,
    class_confusion,
    class_rows,
    label_noise,
    memorised_rows,
    random_rows,
)

SCENARIOS = ("class", "random", "mislabelled", "backdoor", "memorised", "confusion")
CONTROL_BUDGETS = (0.1, 0.2)
NO_METHODS = (EditedClassifier, RestartClassifier)
PUBLISHED = ("BadTeacher", "IAU", "LAF", "Potion", "SCRUB", "SSD", "SalUn")
DISCOVERED = 0.1
AT_MOST = 2000
"""Retained rows on which predictions are noted."""

Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Task:
    """Data, and how a network learns them.

    Parameters
    ----------
    name, note : str
        Name of the results file, and what was run.
    train, test, held_out : tuple (X, y)
        Rows to train on, rows for figures, and rows with which methods may calibrate themselves.
    net : callable
        Makes an untrained skorch net.
    forgotten_class : int
        The class of the scenario of that name.
    pair : tuple of int
        Classes that are confused.
    patch : Patch
        The trigger of the backdoor.
    n_references : int, default=3
        Retrained models of each scenario.
    device : str, default='cpu'
        Where the network is trained.
    """

    name: str
    note: str
    train: Data
    test: Data
    held_out: Data
    net: Callable[[], Any]
    forgotten_class: int
    pair: tuple[int, int]
    patch: Patch
    n_references: int = 3
    device: str = "cpu"


@dataclass(frozen=True)
class Scenario:
    """A request, and the data on which it is made.

    Parameters
    ----------
    train : tuple (X, y)
        Rows that the original model learned.
    asked : ndarray of bool, shape (n_samples,)
        Rows that are handed to ``unlearn``.
    gone : ndarray of bool, shape (n_samples,)
        Rows without which the references are trained.
    matched : tuple (X, y) or None, default=None
        Unseen rows of the kind of those that are forgotten; None where test rows are.
    corrected : tuple (X, y) or None, default=None
        Unseen rows of that kind with their true labels.
    classes : tuple of int, default=()
        Classes that are asked for by name.
    concerned : tuple of int, default=()
        Classes whose test rows the request is about, where it is about some alone.
    own_data : bool, default=False
        Whether the original model is one of this scenario alone.
    """

    train: Data
    asked: np.ndarray
    gone: np.ndarray
    matched: Data | None = None
    corrected: Data | None = None
    classes: tuple[int, ...] = ()
    concerned: tuple[int, ...] = ()
    own_data: bool = False


# --------------------------------------------------------------- scenarios


def scenarios(task: Task, seed: int, scores: Callable[[], np.ndarray]) -> dict[str, Callable[[], Scenario]]:
    """Make the scenarios of a seed, each when it is wanted."""
    (X, y), (X_test, y_test) = task.train, task.test
    n = len(y)

    def of_class() -> Scenario:
        mask, there = class_rows(y, task.forgotten_class), y_test == task.forgotten_class
        unseen, own = (X_test[there], y_test[there]), (task.forgotten_class,)
        return Scenario(task.train, mask, mask, unseen, classes=own, concerned=own)

    def plain(mask: np.ndarray) -> Scenario:
        return Scenario(task.train, mask, mask)

    def mislabelled() -> Scenario:
        wrong, elsewhere = label_noise(y, 0.1, random_state=seed), label_noise(y_test, 1.0, random_state=seed)
        corrected = (X_test, y_test)
        return Scenario((X, wrong.y), wrong.forget, wrong.manipulated, (X_test, elsewhere.y), corrected, own_data=True)

    def poisoned() -> Scenario:
        wrong = backdoor(X, y, task.forgotten_class, max(n // 40, 10), patch=task.patch, random_state=seed)
        others = y_test != task.forgotten_class
        marked = task.patch.on(X_test[others])
        return Scenario(
            (wrong.X, wrong.y),
            wrong.discovered(DISCOVERED, random_state=seed).forget,
            wrong.manipulated,
            (marked, np.full(len(marked), task.forgotten_class)),
            (marked, y_test[others]),
            own_data=True,
        )

    def confused() -> Scenario:
        first, second = task.pair
        size = int(min((y == first).sum(), (y == second).sum()))
        wrong = class_confusion(y, first, second, size, X=X, random_state=seed)
        there = np.isin(y_test, task.pair)
        swapped = np.where(y_test[there] == first, second, first)
        return Scenario(
            (wrong.X, wrong.y),
            wrong.discovered(DISCOVERED, random_state=seed).forget,
            wrong.manipulated,
            (X_test[there], swapped),
            (X_test[there], y_test[there]),
            concerned=task.pair,
            own_data=True,
        )

    return {
        "class": of_class,
        "random": lambda: plain(random_rows(n, 0.1, random_state=seed)),
        "mislabelled": mislabelled,
        "backdoor": poisoned,
        "memorised": lambda: plain(memorised_rows(scores(), "high", n // 10, random_state=seed)),
        "confusion": confused,
    }


def memorisation(task: Task, seed: int, trained: Trained) -> np.ndarray:
    """By how much more two models that saw a row believe its label than two that saw the other half."""
    X, y = task.train
    seen, unseen = np.zeros(len(y)), np.zeros(len(y))
    for split in range(2):
        half = random_rows(len(y), 0.5, random_state=1000 * seed + split)
        for number, rows in enumerate((half, ~half)):
            make = partial(fit, task, (X[rows], y[rows]), 100 + 10 * seed + number)
            model, _ = trained(f"half {split} {number}", make)
            believed = model.predict_proba(X)[np.arange(len(y)), y]
            seen[rows] += believed[rows] / 2
            unseen[~rows] += believed[~rows] / 2
    return seen - unseen


def fit(task: Task, data: Data, seed: int) -> TorchClassifier:
    """Train a network."""
    return TorchClassifier(task.net(), random_state=seed).fit(*data)


# ----------------------------------------------------------------- methods


def methods(task: Task, scenario: str, frozen: FrozenEstimator, seed: int) -> dict[str, EditedClassifier]:
    """The two controls at each budget, every method with its defaults, and some with the settings of their papers."""
    found: dict[str, EditedClassifier] = {}
    for budget in CONTROL_BUDGETS:
        how = {"budget": budget, "random_state": seed}
        found[f"from scratch ({budget:g})"] = RestartClassifier(frozen, **how)
        found[f"continued ({budget:g})"] = FineTuneClassifier(frozen, lr=1e-2, decay=True, **how)
    for kind in kinds():
        name = kind.__name__.removesuffix("Classifier")
        found[name] = kind(frozen, random_state=seed)
        if name in PUBLISHED:
            found[f"{name} (published)"] = kind.published(frozen, **_published(name, scenario), random_state=seed)
    return found


def kinds() -> Iterator[type[EditedClassifier]]:
    """Every method but the control that starts from untrained weights."""
    for name in mlunlearn.approximate.__all__:
        kind = getattr(mlunlearn.approximate, name)
        if isinstance(kind, type) and issubclass(kind, EditedClassifier) and kind not in NO_METHODS:
            yield kind


def _published(name: str, scenario: str) -> dict[str, str]:
    if name == "LAF":
        return {"scenario": {"class": "class", "mislabelled": "noise"}.get(scenario, "data")}
    if name == "SSD":
        return {"scenario": "class" if scenario == "class" else "random"}
    return {}


def fitted(method: EditedClassifier, train: Data, task: Task) -> EditedClassifier:
    """Give a method the training data, and the rows held out where it takes some."""
    held_out = {"held_out": task.held_out} if method.takes_held_out or "held_out" in method.needs else {}
    return method.fit(*train, **held_out)


def forget(method: EditedClassifier, scenario: Scenario, task: Task) -> EditedClassifier:
    """Have a method serve the request."""
    fitted(method, scenario.train, task)
    return method.unlearn(classes=list(scenario.classes)) if scenario.classes else method.unlearn(scenario.asked)


# ----------------------------------------------------------------- figures


@dataclass
class Figures:
    """What is told of every model of a scenario."""

    task: Task
    scenario: Scenario
    references: list[Any]
    original: Any
    seed: int
    sets: dict[str, Data] = field(init=False)
    judge: Judge = field(init=False)
    word_on_original: Verdict = field(init=False)

    def __post_init__(self) -> None:
        X, y = self.scenario.train
        gone, kept = self.scenario.gone, np.flatnonzero(~self.scenario.gone)
        kept = np.random.default_rng(self.seed).permutation(kept)[:AT_MOST]
        self.sets = {"forget": (X[gone], y[gone]), "retain": (X[kept], y[kept]), "test": self.task.test}
        if self.scenario.matched is not None:
            self.sets["matched"] = self.scenario.matched
        self.said = [self.outputs(model) for model in self.references]
        before = self.outputs(self.original)
        targets = {name: labels for name, (_, labels) in self.sets.items()}
        self.judge = Judge(Predictions("classifier", targets, self.said[0], self.said, before), seed=self.seed)
        self.comparable = self.judge.comparability()
        self.word_on_original = self.judge.verdict(before, self.comparable)

    def outputs(self, model: Any) -> dict[str, Outputs]:
        """What a model says; of a class that it never saw, that it is impossible."""
        n_classes, found = len(np.unique(self.task.train[1])), {}
        for name, (X, _) in self.sets.items():
            proba = np.zeros((len(X), n_classes))
            proba[:, model.classes_] = model.predict_proba(X)
            found[name] = Outputs(proba.argmax(axis=1), proba)
        return found

    def of(self, model: Any, references: list[int], *, judged: bool = True) -> dict[str, Any]:
        """Figures of a model beside some of the references, and the audit's word on it."""
        said = self.outputs(model)
        unseen = "matched" if "matched" in self.sets else "test"
        distances = {
            f"distance_{name}": float(np.mean([_variation(said[name], self.said[k][name]) for k in references]))
            for name in ("forget", "test")
        }
        found = {
            **{f"accuracy_{name}": float(np.mean(said[name].labels == y)) for name, (_, y) in self.sets.items()},
            **distances,
            "distance": float(np.mean(list(distances.values()))),
            "attack": float(_attack(said, self.sets, unseen)),
        }
        if judged:
            verdict = self.judge.verdict(said, self.comparable)
            found["verdict"] = favourable_only_if_found(verdict, self.word_on_original).decision
        if self.scenario.concerned:
            others = ~np.isin(self.task.test[1], self.scenario.concerned)
            found["accuracy_kept"] = float(np.mean(said["test"].labels[others] == self.task.test[1][others]))
        if self.scenario.classes:
            found["probe"] = self._probe(model)
        if self.scenario.corrected is not None:
            X, y = self.scenario.corrected
            found["accuracy_corrected"] = float(np.mean(model.predict(X) == y))
        return found

    def _probe(self, model: Any) -> float:
        """Balanced accuracy at which a linear model tells the forgotten class from the embeddings of test rows."""
        X, y = self.task.test
        is_it = np.isin(y, self.scenario.classes)
        telling = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=300))
        return float(cross_val_score(telling, embeddings(model, X), is_it, cv=3, scoring="balanced_accuracy").mean())


def embeddings(model: Any, X: np.ndarray) -> np.ndarray:
    """What stands before the head of a network."""
    final = model if isinstance(model, TorchClassifier) else model.estimator_
    module = final.net_.module_.eval()
    device = next(module.parameters()).device
    batches = [torch.as_tensor(X[at : at + 512]).float().to(device) for at in range(0, len(X), 512)]
    head = find_head(module, batches[0][:2])
    with torch.no_grad():
        return torch.cat([head.embed(module, batch).flatten(1) for batch in batches]).cpu().numpy()


def _variation(one: Outputs, other: Outputs) -> float:
    return float(np.abs(one.proba - other.proba).sum(axis=1).mean() / 2)


def _attack(said: dict[str, Outputs], sets: dict[str, Data], unseen: str) -> float:
    """AUC of telling forgotten from unseen rows by how sure the model is of their labels."""
    sure = [logit_scaled_confidence(said[name].proba, sets[name][1]) for name in ("forget", unseen)]
    member = np.repeat([1, 0], [len(part) for part in sure])
    return roc_auc_score(member, np.concatenate(sure))


# --------------------------------------------------------------------- run


def run_scenario(
    task: Task,
    name: str,
    scenario: Scenario,
    original: tuple[Any, float],
    seed: int,
    trained: Trained,
    chosen: Collection[str] = (),
) -> pd.DataFrame:
    """Measure every model of a scenario, or of the methods those that are chosen."""
    X, y = scenario.train
    kept = ~scenario.gone
    fits = [
        trained(f"retrained {k}", partial(fit, task, (X[kept], y[kept]), 1000 + 10 * seed + k))
        for k in range(task.n_references)
    ]
    figures = Figures(task, scenario, [model for model, _ in fits], original[0], seed)
    everyone = list(range(task.n_references))
    rows = []
    for k, kind in enumerate(("retrained", "null")):
        others = [j for j in everyone if j != k]
        rows.append(
            {"model": kind, "seconds": fits[k][1], "share": 1.0, **figures.of(fits[k][0], others, judged=False)}
        )
    rows.append({"model": "before", "seconds": 0.0, "share": 0.0, **figures.of(original[0], everyone)})
    for called, method in methods(task, name, FrozenEstimator(original[0]), seed).items():
        if chosen and called not in chosen:
            continue
        place = f"{called} {made_of(method)}"
        found, _ = trained(place, partial(_measured, figures, method, everyone, trained.clock))
        rows.append({"model": called, **found})
        print(f"{task.name} {seed} {name}: {called} {found.get('seconds', 0):.1f} s", flush=True)
    return pd.DataFrame(rows).assign(scenario=name, seed=seed)


def made_of(method: EditedClassifier) -> str:
    """Hash of a method's settings, and of the code of the files in which its own classes are written."""
    settings = {name: value for name, value in method.get_params(deep=False).items() if name != "estimator"}
    files = {inspect.getfile(kind) for kind in type(method).__mro__ if "mlunlearn.approximate" in kind.__module__}
    return key_of(settings=settings, files=[_code(Path(file).read_text(encoding="utf-8")) for file in sorted(files)])


def _code(source: str) -> str:
    """What a file does: without comments, and without docstrings, which words alone change."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _measured(
    figures: Figures, method: EditedClassifier, references: list[int], clock: Callable[[], float]
) -> dict[str, Any]:
    started = clock()
    try:
        model = forget(method, figures.scenario, figures.task)
    except (ValueError, FloatingPointError) as error:  # it does not serve such requests, or its numbers overflow
        return {"refused": str(error)}
    seconds, share = clock() - started, model.receipts_[-1].retrained_share
    return {"seconds": seconds, "share": share, **figures.of(model, references)}


def run(task: Task, seeds: list[int], wanted: list[str], folder: Path, key: str, chosen: Collection[str] = ()) -> None:
    """Measure seed by seed, all scenarios of one before the next, and write what there is.

    Where methods are chosen, rows of the results file that are not measured anew stay in it.
    """
    torch.set_num_threads(1)
    clock = time.process_time if task.device == "cpu" else time.perf_counter
    tables: list[pd.DataFrame] = []
    masks: dict[str, dict[str, str]] = {}
    for seed in seeds:
        for name in wanted:
            trained = Trained(folder / f"{task.name} {key}" / f"seed {seed}", clock)
            scenario = scenarios(task, seed, partial(memorisation, task, seed, trained))[name]()
            place = trained.inside(name)
            original = (place if scenario.own_data else trained)("original", partial(fit, task, scenario.train, seed))
            tables.append(run_scenario(task, name, scenario, original, seed, place, chosen))
            masks.setdefault(name, {})[str(seed)] = _packed(scenario.asked)
            _write(task, key, pd.concat(tables), masks, keeping=bool(chosen))


def _packed(mask: np.ndarray) -> str:
    """A mask as base64 of its bits, eight rows a byte, the first row in the highest bit."""
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def _write(task: Task, key: str, rows: pd.DataFrame, masks: dict[str, Any], *, keeping: bool = False) -> None:
    path = RESULTS / f"classification_{task.name}.json"
    if keeping and path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["key"] != key:
            raise ValueError(f"{path.name} holds figures of other models; measure all methods, or move it away.")
        rows = _joined(pd.DataFrame(earlier["rows"]), rows)
        masks = {name: earlier["asked"].get(name, {}) | masks.get(name, {}) for name in {**earlier["asked"], **masks}}
    results = {
        "task": task.name,
        "note": task.note,
        "key": key,
        "seeds": rows["seed"].unique().tolist(),
        "n_references": task.n_references,
        "discovered": DISCOVERED,
        "asked": masks,
        "rows": json.loads(rows.to_json(orient="records", double_precision=5)),
    }
    write_results(f"classification_{task.name}", results)


def _joined(earlier: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Put rows beside those of other models, scenarios and seeds."""
    both = pd.concat([earlier, rows], ignore_index=True)
    return both.drop_duplicates(["model", "scenario", "seed"], keep="last", ignore_index=True)


def key_of(**settings: Any) -> str:
    """Hash of what the models of a run are made of."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def arguments(description: str | None, names: Sequence[str] = SCENARIOS) -> argparse.ArgumentParser:
    """Options that every task has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--scenarios", nargs="+", choices=names, default=list(names))
    parser.add_argument("--methods", nargs="+", default=[], help="names as in the table; all by default")
    parser.add_argument("--resume", type=Path, default=RESULTS.parent / ".models", help="folder of trained models")
    return parser
