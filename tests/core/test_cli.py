"""The command line, run as a user runs it."""

import json
import subprocess
import sys

import pytest

from mlunlearn.cli import main


def test_the_demonstration_runs_proves_and_writes(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "mlunlearn", "demo", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "to the last bit" in done.stdout
    assert "forgot 18 rows" in done.stdout
    assert "The model that has forgotten is as a retrained model" in done.stdout
    assert "The model before is distinguishable from one" in done.stdout
    assert "SISAClassifier" in done.stderr  # progress
    assert (tmp_path / "out" / "audit.png").read_bytes().startswith(b"\x89PNG")
    saved = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert saved


def test_the_command_line_explains_itself(capsys):
    for arguments, status, said in (["--help"], 0, "demo"), ([], 2, "required"), (["nonsense"], 2, "invalid choice"):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == status
        printed = capsys.readouterr()
        assert said in printed.out + printed.err
