"""Normalized Autoencoder for TensorFlow 2 and Keras 3.

Yoon, Noh & Park, Autoencoding Under Normalization Constraints, ICML 2021,
https://arxiv.org/abs/2105.05735. Equation, table and section numbers in the
documentation are those of this paper.

The paper's own files stand beside this one, in reading order `energy`,
`latent_space`, `langevin`, `langevin_chain`, `replay_buffer`, `samplers`,
`losses`, `autoencoder`, `nae`. Everything else has a room: `networks`,
`baselines`, `metrics`, `data` and `serving` have public names.
"""

import contextlib
import os
import pathlib
import sys
import tempfile

from nae_tf.runs.first_signals import end_by_first_signals

__version__ = "0.1.0"


def _is_command():
    """Return whether this process is a command of the package."""
    name = "".join(sys.argv[:1])
    started = any(x.startswith("nae_tf.") for x in sys.orig_argv)
    return (name == "-m" and started) or name.startswith("nae-tf ")


def _is_training():
    """Return whether this process is the command that trains."""
    return _is_command() and (
        sys.argv[0] == "nae-tf train" or "nae_tf.train" in sys.orig_argv
    )


@contextlib.contextmanager
def _silent_tensorflow():
    """Keep TensorFlow's own log lines out of what a command prints.

    Its libraries print some while they are loaded, at every level of logging.
    With TF_CPP_MIN_LOG_LEVEL in the environment they are shown.
    """
    if not _is_command() or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        terminal = os.dup(2)
    except OSError:  # The process that started the command has closed it.
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        failed = False
        try:
            yield
        except Exception:
            failed = True
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                log.seek(0)
                os.write(2, log.read())


def _choose_backend():
    """Have Keras compute by TensorFlow, or say that it does not.

    A command is a process of its own, where nobody else needs Keras.

    Raises:
        ImportError: if Keras is to compute by something else.
    """
    if _is_command():
        os.environ["KERAS_BACKEND"] = "tensorflow"
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if "keras" in sys.modules or backend == "tensorflow":
        try:
            import keras

            backend = keras.config.backend()
        except ModuleNotFoundError as error:
            backend = str(error.name)  # By keras.json, and not installed.
    if backend != "tensorflow":
        raise ImportError(
            f"nae_tf needs Keras on TensorFlow, and found the backend "
            f"{backend!r}; set KERAS_BACKEND=tensorflow in the environment "
            "before Keras is imported."
        )


# `nae-tf --help` answers without TensorFlow, which takes seconds to import. For
# a command runs/console_script.py renames the program and reloads this file.
if pathlib.PurePath(*sys.argv[:1]).name not in ("nae-tf", "nae-tf.exe"):
    if _is_training():
        end_by_first_signals()
    with _silent_tensorflow():
        _choose_backend()
        from nae_tf import baselines, data, metrics, networks, serving, tables
        from nae_tf.autoencoder import Autoencoder
        from nae_tf.base import OutlierDetector
        from nae_tf.estimator import NAEDetector
        from nae_tf.langevin_chain import LangevinChain
        from nae_tf.latent_space import Euclidean, Sphere
        from nae_tf.nae import NAE
        from nae_tf.replay_buffer import ReplayBuffer
        from nae_tf.samplers import (
            ContrastiveDivergence,
            NegativeSample,
            OnManifold,
            PersistentContrastiveDivergence,
            Sampler,
        )
        from nae_tf.serving import (
            Calibration,
            ExportedModel,
            benjamini_hochberg,
            export_model,
        )

__all__ = [
    "NAE",
    "Autoencoder",
    "Calibration",
    "ContrastiveDivergence",
    "Euclidean",
    "ExportedModel",
    "LangevinChain",
    "NAEDetector",
    "NegativeSample",
    "OnManifold",
    "OutlierDetector",
    "PersistentContrastiveDivergence",
    "ReplayBuffer",
    "Sampler",
    "Sphere",
    "baselines",
    "benjamini_hochberg",
    "data",
    "export_model",
    "metrics",
    "networks",
    "serving",
    "tables",
]
