"""Encoders and decoders: those of the paper, and the builder of new ones."""

from nae_tf.networks.conv28 import Conv28Decoder, Conv28Encoder
from nae_tf.networks.conv32 import (
    Conv32BigDecoder,
    Conv32BigEncoder,
    Conv32Decoder,
    Conv32Encoder,
)
from nae_tf.networks.conv64 import Conv64Decoder, Conv64Encoder
from nae_tf.networks.fc_res2 import FCRes2Decoder, FCRes2Encoder
from nae_tf.networks.mlp import MLPDecoder, MLPEncoder
from nae_tf.networks.network import LayerBuilder, Network
from nae_tf.networks.plain import to_plain_network, to_plain_networks

__all__ = [
    "Conv28Decoder",
    "Conv28Encoder",
    "Conv32BigDecoder",
    "Conv32BigEncoder",
    "Conv32Decoder",
    "Conv32Encoder",
    "Conv64Decoder",
    "Conv64Encoder",
    "FCRes2Decoder",
    "FCRes2Encoder",
    "LayerBuilder",
    "MLPDecoder",
    "MLPEncoder",
    "Network",
    "to_plain_network",
    "to_plain_networks",
]
