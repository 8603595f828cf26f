"""The README's quick start runs as printed, and every figure shown is one of a results file."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_quick_start_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["model"].forgotten_.nonzero()[0].tolist() == [3, 17, 256]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import tables

    yield tables
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]


def test_the_page_of_results_is_that_of_the_results_files(tables):
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == tables.page()


def test_the_table_of_the_readme_is_that_of_the_results_files(tables):
    (shown,) = re.findall(r"<!-- results: begin[^>]*-->\n(.*?)<!-- results: end -->", README, flags=re.DOTALL)
    assert shown == tables.headline()
