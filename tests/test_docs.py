"""The code of the documentation runs as printed, and its figures are those of the results files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory, methods
from benchmarks.reconstruction import MARKS, table

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}

# As for pytest: errors, but for what torch-geometric raises, which skorch imports where it is installed.
WARNINGS = ["-W", "error"] + [
    part
    for message in ("`torch.jit.script` is deprecated", "`torch_geometric.distributed` has been deprecated")
    for part in ("-W", f"ignore:{message}:DeprecationWarning")
]


def code_of(page):
    """All blocks of Python of a page, in order."""
    return "\n".join(re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL))


@pytest.mark.parametrize("page", [name for name in PAGES if "```python" in PAGES[name]])
def test_code_runs_as_printed(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(code_of(page))
    done = subprocess.run(
        [sys.executable, *WARNINGS, script.name], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_guide_ends_in_a_method_of_under_fifteen_lines():
    code = code_of("guide-own-method.md")
    method = code[code.index("class ") : code.index("from mlunlearn.checks")]
    assert 0 < sum(bool(line.strip()) for line in method.splitlines()) < 15
    assert "check_unlearner(RidgeIndicators())" in code


def test_figures_of_the_attack_are_those_of_the_results_file():
    assert len(MARKS.findall(PAGES["what-exactness-does-not-give.md"])) == 1
    assert table() in PAGES["what-exactness-does-not-give.md"]


def test_figures_of_memory_are_those_of_the_results_file():
    """Also the promise: 600 MiB above a bare interpreter, and no more for twice the rows than chance between runs."""
    assert len(memory.MARKS.findall(PAGES["data-larger-than-memory.md"])) == 1
    assert memory.table() in PAGES["data-larger-than-memory.md"]
    found = json.loads((memory.RESULTS / "memory.json").read_text(encoding="utf-8"))
    peaks = {size: [run["peak"] for run in found["runs"] if run["rows"] == size] for size in memory.SIZES}
    assert max(peaks[50_000]) - found["interpreter"] < 600
    assert max(peaks[50_000]) - min(peaks[25_000]) < 16


def test_what_methods_need_is_what_they_declare():
    page = PAGES["forgetting-from-a-trained-network.md"]
    assert methods.MARKS.findall(page) == [("<!-- methods: begin -->\n", "<!-- methods: end -->")]
    assert f"{methods.MARKS.findall(page)[0][0]}{methods.table()}<!-- methods: end -->" in page
    assert methods.table().count("\n") == 2 + len(list(methods.methods())) > 25


def test_links_lead_to_files():
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (ROOT / "docs" / target).exists(), f"{page}: {target}"
