"""Packages of the four source folders; everything else is in ``pyproject.toml``."""

from setuptools import find_packages, setup

WINGS = ("graph", "vision", "regression")
wing_packages = find_packages(include=[p for wing in WINGS for p in (wing, f"{wing}.*")])

setup(
    packages=[
        "mlunlearn",
        *(f"mlunlearn.{p}" for p in find_packages("mlunlearn")),
        *(f"mlunlearn.{p}" for p in wing_packages),
    ],
    package_dir={"mlunlearn": "mlunlearn", **{f"mlunlearn.{wing}": wing for wing in WINGS}},
    package_data={"mlunlearn": ["py.typed"]},
)
