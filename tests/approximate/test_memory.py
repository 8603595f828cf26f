"""Images in files serve as training data, in memory that does not grow with their number."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("MLUNLEARN_DATA" not in os.environ, reason="set MLUNLEARN_DATA to run on real data"),
]

# Peak memory above that of the interpreter with everything imported, in MiB; the batches are of 64 images.
SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.utils.data import Dataset
from mlunlearn.approximate import FineTuneClassifier
from skorch import NeuralNetClassifier

class Images(Dataset):
    def __init__(self, root, n):
        classes = sorted(path.name for path in root.iterdir())
        found = [(path, classes.index(path.parent.name)) for path in sorted(root.rglob("*.jpg"))]
        chosen = np.random.default_rng(0).permutation(len(found))[:n]
        self.paths, self.targets = zip(*(found[place] for place in chosen))
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, place):
        with Image.open(self.paths[place]) as image:
            return torch.as_tensor(np.array(image)).permute(2, 0, 1), self.targets[place]

def net():
    layers = [nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    module = nn.Sequential(*layers, nn.Linear(32, 10))
    return NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, batch_size=64, max_epochs=1).initialize()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def serve(images):
    model = FineTuneClassifier(FrozenEstimator(net()), n_steps=20, random_state=0).fit(images)
    model.unlearn(np.arange(0, len(images), 50)).unlearn(classes=[3])
    model.predict(Images(root, 256))

root, n = Path(sys.argv[1]), int(sys.argv[2])
serve(Images(root, 512))  # torch allocates its own workspace at the first steps
images = Images(root, n)
before = peak()
serve(images)
print(peak() - before)
"""


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    archive = Path(os.environ["MLUNLEARN_DATA"]) / "cifar10" / "cifar10-images.tar"
    if not archive.exists():
        pytest.skip("no cifar10/cifar10-images.tar under MLUNLEARN_DATA")
    folder = tmp_path_factory.mktemp("cifar")
    with tarfile.open(archive) as images:
        images.extractall(folder, filter="data")
    return next(folder.rglob("train"))


@pytest.mark.parametrize("n_images", [5_000, 50_000])
def test_memory_does_not_grow_with_the_number_of_images(n_images, cifar):
    """The images decoded would take 147 MiB as bytes and 586 MiB as the numbers that the network reads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(cifar), str(n_images)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 32
