"""Error rate and power of the audit's verdict: ``python -m benchmarks.audit_power``.

Every repetition draws data, trains references without the forgotten rows, and audits models of a fresh seed that were
trained with 0, 10, 20, 35 and 100 % of the forgotten rows left in: the first is an exact unlearner, the last does
nothing. The same models serve audits with few and with many references. Beside the verdict stand, in the first
repetitions, the rule it replaced (the strongest attack, its AUC folded round one half, must not exceed the upper end of
the null's bootstrap interval; here with three of its seven attacks) and the relative kernel test. Everything runs on
one thread. Results are written as they come, and an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from scipy.stats import binomtest, rankdata
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from benchmarks.common import RESULTS, environment, write_results
from mlunlearn import SISAClassifier
from mlunlearn.audit import Outputs, Predictions, compare, cross_entropy, relative_test
from mlunlearn.audit.judge import Judge

NAME = "audit_power"
ROUNDS = (5, 20, 50, 100, 200)
SHARES = (0.0, 0.1, 0.2, 0.35, 1.0)
LETTERS = {"as a retrained model": "R", "distinguishable from one": "D", "cannot tell at this size": "C"}


@dataclass(frozen=True)
class Setting:
    """What is trained, on how much, and how often.

    Parameters
    ----------
    model : {"tree", "mlp"}
        A decision tree, or a network that learns its data by heart.
    n, forget, unseen : int
        Rows trained on, forgotten among them, and never trained on.
    references : tuple of int
        Retrained models of each audit; the most are trained, and the first ones serve where there are fewer.
    repetitions : int
        Of everything, data included.
    rows : {"random", "neighbours", "mislabelled"}
        Forgotten rows: drawn as the others are, near each other, or with wrong labels.
    told : bool
        Whether audits are made, too, that know that rows are exchangeable.
    matched : bool
        Whether audits are made, too, with unseen rows that have wrong labels as well.
    beside : int
        Repetitions in which the replaced rule and the relative test are applied.
    """

    model: str
    n: int
    forget: int
    unseen: int
    references: tuple[int, ...]
    repetitions: int
    rows: str = "random"
    told: bool = False
    matched: bool = False
    beside: int = 50

    @property
    def audits(self) -> dict[str, tuple[int, bool, bool]]:
        """By what the results file calls it: references, whether told, and whether matched."""
        ways = [(False, False)] + [(True, False)] * self.told + [(False, True)] * self.matched
        named = {}
        for told, matched in ways:
            for k in self.references:
                how = ", said to be exchangeable" * told + ", matched" * matched
                rows = "" if self.rows == "random" else f" {self.rows}"
                named[f"{self.model}: {self.forget:,} of {self.n:,}{rows}, {k} references{how}"] = (k, told, matched)
        return named


SETTINGS = (
    Setting("tree", 1000, 100, 500, (2, 3, 5, 10), 200, told=True),
    Setting("tree", 1000, 100, 500, (5,), 200, "mislabelled", matched=True),
    Setting("mlp", 1000, 100, 500, (5, 10), 60),
    Setting("mlp", 1000, 100, 500, (5, 10), 100, "neighbours"),
    Setting("mlp", 1000, 100, 500, (5,), 40, "mislabelled"),
    Setting("tree", 5000, 500, 2500, (5,), 200),
    Setting("tree", 30000, 2000, 5000, (5,), 40, beside=20),
)


def models(setting: Setting) -> Callable[[int], Any]:
    """Return what makes a model of a seed."""
    if setting.model == "tree":
        return lambda seed: DecisionTreeClassifier(max_features=5, random_state=seed)
    return lambda seed: MLPClassifier(
        (64,), max_iter=40, batch_size=200, learning_rate_init=0.03, n_iter_no_change=100, random_state=seed
    )


def draw(setting: Setting, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Draw data, and divide it into forgotten, other training, unseen and matched rows."""
    total = setting.n + setting.unseen + (setting.forget * 3 if setting.matched else 0)
    X, y = make_classification(
        total, 20, n_informative=8, n_classes=3, flip_y=0.1, random_state=int(rng.integers(2**31))
    )
    order = np.arange(setting.n)
    if setting.rows == "neighbours":
        order = np.argsort(((X[: setting.n] - X[rng.integers(setting.n)]) ** 2).sum(axis=1))
    rows = {
        "forget": order[: setting.forget],
        "retain": np.sort(order[setting.forget :]),
        "test": np.arange(setting.n, setting.n + setting.unseen),
    }
    if setting.matched:
        rows["matched"] = np.arange(setting.n + setting.unseen, total)
    for name in ("forget", "matched") if setting.rows == "mislabelled" else ():
        if name in rows:
            y[rows[name]] = (y[rows[name]] + rng.integers(1, 3, len(rows[name]))) % 3
    return X, y, rows


