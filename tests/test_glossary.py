"""One thing has one name: the words for parameters of `ARCHITECTURE.md`, in every public estimator."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.docscrape import NumpyDocString

PAGE = (Path(__file__).parent.parent / "ARCHITECTURE.md").read_text()
PACKAGES = (
    "mlunlearn",
    "mlunlearn.approximate",
    "mlunlearn.audit",
    "mlunlearn.checks",
    "mlunlearn.graph",
    "mlunlearn.networks",
    "mlunlearn.regression",
    "mlunlearn.scenarios",
    "mlunlearn.sharded",
)
KINDS = {
    "max_epochs": ("int", "float"),
    "n_steps": ("int",),
    "budget": ("float",),
    "epsilon": ("float",),
    "delta": ("float",),
    "lr": ("float",),
    "batch_size": ("int",),
    "weight_decay": ("float",),
    "momentum": ("float",),
    "noise": ("float",),
    "temperature": ("float",),
    "tol": ("float",),
    "max_iter": ("int",),
    "n_jobs": ("int",),
    "verbose": ("int", "bool"),
    "random_state": ("int, RandomState instance",),
}
OTHER_NAMES = {
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "max_steps": "n_steps",
    "steps_per_request": "n_steps",
    "iterations": "n_steps",
    "learning_rate": "lr",
    "lr_rate": "lr",
    "eta": "lr",
    "l2": "weight_decay",
    "wd": "weight_decay",
    "sigma": "noise",
    "std": "noise",
    "noise_std": "noise",
    "T": "temperature",
    "trade_off": "alpha",
    "seed": "random_state",
    "rng": "random_state",
    "n_workers": "n_jobs",
    "progress": "verbose",
    "eps": "epsilon",
    "bs": "batch_size",
}


def offered():
    """Every public estimator, once, with the package that offers it."""
    found = {}
    for package in PACKAGES:
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name.split(".")[0].startswith("mlunlearn"):
                raise
            continue
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and hasattr(value, "get_params"):
                found.setdefault(value, f"{package}.{name}")
    return [pytest.param(value, id=name) for value, name in found.items()]


def words_of_the_page():
    table = PAGE.split("## Words for parameters")[1]
    cells = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`(\w+)", cell)}


def parameters_of(value):
    return inspect.signature(value.__init__).parameters


def types_of(value):
    """Types of parameters as the docstring gives them."""
    return {parameter.name: parameter.type for parameter in NumpyDocString(inspect.getdoc(value) or "")["Parameters"]}


def test_the_page_and_the_test_have_the_same_words():
    assert set(KINDS) | {"alpha", "published"} == words_of_the_page()
    assert not set(OTHER_NAMES) & words_of_the_page()


@pytest.mark.parametrize("value", offered())
def test_a_thing_has_the_name_it_has_everywhere(value):
    assert {name: OTHER_NAMES[name] for name in parameters_of(value) if name in OTHER_NAMES} == {}


@pytest.mark.parametrize("value", offered())
def test_a_word_is_of_one_kind(value):
    types = types_of(value)
    wrong = {
        name: types[name]
        for name in parameters_of(value)
        if name in KINDS and name in types and not types[name].startswith(KINDS[name])
    }
    assert wrong == {}


@pytest.mark.parametrize("value", offered())
def test_alpha_stands_in_an_equation(value):
    if "alpha" in parameters_of(value):
        described = re.sub(r"\n\s*alpha : .*?\n", "\n", inspect.getdoc(value), count=1)
        assert "alpha" in described
