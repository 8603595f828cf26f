"""The README's quick start runs as printed, and its place for figures is there to be filled."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_quick_start_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["model"].forgotten_.nonzero()[0].tolist() == [3, 17, 256]


def test_results_have_one_delimited_place():
    marks = re.findall(r"^<!-- results: (begin|end)\b.*-->$", README, flags=re.MULTILINE)
    assert marks == ["begin", "end"]


def test_results_are_those_of_the_results_files():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tables"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    shown = README.split("<!-- results: begin", 1)[1].split("-->\n", 1)[1].split("<!-- results: end", 1)[0]
    assert shown.strip() == done.stdout.strip()
