"""The methods of gin/methods, small enough to be trained often."""

import pathlib

from slow_cases import slow_unless

from nae_tf.runs import configuration
from nae_tf.training.experiment import Experiment

GIN = pathlib.Path(__file__).resolve().parents[2] / "gin"
# NAE with another sampler. All others take the place of NAE.
SAMPLERS = {"mpdr", "mixture"}
METHODS = sorted(
    {path.stem for path in (GIN / "methods").glob("*.gin")} - SAMPLERS
)
# One of each kind: plain; with a state beside its weights; with an adversary;
# an energy with chains; a flow; a likelihood by sampling.
KINDS = {"ae", "vqvae", "ganomaly", "igebm", "glow", "vae_likelihood"}
# The others repeat what these show, and are slow together.
KINDS_FIRST = slow_unless(KINDS, METHODS)
# Methods that build their own network and take no encoder and decoder.
WITHOUT_NETWORKS = {"glow", "pixelcnn"}
TINY = [
    "latent_dim = 4",
    "MLPEncoder.hidden_units = (16,)",
    "MLPDecoder.hidden_units = (16,)",
    "Glow.num_steps = 1",
    "Glow.hidden_channels = 8",
    "PixelCNN.num_channels = 4",
    "PixelCNN.num_components = 2",
    "PixelCNN.num_scales = 1",
    "baseline/Phase.epochs = 2",
    "baseline/Phase.steps_per_epoch = 3",
    "baseline/Phase.batch_size = 16",
    "Experiment.evaluation_limit = 20",
]

# Of parts that other methods do not have.
TINY_PARTS = {"igebm": ["igebm/LangevinChain.num_steps = 3"]}


def experiment(method, preset="digits", bindings=TINY):
    files = [GIN / f"{preset}.gin", GIN / "methods" / f"{method}.gin"]
    parts = TINY_PARTS.get(method, []) if bindings else []
    configuration.parse_config([str(file) for file in files], bindings + parts)
    return Experiment.from_config()
