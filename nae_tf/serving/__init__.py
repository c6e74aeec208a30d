"""Serving: calibrated p-values, exports, and scores of files."""

from nae_tf.serving.calibration import Calibration, benjamini_hochberg
from nae_tf.serving.device_export import DeviceExport, export_for_device
from nae_tf.serving.export import export_model
from nae_tf.serving.monitor import BatchSummary, Monitor
from nae_tf.serving.recalibration import recalibrate
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.signatures import make_signatures
from nae_tf.serving.trimming import (
    Trimmed,
    trim,
    trimmed_false_alarm_rate,
)

__all__ = [
    "BatchSummary",
    "Calibration",
    "DeviceExport",
    "ExportedModel",
    "Monitor",
    "Trimmed",
    "benjamini_hochberg",
    "export_for_device",
    "export_model",
    "make_signatures",
    "recalibrate",
    "trim",
    "trimmed_false_alarm_rate",
]
