"""What every method is built on: the contract, training steps, checks."""

from nae_tf.base.detector import OutlierDetector
from nae_tf.base.loss_model import LossModel

__all__ = ["LossModel", "OutlierDetector"]
