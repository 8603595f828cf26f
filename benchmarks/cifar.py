"""Forgetting from an image classifier on CIFAR-10: ``MLUNLEARN_DATA=... python -m benchmarks.cifar``.

The data root holds ``cifar10/train/<class>/*.jpg`` and ``cifar10/test/<class>/*.jpg``, or them in
``cifar10/cifar10-images.tar``, or what torchvision downloads. See `benchmarks.classification` for what is measured. The
size that two cores carry is the default; the full protocol is::

    python -m benchmarks.cifar --images 50000 --epochs 30 --network resnet18 --device cuda
"""

from __future__ import annotations

import inspect
import io
import os
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn

from benchmarks.classification import arguments, key_of, run
from benchmarks.classification_scenarios import Data, Task
from mlunlearn._torchvision import import_torchvision
from mlunlearn.datasets import find_data
from mlunlearn.datasets.root import ROOT_VARIABLE
from mlunlearn.scenarios import Patch

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class ResNet9(nn.Module):
    """Convolutions in four widths, and two residual blocks; reads bytes.

    Parameters
    ----------
    width : int, default=16
        Channels of the first layer; the last has eight times as many.
    stride : int, default=1
        Of the first layer: 2 takes a quarter of the time.
    """

    def __init__(self, width: int = 16, stride: int = 1):
        super().__init__()
        w = width
        self.body = nn.Sequential(
            _block(3, w, stride=stride),
            _block(w, 2 * w, pool=True),
            _Residual(2 * w),
            _block(2 * w, 4 * w, pool=True),
            _block(4 * w, 8 * w, pool=True),
            _Residual(8 * w),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(8 * w, len(CLASSES))
        self.to(memory_format=torch.channels_last)  # a quarter faster on processors

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Score images of 3 x 32 x 32 bytes."""
        return self.head(self.body(X / 64 - 2))


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.inside = nn.Sequential(_block(width, width), _block(width, width))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X + self.inside(X)


def _block(n_in: int, n_out: int, pool: bool = False, stride: int = 1) -> nn.Sequential:
    layers = [nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers, *[nn.MaxPool2d(2)] * pool)


class ResNet18(nn.Module):
    """torchvision's, with a first layer for small images; reads bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = import_torchvision().models.resnet18(num_classes=len(CLASSES))
        self.inside.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.inside.maxpool = nn.Identity()

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Score images of 3 x 32 x 32 bytes."""
        return self.inside(X / 64 - 2)


NETWORKS: dict[str, Callable[..., nn.Module]] = {"resnet9": ResNet9, "resnet18": ResNet18}
ADAM = {"optimizer": torch.optim.Adam, "lr": 3e-3}
SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__weight_decay": 5e-4, "lr": 0.05}
"""Few steps fit a few thousand images with Adam alone; the full protocol has many."""


def net(network: str, width: int, stride: int, epochs: int, device: str) -> NeuralNetClassifier:
    """Make the untrained network."""
    return NeuralNetClassifier(
        NETWORKS[network],
        **({"module__width": width, "module__stride": stride} if network == "resnet9" else {}),
        criterion=nn.CrossEntropyLoss,
        **(ADAM if network == "resnet9" else SGD),
        max_epochs=epochs,
        batch_size=64,
        train_split=None,
        callbacks=[LRScheduler("CosineAnnealingLR", T_max=epochs)],
        device=device,
        verbose=0,
    )


# -------------------------------------------------------------------- data


def images(part: str, n_images: int, seed: int = 0) -> Data:
    """Read as many images of every class, drawn by a seed, in an order drawn by it."""
    try:
        root = find_data(None, "cifar10")
    except FileNotFoundError:
        return _of_torchvision(part, n_images, seed)
    names = _names(root, part)
    labels = np.array([CLASSES.index(Path(name).parent.name) for name in names])
    chosen = _draw(labels, n_images, seed)
    pixels = _read(root, [names[place] for place in chosen])
    return np.stack([pixels[names[place]] for place in chosen]), labels[chosen]


def _of_torchvision(part: str, n_images: int, seed: int) -> Data:
    """Read the original batches under the data root, or download them to where torchvision keeps data."""
    root = os.environ.get(ROOT_VARIABLE) or Path.home() / ".cache" / "torchvision"
    found = import_torchvision().datasets.CIFAR10(str(root), train=part == "train", download=True)
    labels = np.array(found.targets)
    chosen = _draw(labels, n_images, seed)
    return found.data[chosen].transpose(0, 3, 1, 2), labels[chosen]


def _draw(labels: np.ndarray, n_images: int, seed: int) -> np.ndarray:
    rng, each = np.random.default_rng(seed), n_images // len(CLASSES)
    of_classes = [rng.permutation(np.flatnonzero(labels == label))[:each] for label in range(len(CLASSES))]
    return rng.permutation(np.concatenate(of_classes))


def _names(root: Path, part: str) -> list[str]:
    if (root / part).is_dir():
        return sorted(str(path.relative_to(root.parent)) for path in (root / part).rglob("*.jpg"))
    with tarfile.open(root / "cifar10-images.tar") as archive:
        return sorted(name for name in archive.getnames() if f"/{part}/" in name and name.endswith(".jpg"))


def _read(root: Path, names: list[str]) -> dict[str, np.ndarray]:
    if (root.parent / names[0]).exists():
        return {name: _pixels(root.parent / name) for name in names}
    wanted = set(names)
    with tarfile.open(root / "cifar10-images.tar") as archive:
        return {
            member.name: _pixels(io.BytesIO(archive.extractfile(member).read()))  # type: ignore[union-attr]
            for member in archive
            if member.name in wanted
        }


def _pixels(source: Path | io.BytesIO) -> np.ndarray:
    with Image.open(source) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8).transpose(2, 0, 1)


def task(n_images: int, epochs: int, network: str, width: int, stride: int, device: str) -> Task:
    """CIFAR-10; a tenth of the training images is held out."""
    X, y = images("train", n_images)
    test = images("test", 1000 if n_images < 50000 else 10000)
    aside = len(y) // 11
    what = network if network == "resnet18" else f"{network} of width {width} and stride {stride}"
    return Task(
        name="cifar",
        note=f"{len(y) - aside:,} training images, {len(test[1]):,} test images; {what}, {epochs} epochs",
        train=(X[aside:], y[aside:]),
        test=test,
        held_out=(X[:aside], y[:aside]),
        net=partial(net, network, width, stride, epochs, device),
        forgotten_class=0,
        pair=(3, 5),
        patch=Patch(value=255),
        device=device,
    )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=2200, help="training images, a tenth of them held out")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="resnet9")
    parser.add_argument("--width", type=int, default=8, help="channels of the first layer of resnet9")
    parser.add_argument("--stride", type=int, default=2, help="of the first layer of resnet9")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    made_of = {name: getattr(chosen, name) for name in ("images", "epochs", "network", "width", "stride", "device")}
    made = task(*made_of.values())
    how = [inspect.getsource(part) for part in (NETWORKS[chosen.network], net)]
    run(made, chosen.seeds, chosen.scenarios, chosen.resume, key_of(how=how, **made_of), chosen.methods)
