"""What the benchmark of classifiers tells of a model: distance to retraining, accuracies, attack, probe and verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.classification_scenarios import Data, Scenario, Task
from mlunlearn.audit import Outputs, Predictions, Verdict
from mlunlearn.audit.judge import Judge
from mlunlearn.audit.metrics import logit_scaled_confidence
from mlunlearn.audit.verdict import favourable_only_if_found
from mlunlearn.nets import TorchClassifier
from mlunlearn.networks import find_head

AT_MOST = 2000
"""Retained rows on which predictions are noted."""


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