def repeat(setting: Setting, number: int) -> dict[str, dict[str, dict[str, str]]]:
    """Audit a model of every share once: by audit, rule and share a letter of `LETTERS`, or whether there is alarm."""
    rng = np.random.default_rng([setting.n, len(setting.model), len(setting.rows), number])
    X, y, rows = draw(setting, rng)
    most = max(setting.references)
    make, seeds = models(setting), iter(rng.integers(2**31, size=most + len(SHARES) + 1).tolist())

    def say(trained: np.ndarray) -> dict[str, Outputs]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = make(next(seeds)).fit(X[trained], y[trained])
        probabilities = {name: model.predict_proba(X[which]) for name, which in rows.items()}
        return {name: Outputs(p.argmax(axis=1), p) for name, p in probabilities.items()}

    targets = {name: y[which] for name, which in rows.items()}
    references = [say(rows["retain"]) for _ in range(most)]
    original = say(np.arange(setting.n))
    audited = {}
    for share in SHARES:
        left = rows["forget"][rng.random(setting.forget) < share]
        audited[str(share)] = say(np.concatenate([left, rows["retain"]]))
    result = {}
    for name, (k, told, matched) in setting.audits.items():
        asked = {part: target for part, target in targets.items() if matched or part != "matched"}
        base = Predictions("classifier", asked, references[0], references[:k], original)
        judge = Judge(base, seed=number, exchangeable=True if told else None)
        found = judge.comparability()
        letters = {share: LETTERS[judge.verdict(ours, found).decision] for share, ours in audited.items()}
        result[name] = {"verdict": letters}
        if number < setting.beside and not told and not matched:
            result[name] |= _beside(base, audited, number)
    return result


def _beside(base: Predictions, audited: dict[str, dict[str, Outputs]], number: int) -> dict[str, dict[str, str]]:
    """Say whether the replaced rule and the relative test raise alarm."""
    bound = old_rule(base, number)
    rows = {name: np.arange(n) for name, n in base.sizes.items()}
    y = base.targets["forget"]
    relative = {share: _relative(ours, base.references[0], base.original, y) for share, ours in audited.items()}
    return {
        "old rule": {share: "ny"[int(strongest(ours, base.targets, rows) > bound)] for share, ours in audited.items()},
        "relative test": {share: "ny"[int(p_value <= 0.05)] for share, p_value in relative.items()},
    }


def old_rule(base: Predictions, seed: int) -> float:
    """Upper end of the 95 % bootstrap interval of the null: further references, each with resampled rows."""
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(50):
        rows = {name: rng.integers(n, size=n) for name, n in base.sizes.items() if name in ("forget", "test")}
        resampled += [strongest(said, base.targets, rows) for said in base.references[1:]]
    return float(np.quantile(resampled, 0.975))


def strongest(said: Any, targets: Any, rows: dict[str, np.ndarray]) -> float:
    """Largest AUC, folded round one half, of the attacks by loss, by its distance from the median, and by label."""
    sides = ("forget", "test")
    loss = [cross_entropy(said[side].proba, targets[side]) for side in sides]
    spread = [np.abs(values - np.median(loss[1])) for values in loss]
    right = [(said[side].labels == targets[side]).astype(float) for side in sides]
    return max(
        _folded(*(values[rows[side]] for values, side in zip(by, sides, strict=True))) for by in (loss, spread, right)
    )


def _folded(forget: np.ndarray, unseen: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([forget, unseen]))
    n, m = len(forget), len(unseen)
    return 0.5 + abs((ranks[:n].sum() - n * (n + 1) / 2) / (n * m) - 0.5)


