"""The README's quick start runs as printed, and every figure shown is one of a results file."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECONDS = re.compile(r"[\d.e-]+ s\b")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_quick_start_runs_and_prints_what_is_shown(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["model"].forgotten_.nonzero()[0].tolist() == list(range(400))
    shown = re.findall(r"```\n(SISAClassifier: forgot.*?)```", README, flags=re.DOTALL)[0].splitlines()
    printed = capsys.readouterr().out.splitlines()
    for line, seen in zip(shown, printed, strict=True):
        assert SECONDS.sub("s", line) == SECONDS.sub("s", seen)


def test_the_verdicts_over_many_seeds_are_those_of_the_results_file():
    found = json.loads((ROOT / "benchmarks" / "results" / "audit_quick_start.json").read_text(encoding="utf-8"))
    counts = [
        found["decisions"][name].count(letter) for name, letter in (("unlearned", "R"), ("before unlearning", "D"))
    ]
    (stated,) = re.findall(
        r"as a retrained model\* in (\d+) and the one before was \*distinguishable\* in (\d+)", README
    )
    assert list(map(int, stated)) == counts


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    before = set(sys.modules)
    from benchmarks import tables

    yield tables
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks" and name not in before]:
        del sys.modules[name]


def test_the_page_of_results_is_that_of_the_results_files(tables):
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == tables.page()


def test_the_table_of_the_readme_is_that_of_the_results_files(tables):
    (shown,) = re.findall(r"<!-- results: begin[^>]*-->\n(.*?)<!-- results: end -->", README, flags=re.DOTALL)
    assert shown == tables.headline()


@pytest.mark.parametrize("page", ["README.md", "docs/forgetting-from-a-trained-network.md"])
def test_the_advice_is_that_of_the_results_files(page, tables):
    text = (ROOT / page).read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- advice: begin[^>]*-->\n(.*?)<!-- advice: end -->", text, flags=re.DOTALL)
    assert shown == tables.advice.advice()
