"""Exports as models of Apache Beam: for RunInference and AnomalyDetection.

Beam's own handlers of TensorFlow load models by Keras, which refuses the
SavedModels of Keras 3; these load them by TensorFlow.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nae_tf.base.private import fields_of_row
from nae_tf.serving.saved_model import ExportedModel

try:
    import apache_beam
    from apache_beam.ml.anomaly.base import AnomalyPrediction
    from apache_beam.ml.anomaly.detectors.offline import OfflineDetector
    from apache_beam.ml.inference.base import (
        KeyedModelHandler,
        ModelHandler,
        PredictionResult,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "scoring on Apache Beam needs apache-beam; pip install 'nae-tf[beam]'."
    ) from error


def thread_variables(threads: int) -> dict[str, str]:
    """Return environment variables that bound the threads of a process.

    TensorFlow reads them when it computes for the first time. Without them
    every worker on a machine has as many threads as the machine has cores.

    Args:
        threads: number of threads, >= 1.
    """
    names = (
        "OMP_NUM_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "TF_NUM_INTRAOP_THREADS",
    )
    return dict.fromkeys(names, str(threads))


class ExportHandler(ModelHandler[np.ndarray, PredictionResult, ExportedModel]):
    """Handler of an export for Beam's `RunInference`.

    Examples are arrays of the model's shape. The inference of each is a
    dictionary of numbers: "energy", "p_value", "conditional_p_value",
    "is_outlier" and "status". An example with NaN or values out of range spoils
    no other one: its energy is NaN, it is an outlier, and its status says why.
    One of another shape fails the batch that it is in.

    A process has one copy of the model. With `inference_args`, RunInference may
    pass `{"false_alarm_rate": 0.01}`.
    """

    def __init__(
        self,
        path: str,
        threads: int = 1,
        trust_model: bool = False,
        **settings,
    ):
        """Set what is loaded; a worker loads it.

        Args:
            path: folder of an exported version, which all workers see.
            threads: threads of TensorFlow in each worker process.
            trust_model: whether the model may reach out of its graphs.
            **settings: of `ModelHandler`, such as `max_batch_size`.
        """
        env_vars = thread_variables(threads) | settings.pop("env_vars", {})
        super().__init__(env_vars=env_vars, **settings)
        self._path = str(path)
        self._trust_model = trust_model

    def load_model(self) -> ExportedModel:
        """Load the export."""
        return ExportedModel(self._path, self._trust_model)

    def run_inference(
        self,
        batch: Sequence[np.ndarray],
        model: ExportedModel,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        """Yield a result per example, in order."""
        outputs = model.outputs(np.stack(batch), **(inference_args or {}))
        columns = {name: values.tolist() for name, values in outputs.items()}
        for example, *row in zip(batch, *columns.values(), strict=True):
            inference = dict(zip(columns, row, strict=True))
            yield PredictionResult(example, inference, self._path)

    def get_metrics_namespace(self) -> str:
        """Return the name under which Beam counts."""
        return "nae_tf"

    def update_model_path(self, model_path: str | None = None):
        """Load another version from now on, as Beam's side inputs ask for."""
        self._path = model_path or self._path


class RowHandler(ExportHandler):
    """Handler of an export whose examples are `beam.Row`s of numbers.

    Rows name features: they are put in the order of the export's schema, and
    rows that lack one fail their batch. Without a schema they are taken as
    they stand.
    """

    def run_inference(
        self,
        batch: Sequence[apache_beam.Row],
        model: ExportedModel,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        """Yield a result per row, in order."""
        examples = []
        for row in batch:
            features = fields_of_row(row)
            values = np.array(list(features.values()), np.float64)
            if model.schema is not None:
                order = model.schema.order("a row", tuple(features))
                values = values if order is None else values[order]
            examples.append(values)
        results = super().run_inference(examples, model, inference_args)
        for row, result in zip(batch, results, strict=True):
            yield PredictionResult(row, result.inference, result.model_id)


def export_detector(path: str, threads: int = 1, **settings) -> OfflineDetector:
    """Return an export as a detector of Beam's `AnomalyDetection`.

    The score is the energy, the label 1 for what the export calls an outlier,
    else 0, and `info` has the p-value. A `threshold_criterion` of Beam decides
    instead if there is one.

    Args:
        path: folder of an exported version, which all workers see.
        threads: threads of TensorFlow in each worker process.
        **settings: of Beam's `OfflineDetector`, such as `model_id`,
            `threshold_criterion` and `features`.
    """
    handler = KeyedModelHandler(RowHandler(path, threads))
    return OfflineDetector(
        handler.with_postprocess_fn(_as_prediction), **settings
    )


def _as_prediction(keyed):
    key, result = keyed
    outputs = result.inference
    return key, AnomalyPrediction(
        score=outputs["energy"],
        label=int(outputs["is_outlier"]),
        info=f"p_value={outputs['p_value']:.6g}",
    )
