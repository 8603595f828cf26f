"""Published formats, in files made for the test."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mlunlearn.datasets import find_data, mufac_table, read_images
from mlunlearn.datasets.mufac import MUFAC_FOLDER


def test_the_root_is_passed_or_stands_in_the_environment(tmp_path, monkeypatch):
    (tmp_path / "ett").mkdir()
    assert find_data(tmp_path, "ett") == tmp_path / "ett"
    monkeypatch.setenv("MLUNLEARN_DATA", str(tmp_path))
    assert find_data(None, "ett") == tmp_path / "ett"
    with pytest.raises(FileNotFoundError, match="publisher"):
        find_data(None, "mufac")
    monkeypatch.delenv("MLUNLEARN_DATA")
    with pytest.raises(FileNotFoundError, match="MLUNLEARN_DATA"):
        find_data(None, "ett")


def test_images_keep_their_colours_and_their_order(tmp_path):
    for i, colour in enumerate([(255, 0, 0), (0, 0, 255)]):
        Image.new("RGB", (40, 20), colour).save(tmp_path / f"{i}.png")
    images = read_images([tmp_path / "0.png", tmp_path / "1.png"], 4)
    assert images.dtype == np.uint8
    assert images.mean(axis=(2, 3)).tolist() == [[255, 0, 0], [0, 0, 255]]


def test_the_table_of_mufac_names_files_and_persons(tmp_path):
    base = tmp_path.joinpath(*MUFAC_FOLDER)
    base.mkdir(parents=True)
    rows = {
        "family_id": ["F0001"] * 2,
        "person_id": ["D", "M"],
        "age_class": ["a", "h"],
        "image_path": ["0.jpg", "1.jpg"],
    }
    pd.DataFrame(rows).to_csv(base / "custom_val_dataset.csv", index=False)
    table = mufac_table("val", root=tmp_path)
    assert table["file"].tolist() == [base / "val_images" / "0.jpg", base / "val_images" / "1.jpg"]
    assert table["person"].tolist() == ["F0001/D", "F0001/M"]


def test_reading_needs_no_torch():
    code = "import sys, mlunlearn.datasets; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