def _relative(ours: dict[str, Outputs], retrained: Any, original: Any, y: np.ndarray) -> float:
    def sorted_outputs(said: dict[str, Outputs]) -> np.ndarray:
        proba = said["forget"].proba
        return np.take_along_axis(proba, (y[:, None] + np.arange(proba.shape[1])) % proba.shape[1], axis=1)

    return relative_test(*(sorted_outputs(said) for said in (ours, retrained, original))).p_value


def summary(raw: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Shares of alarms with their 95 % intervals (Clopper-Pearson), and of the three decisions."""
    rows: dict[str, Any] = {}
    for rule, by_share in raw.items():
        for share, letters in by_share.items():
            alarms = sum(letter in "Dy" for letter in letters)
            interval = binomtest(alarms, len(letters)).proportion_ci()
            rows.setdefault(rule, {})[share] = {
                "alarms": round(alarms / len(letters), 4),
                "low": round(interval.low, 4),
                "high": round(interval.high, 4),
                "n": len(letters),
                **({"cannot tell": round(letters.count("C") / len(letters), 4)} if rule == "verdict" else {}),
            }
    return rows


def run(settings: tuple[Setting, ...], seconds: float) -> None:
    """Run what is missing in rounds, a few repetitions of every setting first, for at most this time."""
    path = RESULTS / f"{NAME}.json"
    saved = json.loads(path.read_text()) if path.exists() else {"settings": {}}
    saved |= {"environment": environment(), "alpha": 0.05}
    started = perf_counter()
    for wanted in ROUNDS:
        for setting in settings:
            for number in range(_done(saved, setting), min(wanted, setting.repetitions)):
                if perf_counter() - started > seconds:
                    return
                begun = perf_counter()
                for name, rules in repeat(setting, number).items():
                    entry = saved["settings"].setdefault(name, {"raw": {}})
                    _add(entry["raw"], rules)
                    entry["summary"] = summary(entry["raw"])
                taken = perf_counter() - begun
                path.write_text(json.dumps(saved, indent=1) + "\n")
                print(f"{perf_counter() - started:7.0f} s  {number + 1:3d} {name} ({taken:.1f} s)", flush=True)


def _done(saved: dict[str, Any], setting: Setting) -> int:
    """Repetitions that are there of every audit of a setting."""
    entries = [saved["settings"].get(name, {"raw": {}})["raw"] for name in setting.audits]
    return min(len(raw.get("verdict", {}).get("0.0", "")) for raw in entries)


def _add(raw: dict[str, dict[str, str]], rules: dict[str, dict[str, str]]) -> None:
    for rule, by_share in rules.items():
        kept = raw.setdefault(rule, {})
        for share, letter in by_share.items():
            kept[share] = kept.get(share, "") + letter


def quick_start(n_seeds: int = 100) -> None:
    """Audit the example of the README with many seeds, and count the verdicts on it and on the model before."""
    started = perf_counter()
    X, y = make_classification(n_samples=3000, flip_y=0.3, random_state=0)
    X, X_test, y, y_test = X[:2000], X[2000:], y[:2000], y[2000:]
    people = [f"person {row // 4}" for row in range(2000)]
    decisions: dict[str, str] = {"unlearned": "", "before unlearning": ""}
    for seed in range(n_seeds):
        model = SISAClassifier(DecisionTreeClassifier(), n_shards=3, random_state=seed)
        original = copy.deepcopy(model.fit(X, y, sample_ids=people))
        model.unlearn(forget_ids=[f"person {k}" for k in range(100)])
        found = compare(
            {"unlearned": model}, X_test, y_test, train=(X, y), original=original, n_references=10, random_state=seed
        ).verdicts
        for name in decisions:
            decisions[name] += LETTERS[found[name].decision]
        print(f"{perf_counter() - started:7.0f} s  {seed + 1:3d}", flush=True)
    write_results("audit_quick_start", {"decisions": decisions, "letters": LETTERS, "alpha": 0.05})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after this time; run again to go on")
    parser.add_argument("--quick-start", action="store_true", help="the example of the README over 100 seeds instead")
    options = parser.parse_args()
    with threadpool_limits(1):
        if options.quick_start:
            quick_start()
        else:
            run(SETTINGS, options.seconds)
