"""A new version of an export: other calibration, the same weights."""

import pathlib

import tensorflow as tf

from nae_tf.base.setting_checks import check_instance
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import write_version
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.signatures import RATES, decisions, trace

# Functions of energies in a version that `recalibrate` wrote, by signature.
_ENERGIES = {
    "score": "energies",
    "score_encoded_image": "energies_of_files",
}


def recalibrate(
    path,
    calibration: Calibration,
    version: int | None = None,
    trust_model: bool = False,
) -> pathlib.Path:
    """Write an export anew with another calibration.

    The graphs of the energies are those of the old version, which stays as it
    is, and so are the weights, the schema and the configuration.

    Args:
        path: directory of a version.
        calibration: scores of held-out inliers under that version.
        version: number of the new one, > 0; None means the next free one.
        trust_model: whether the model may reach out of its graphs and its
            folder, as `ExportedModel` takes it.

    Returns:
        The path of the new version, beside the old one.

    Raises:
        FileExistsError: if there is such a version already.
        FileNotFoundError: if there is no SavedModel.
        OSError: if it could not be written; nothing of it stays.
        ValueError: if the old version is no export.

    Example:
        >>> import pathlib, tempfile
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import Autoencoder, Calibration, export_model
        >>> from nae_tf.serving import ExportedModel, recalibrate
        >>> model = Autoencoder(
        ...     keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        ...     keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export_model(model, Calibration([0.1, 0.2]), folder)
        ...     path = recalibrate(path, Calibration(np.arange(1.0, 100.0)))
        ...     scores = ExportedModel(path).score(np.zeros((1, 3)))
        >>> path.name, scores["p_value"].tolist()
        ('2', [1.0])
    """
    check_instance("recalibrate", "calibration", calibration, Calibration)
    path = pathlib.Path(path)
    loaded = ExportedModel(path, trust_model).loaded
    module = tf.Module()
    # Kept alive by the module: the variables, and what leads to them.
    module.weights = list(loaded.weights)
    if hasattr(loaded, "value_range"):
        module.value_range = loaded.value_range
    signatures: dict = {}
    for name in loaded.signatures:
        if name in _ENERGIES:
            energies = _energies(loaded, name)
            setattr(module, _ENERGIES[name], energies)
            signatures |= _scores(name, energies, calibration)
        elif name not in ("serving_default", "score_at"):
            signatures[name] = _passed_on(loaded.signatures[name])
    signatures["serving_default"] = signatures["score"]
    extra = path / "assets.extra"
    texts = {
        name: (extra / name).read_text(encoding="utf-8")
        for name in ("config.gin", "schema.json")
        if (extra / name).exists()
    }
    texts["calibration.json"] = calibration.to_json()
    return write_version(
        path.absolute().parent, version, module, signatures, texts
    )


def _spec_of(signature):
    """The one input of a signature, by name."""
    [(name, spec)] = signature.structured_input_signature[1].items()
    return tf.TensorSpec(spec.shape, spec.dtype, name)


def _energies(loaded, name):
    """The function of energies: not of the decisions that rest on them."""
    kept = getattr(loaded, _ENERGIES[name], None)
    if kept is not None:
        return kept
    signature = loaded.signatures[name]
    spec = _spec_of(signature)

    @tf.function(input_signature=[spec], autograph=False)
    def energies(x):
        outputs = signature(**{spec.name: x})
        energy = outputs["energy"]
        good = tf.zeros(tf.shape(energy), tf.int32)
        return {"energy": energy, "status": outputs.get("status", good)}

    return energies


def _scores(name, energies, calibration):
    """Signatures of scores that rest on a calibration."""
    [spec] = energies.input_signature

    def score(x, false_alarm_rate=None):
        found = energies(x)
        return decisions(
            calibration, found["energy"], found["status"], false_alarm_rate
        )

    signatures = {name: trace(lambda x: score(x), spec)}
    if name == "score":
        signatures["score_at"] = trace(score, spec, RATES)
    return signatures


def _passed_on(signature):
    """A signature of the new version that answers as that of the old one."""
    inputs = signature.structured_input_signature[1]
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name)
        for name, spec in inputs.items()
    ]
    return trace(
        lambda *values: signature(**dict(zip(inputs, values, strict=True))),
        *specs,
    )
