"""What a user installs: light to import, complete in the wheel, one module per file."""

import ast
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("graph", "vision", "regression")
FOLDERS = {"mlunlearn": "mlunlearn", **{wing: f"mlunlearn/{wing}" for wing in WINGS}}
HEAVY = ("torch", "torch_geometric", "torchvision", "opacus", "skorch", "matplotlib.pyplot")

IMPORT_REPORT = """
import importlib, json, sys
target, optional, *names = sys.argv[1:]
sys.path.insert(0, target)
report = {}
for name in names:
    try:
        report[name] = importlib.import_module(name).__file__
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in optional.split(","):
            raise
        report[name] = None
print(json.dumps(report))
"""


def run(*command, cwd):
    """Run a command outside the repository's own import path and return what it printed."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def source_files():
    """Installed path of every Python file in the four source folders."""
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
    }


def module_name(path):
    """Dotted name of the module that an installed path holds."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_editable():
    """Whether the environment's mlunlearn is an editable install."""
    urls = (d.read_text("direct_url.json") for d in importlib.metadata.distributions(name="mlunlearn"))
    return any(json.loads(url).get("dir_info", {}).get("editable", False) for url in urls if url)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Wheel built from the sdist of a copy, so that nothing an earlier build left behind can slip in."""
    copy = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, copy, cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_importing_the_core_is_light(tmp_path):
    code = "import sys, mlunlearn; print(*sorted(sys.modules))"
    loaded = run(sys.executable, "-c", code, cwd=tmp_path).split()
    assert "mlunlearn" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize("wing", WINGS)
def test_wings_are_one_namespace_with_the_core(wing):
    spec = importlib.util.find_spec(f"mlunlearn.{wing}")
    assert spec is not None
    if not is_editable():
        pytest.skip("not an editable install")
    assert Path(spec.origin) == ROOT / wing / "__init__.py"


@pytest.mark.parametrize("wing", WINGS)
def test_wings_say_what_they_are_for(wing):
    tree = ast.parse((ROOT / wing / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)


def test_every_file_names_the_same_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    code = (ROOT / "mlunlearn" / "__init__.py").read_text(encoding="utf-8").splitlines()
    named = [line.split()[-1].strip('"') for line in citation if line.startswith("version:")]
    named += [line.split()[-1].strip('"') for line in code if line.startswith("__version__ =")]
    assert set(named) == {project["version"]}


def test_floors_are_the_declared_ones():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = dict(
        r.split(">=") for r in (*project["dependencies"], *extras["torch"], *extras["graph"][1:], *extras["test"])
    )
    lines = (ROOT / "constraints-floor.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert set(pins) == set(declared)
    exact = {name: floor for name, floor in declared.items() if name != "torch"}  # its floor was not tried
    parts = {name: floor.split(".") for name, floor in exact.items()}
    assert {name: pins[name].split(".")[: len(floor)] for name, floor in parts.items()} == parts


@pytest.mark.xdist_group("wheel")
def test_wheel_holds_exactly_the_source_folders(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.endswith(".py")} == source_files()
    assert "mlunlearn/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"mlunlearn", f"{wheel.stem.split('-py3')[0]}.dist-info"}


@pytest.mark.xdist_group("wheel")
def test_installed_wheel_imports_from_elsewhere(wheel, tmp_path):
    target = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, wheel, cwd=tmp_path)
    names = {module_name(path) for path in source_files()}
    public = sorted(n for n in names if not any(part.startswith("_") for part in n.split(".")))
    assert {"mlunlearn", *(f"mlunlearn.{wing}" for wing in WINGS)} <= set(public)
    optional = ",".join(h.split(".")[0] for h in HEAVY if not h.startswith("matplotlib"))
    report = json.loads(run(sys.executable, "-c", IMPORT_REPORT, target, optional, *public, cwd=tmp_path))
    assert list(report) == public
    assert [name for name, file in report.items() if file and not Path(file).is_relative_to(target)] == []
