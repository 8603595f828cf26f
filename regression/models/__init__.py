"""Networks of the tasks."""

from mlunlearn.regression.models.networks import AllCNN, LSTMPair, Pixels, SequenceForecaster, mlp
from mlunlearn.regression.models.torchvision_models import MobileNetV3, ResNet18

__all__ = [
    "AllCNN",
    "LSTMPair",
    "MobileNetV3",
    "Pixels",
    "ResNet18",
    "SequenceForecaster",
    "mlp",
]
