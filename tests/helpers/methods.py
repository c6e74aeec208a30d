"""The methods of gin/methods, small enough to be trained often."""

import pathlib

from nae_tf.runs import configuration
from nae_tf.training.experiment import Experiment

GIN = pathlib.Path(__file__).resolve().parents[2] / "gin"
# All but MPDR, which is NAE with another sampler, take the place of NAE.
METHODS = sorted(
    path.stem for path in (GIN / "methods").glob("*.gin") if path.stem != "mpdr"
)
TINY = [
    "latent_dim = 4",
    "MLPEncoder.hidden_units = (16,)",
    "MLPDecoder.hidden_units = (16,)",
    "baseline/Phase.epochs = 2",
    "baseline/Phase.steps_per_epoch = 3",
    "baseline/Phase.batch_size = 16",
    "Experiment.evaluation_limit = 20",
]


def experiment(method, preset="digits", bindings=TINY):
    files = [GIN / f"{preset}.gin", GIN / "methods" / f"{method}.gin"]
    configuration.parse_config([str(file) for file in files], bindings)
    return Experiment.from_config()
