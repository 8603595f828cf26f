"""The README's quick start runs as printed, and its place for figures is there to be filled."""

import importlib.util
import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(
    importlib.util.find_spec("mlunlearn.sharded.sisa") is None, reason="SISAClassifier is not there yet"
)
def test_quick_start_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["model"].forgotten_.nonzero()[0].tolist() == [3, 17, 256]


def test_results_have_one_delimited_place():
    marks = re.findall(r"^<!-- results: (begin|end)\b.*-->$", README, flags=re.MULTILINE)
    assert marks == ["begin", "end"]
