"""Other methods, most on the networks of NAE (section 6.3, appendix D.4).

There is one file per method, in reading order `dae`, `vae`, `wae`, `rae`,
`vqvae`, `memae`, `dagmm`, `ganomaly`, `igebm`, `glow`, `pixelcnn`; none imports
another. The plain autoencoder is `nae_tf.Autoencoder`. `projection_diffusion`
is no method of its own but a sampler of `NAE`, which makes it MPDR; its frozen
networks are in `frozen_manifold`, and `mixture_of_samplers` has it beside
others. Other files are the mathematics of methods: `gaussian_mixture` of DAGMM;
`spectral_norm` of IGEBM; `likelihood_model` of the next two; `flow_layers` and
`flow_couplings` of Glow; `causal_layers` and `logistic_mixture` of PixelCNN++.

The requirements of a method:

- An `OutlierDetector`, or an `Autoencoder` where it scores by reconstruction
  error. Its constructor takes `encoder` and `decoder` first, or no network. The
  class is registered for gin (`@gin.register(module="nae_tf")`, outermost) and
  for Keras.
- Every argument of its constructor is an attribute of the same name: saved
  models are rebuilt from these.
- `objective(x, training)` returns its loss and the other metrics of `fit`, by
  the names of `track`; a game of two losses overrides `players`. Noise comes
  from `noise_seed`, never from a stateful generator.
- `outlier_score(x)` depends on `x` alone: an example scores the same in any
  batch and at any time.
- `gin/methods/<method>.gin` puts it in the place of NAE in any preset:

      Experiment.model = @DAE
      Experiment.training = @baseline/Phase()
      Experiment.pretraining = None

      DAE.encoder = %encoder
      DAE.decoder = %decoder

  `%encoder`, `%decoder`, `%latent_dim`, `%num_levels` (grey levels of images,
  or None) and `%seed` are macros of the presets;
  `baseline/Phase` has as many steps as both phases of NAE together.

`tests/baselines/contract_test.py` checks every method file.
"""

from nae_tf.baselines.dae import DAE
from nae_tf.baselines.dagmm import DAGMM
from nae_tf.baselines.ganomaly import GANomaly
from nae_tf.baselines.glow import Glow
from nae_tf.baselines.igebm import IGEBM, energy_network
from nae_tf.baselines.memae import MemAE
from nae_tf.baselines.mixture_of_samplers import MixtureOfSamplers
from nae_tf.baselines.pixelcnn import PixelCNN
from nae_tf.baselines.projection_diffusion import ProjectionDiffusion
from nae_tf.baselines.rae import RAE
from nae_tf.baselines.vae import VAE, gaussian_encoder
from nae_tf.baselines.vqvae import VQVAE
from nae_tf.baselines.wae import WAE

__all__ = [
    "DAE",
    "DAGMM",
    "IGEBM",
    "RAE",
    "VAE",
    "VQVAE",
    "WAE",
    "GANomaly",
    "Glow",
    "MemAE",
    "MixtureOfSamplers",
    "PixelCNN",
    "ProjectionDiffusion",
    "energy_network",
    "gaussian_encoder",
]
