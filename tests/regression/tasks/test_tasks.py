"""Loaders in the publishers' formats, and the networks of the tasks."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.frozen import FrozenEstimator

from mlunlearn.datasets.mufac import MUFAC_FOLDER
from mlunlearn.nets.seeds import seeded
from mlunlearn.networks import recorded
from mlunlearn.regression import (
    AllCNN,
    BlindspotRegressor,
    LSTMPair,
    Pixels,
    SequenceForecaster,
    StandardizedRegressor,
    agedb,
    california_housing,
    diabetes_progression,
    find_layers,
    hashed_pairs,
    mufac_ages,
    read_ett,
    sts_benchmark,
)

real_data = pytest.mark.skipif("MLUNLEARN_DATA" not in os.environ, reason="set MLUNLEARN_DATA to run on real data")


def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), (shade, 0, 0)).save(path)


@pytest.mark.parametrize(
    ("net", "X", "n_maps"),
    [
        (AllCNN(0.125), torch.zeros(4, 3, 32, 32), 8),
        (LSTMPair(50, n_dimensions=8), torch.ones(4, 2, 10, dtype=torch.long), 4),
        (SequenceForecaster(5), torch.randn(4, 48, 5), 3),
    ],
)
def test_networks_name_layers_that_exist(net, X, n_maps):
    with recorded(net, find_layers(net)) as maps:
        net(X)
    assert len(maps) == n_maps
    assert all(len(A) == 4 for A in maps)


def test_images_are_augmented_in_training_only():
    images = torch.arange(3 * 8 * 8).reshape(1, 3, 8, 8).repeat(16, 1, 1, 1).float()
    pixels = Pixels(padding=2)
    with seeded(0):
        shaken = pixels(images)
    assert shaken.shape == images.shape
    assert len(shaken.unique(dim=0)) > 8
    assert len(pixels.eval()(images).unique(dim=0)) == 1


def test_a_random_crop_is_a_shift():
    images = torch.arange(1.0, 65.0).reshape(1, 1, 8, 8)
    with seeded(1):
        shifted = (Pixels(padding=2, mirror=False)(images) + 1) * 127.5
    inside = shifted[0, 0][shifted[0, 0] > 0]
    down, across = divmod(int(inside[0].item()) - 1, 8)
    assert len(inside) >= 36
    assert down <= 4
    assert across <= 4


def test_agedb_format(tmp_path):
    rows = []
    for i, split in enumerate(["train", "train", "val", "test"]):
        picture(tmp_path / "AgeDB" / f"{i}.jpg", 20 * i)
        rows.append({"age": 20 + i, "path": f"{i}.jpg", "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "agedb.csv", index=False)
    task = agedb(tmp_path / "agedb.csv", tmp_path / "AgeDB", size=16)
    assert task.X.shape == (2, 3, 16, 16)
    assert task.X.dtype == np.uint8
    assert task.y.tolist() == [20, 21]
    assert task.y_test.tolist() == [23]
    pd.DataFrame(rows).drop(columns="age").to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(ValueError, match="age"):
        agedb(tmp_path / "bad.csv", tmp_path)
    pd.DataFrame(rows[:2]).to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(ValueError, match="'val'"):
        agedb(tmp_path / "short.csv", tmp_path / "AgeDB")


def test_mufac_format(tmp_path, monkeypatch):
    base = tmp_path.joinpath(*MUFAC_FOLDER)
    for part in ("train", "val", "test"):
        for i, age in enumerate("ah"):
            picture(base / f"{part}_images" / f"F0001_AGE_D_18_{age}{i}.jpg", 30 * i)
        pd.DataFrame(
            {
                "family_id": ["F0001"] * 2,
                "person_id": ["D", "M"],
                "age_class": ["a", "h"],
                "image_path": ["F0001_AGE_D_18_a0.jpg", "F0001_AGE_D_18_h1.jpg"],
            }
        ).to_csv(base / f"custom_{part}_dataset.csv", index=False)
    monkeypatch.setenv("MLUNLEARN_DATA", str(tmp_path))
    task = mufac_ages(size=8)
    assert task.y.tolist() == [3.0, 73.5]
    assert task.groups.tolist() == ["F0001/D", "F0001/M"]
    assert mufac_ages(size=8, limit=1).X.shape == (1, 3, 8, 8)


def test_sts_format_with_and_without_vectors(tmp_path):
    folder = tmp_path / "stsbenchmark"
    folder.mkdir()
    lines = [
        'news\tf\t2012\t1\t4.5\tA "plane" flies\tThe plane lands',
        "news\tf\t2012\t2\t0\tDogs bark\tRain falls\ts\ts",
    ]
    for part in ("train", "dev", "test"):
        (folder / f"sts-{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    task = sts_benchmark(root=tmp_path, n_buckets=64)
    assert task.X.shape == (2, 2, 10)
    assert task.X.max() < 64
    assert task.y.tolist() == [4.5, 0.0]
    (tmp_path / "glove.txt").write_text("plane 1 2\ndogs 3 4\nunused 5 6\n", encoding="utf-8")
    task = sts_benchmark(root=tmp_path, glove=tmp_path / "glove.txt")
    assert task.X[0, :, -1].tolist() != task.X[1, :, -1].tolist()
    assert task.X.max() == 2
    model = StandardizedRegressor(task.net.set_params(max_epochs=1), random_state=0).fit(task.X, task.y)
    vectors = model.net_.module_.words.weight
    assert not vectors.requires_grad
    assert vectors.tolist() == [[0, 0], [1, 2], [3, 4]]


def test_words_are_hashed_the_same_everywhere():
    X = hashed_pairs([("Planes land", "http://x.y planes!"), ("the", "")], n_tokens=3)
    assert X[0, 0, 1] == X[0, 1, 2] > 0
    assert X[1, 0].tolist()[:2] == [0, 0]
    assert X[1, 1].tolist() == [0, 0, 0]


def test_california_format(tmp_path):
    frame = pd.DataFrame({"median_income": [1.0, 2, 3, np.nan] * 10, "median_house_value": range(40)})
    frame.to_csv(tmp_path / "california_housing.csv", index=False)
    task = california_housing(root=tmp_path)
    assert len(task.X) + len(task.X_val) + len(task.X_test) == 30
    frame.drop(columns="median_house_value").to_csv(tmp_path / "no.csv", index=False)
    with pytest.raises(ValueError, match="MedHouseVal"):
        california_housing("no.csv", root=tmp_path)


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("MLUNLEARN_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="MLUNLEARN_DATA"):
        read_ett()
    with pytest.raises(FileNotFoundError, match="publisher"):
        read_ett(root=tmp_path)


def test_a_band_of_diabetes_comes_at_least_halfway_to_the_retrained_model():
    task = diabetes_progression()
    gone = task.y <= 90
    from mlunlearn.regression import prediction_distance

    original = StandardizedRegressor(task.net, random_state=0).fit(task.X, task.y)
    never = StandardizedRegressor(task.net, random_state=1).fit(task.X[~gone], task.y[~gone]).predict(task.X[gone])
    model = BlindspotRegressor(FrozenEstimator(original), batch_size=32, random_state=0).fit(task.X, task.y)
    before = prediction_distance(model.predict(task.X[gone]), never)
    assert prediction_distance(model.unlearn(gone).predict(task.X[gone]), never) < 0.5 * before


@real_data
def test_the_published_files_are_read():
    series = read_ett()
    assert series.shape == (17420, 7)
    task = sts_benchmark()
    assert [len(v) for v in (task.X, task.X_val, task.X_test)] == [5749, 1500, 1379]
    assert task.y.min() == 0
    assert task.y.max() == 5


@real_data
def test_faces_are_forgotten():
    task = mufac_ages(size=16, limit=200)
    assert task.X.shape == (200, 3, 16, 16)
    net = task.net.set_params(module__width=0.125, max_epochs=1, batch_size=64)
    model = BlindspotRegressor(net, blind_steps=3, n_steps=3, batch_size=64, random_state=0).fit(task.X, task.y)
    assert model.unlearn(task.y >= 60).predict(task.X_test).shape == task.y_test.shape


@pytest.mark.parametrize("name", ["ResNet18", "MobileNetV3"])
def test_networks_of_torchvision(name):
    import mlunlearn.regression as wing

    try:
        net = getattr(wing, name)()
    except ModuleNotFoundError:
        pytest.skip("needs torchvision")
    with recorded(net, find_layers(net)) as maps:
        assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 1)
    assert len(maps) == len(net.attention_layers)
