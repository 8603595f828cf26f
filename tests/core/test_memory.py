"""Files serve as training data in memory that does not grow with their number."""

import subprocess
import sys

# The rows of the second round would take 26 MiB as bytes, and 105 MiB as the numbers that the network reads.
SCRIPT = """
import resource
import numpy as np, torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Dataset
from mlunlearn import SISAClassifier
from mlunlearn.approximate import FineTuneClassifier

SHAPE = (3, 96, 96)
for number in range(50):
    np.random.default_rng(number).integers(256, size=SHAPE, dtype=np.uint8).tofile(f"{number}.bin")

class Files(Dataset):
    def __init__(self, n):
        self.paths = [f"{place % 50}.bin" for place in range(n)]
        self.targets = [place % 50 % 3 for place in range(n)]
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, place):
        return torch.from_numpy(np.fromfile(self.paths[place], dtype=np.uint8).reshape(SHAPE)), self.targets[place]

def net():
    module = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(108, 3))
    return NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, batch_size=32, max_epochs=1, callbacks="disable")

def serve(files):
    for method in (SISAClassifier(net(), n_shards=2, n_slices=2), FineTuneClassifier(net())):
        method.fit(files).unlearn([0, 60]).predict(files)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

few = serve(Files(200))
print(serve(Files(1_000)) - few)
"""


def test_peak_memory_does_not_grow_with_the_number_of_files(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 16
