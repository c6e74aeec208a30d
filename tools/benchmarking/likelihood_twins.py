"""Glow and PixelCNN++ in plain PyTorch, with our weights.

A PyTorch user would write them so: the same layers, arithmetic and optimizer as
`gin/methods/glow.gin` and `pixelcnn.gin`. `tools/benchmark.py likelihood`
checks that they give the same likelihoods.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

_LOG_2_PI = math.log(2 * math.pi)


def from_keras(kernel) -> torch.Tensor:
    """Turn a kernel [height, width, in, out] into [out, in, height, width]."""
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))


def vector(values) -> nn.Parameter:
    """Return a parameter of its own."""
    return nn.Parameter(torch.from_numpy(np.array(values)))


class LikelihoodTwin(nn.Module):
    """What both have in common; images are float [batch, 1, height, width]."""

    num_levels: int

    def log_likelihood(self, levels, training):
        """Compute log p of grey levels, float [batch], in nats."""
        raise NotImplementedError

    def train_step(self, x, optimizer):
        """Take one step of maximum likelihood; return the loss."""
        optimizer.zero_grad()
        levels = (x * self.num_levels).floor().clamp(0, self.num_levels - 1)
        loss = -self.log_likelihood(levels, training=True).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    def bits_per_dimension(self, x, training=False):
        """Score images, float [batch]."""
        levels = (x * self.num_levels).floor().clamp(0, self.num_levels - 1)
        with torch.no_grad():
            log_likelihood = self.log_likelihood(levels, training)
        return -log_likelihood / (x[0].numel() * math.log(2))


# --- Glow ---------------------------------------------------------------------


class ActNorm(nn.Module):
    """An affine map of every channel."""

    def __init__(self, bias, log_scale):
        super().__init__()
        self.bias, self.log_scale = vector(bias), vector(log_scale)

    def forward(self, x):
        """Map x; return also the log determinant."""
        scale = self.log_scale.exp()[:, None, None]
        log_det = x.shape[2] * x.shape[3] * self.log_scale.sum()
        return (x + self.bias[:, None, None]) * scale, log_det


class Step(nn.Module):
    """ActNorm, invertible 1x1 convolution and affine coupling."""

    def __init__(self, weights):
        super().__init__()
        self.norm = ActNorm(*weights["norm"])
        for name in ("permutation", "signs"):
            self.register_buffer(name, torch.from_numpy(weights[name]))
        for name in ("log_diagonal", "lower", "upper"):
            setattr(self, name, vector(weights[name]))
        self.kernels = nn.ParameterList(
            [nn.Parameter(from_keras(k)) for k in weights["kernels"]]
        )
        self.norms = nn.ModuleList([ActNorm(*n) for n in weights["norms"]])
        self.last_bias = vector(weights["last_bias"])
        self.last_log_scale = vector(weights["last_log_scale"])

    def forward(self, x):
        """Map x; return also the log determinant, float [batch]."""
        x, log_det = self.norm(x)
        size = len(self.signs)
        identity = torch.eye(size, device=x.device)
        lower = self.lower.tril(-1) + identity
        diagonal = self.signs * self.log_diagonal.exp()
        upper = self.upper.triu(1) + torch.diag(diagonal)
        matrix = self.permutation @ lower @ upper
        x = functional.conv2d(x, matrix.T[:, :, None, None])
        log_det = log_det + x.shape[2] * x.shape[3] * self.log_diagonal.sum()
        fixed, moved = x.split([size // 2, size - size // 2], 1)
        h = fixed
        for kernel, norm in zip(self.kernels, self.norms, strict=False):
            h, _ = norm(functional.conv2d(h, kernel, padding="same"))
            h = functional.relu(h)
        h = functional.conv2d(h, self.kernels[-1], self.last_bias, padding=1)
        h = h * (3 * self.last_log_scale).exp()[:, None, None]
        shift, logits = h.chunk(2, 1)
        scale = 0.01 + 0.99 * torch.sigmoid(logits + 2)
        y = torch.cat([fixed, (moved + shift) * scale], 1)
        return y, log_det + scale.log().sum((1, 2, 3))


class GlowTwin(LikelihoodTwin):
    """Glow of one scale."""

    def __init__(self, weights, num_levels):
        super().__init__()
        self.steps = nn.ModuleList([Step(each) for each in weights])
        self.num_levels = num_levels

    def log_likelihood(self, levels, training):
        """Compute the bound by one draw of noise; of 1/2 if not training."""
        noise = torch.rand_like(levels) if training else 0.5
        x = (levels + noise) / self.num_levels - 0.5
        x = functional.pixel_unshuffle(x, 2)
        log_det = 0
        for step in self.steps:
            x, of_step = step(x)
            log_det = log_det + of_step
        z = x.flatten(1)
        log_normal = -(z.square().sum(1) + z.shape[1] * _LOG_2_PI) / 2
        return log_normal + log_det - z.shape[1] * math.log(self.num_levels)


# --- PixelCNN++ ---------------------------------------------------------------


def concat_elu(x):
    """ELU of x and of -x."""
    return functional.elu(torch.cat([x, -x], 1))


def down(x):
    """Move images down by a row."""
    return functional.pad(x, (0, 0, 1, 0))[:, :, :-1]


def right(x):
    """Move images right by a column."""
    return functional.pad(x, (1, 0))[:, :, :, :-1]


class CausalConv(nn.Module):
    """A weight-normalised convolution that sees no rows below its own."""

    def __init__(self, weights, stride=1, transposed=False):
        super().__init__()
        direction, gain, bias = weights
        self.direction = nn.Parameter(from_keras(direction))
        self.gain, self.bias = vector(gain), vector(bias)
        self.stride, self.transposed = stride, transposed

    def forward(self, x):
        """Convolve."""
        rows, columns = self.direction.shape[2:]
        sees = columns // 2 if columns % 2 else 0
        norm = self.direction.square().sum((1, 2, 3), keepdim=True).sqrt()
        kernel = self.gain[:, None, None, None] * self.direction / norm
        if not self.transposed:
            x = functional.pad(x, (columns - 1 - sees, sees, rows - 1, 0))
            return functional.conv2d(x, kernel, self.bias, self.stride)
        height, width = x.shape[2:]
        y = functional.conv_transpose2d(
            x, kernel.transpose(0, 1), self.bias, stride=2
        )
        return y[:, :, : 2 * height, sees : sees + 2 * width]


class GatedBlock(nn.Module):
    """A gated residual block."""

    def __init__(self, weights, dropout):
        super().__init__()
        first, shortcut, second = weights
        self.first, self.second = CausalConv(first), CausalConv(second)
        self.shortcut = CausalConv(shortcut) if shortcut else None
        self.dropout = dropout

    def forward(self, x, other, training):
        """Add to x what the block makes of it."""
        y = self.first(concat_elu(x))
        if self.shortcut is not None:
            y = y + self.shortcut(concat_elu(other))
        y = functional.dropout(concat_elu(y), self.dropout, training)
        p, q = self.second(y).chunk(2, 1)
        return x + p * torch.sigmoid(q)


class PixelCNNTwin(LikelihoodTwin):
    """PixelCNN++ of images with one channel."""

    def __init__(self, weights, num_levels, num_blocks, dropout):
        super().__init__()
        for name in ("first_above", "first_row_above", "first_left", "last"):
            setattr(self, name, CausalConv(weights[name]))
        for side in ("above", "before"):
            for name, settings in (
                (f"halving_{side}", {"stride": 2}),
                (f"doubling_{side}", {"transposed": True}),
            ):
                layers = [CausalConv(w, **settings) for w in weights[name]]
                setattr(self, name, nn.ModuleList(layers))
            for name in (f"down_{side}", f"up_{side}"):
                blocks = [GatedBlock(w, dropout) for w in weights[name]]
                setattr(self, name, nn.ModuleList(blocks))
        self.num_levels, self.num_blocks = num_levels, num_blocks
        self.num_scales = len(self.halving_above) + 1

    def outputs(self, x, training):
        """Compute the parameters of the distributions of all pixels."""
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        above = [down(self.first_above(x))]
        before = [down(self.first_row_above(x)) + right(self.first_left(x))]
        blocks = zip(self.down_above, self.down_before, strict=True)
        for scale in range(self.num_scales):
            if scale:
                above.append(self.halving_above[scale - 1](above[-1]))
                before.append(self.halving_before[scale - 1](before[-1]))
            for _ in range(self.num_blocks):
                block_above, block_before = next(blocks)
                above.append(block_above(above[-1], None, training))
                before.append(block_before(before[-1], above[-1], training))
        u, v = above.pop(), before.pop()
        blocks = zip(self.up_above, self.up_before, strict=True)
        for scale in range(self.num_scales):
            if scale:
                u = self.doubling_above[scale - 1](u)
                v = self.doubling_before[scale - 1](v)
            for _ in range(self.num_blocks + (scale > 0)):
                block_above, block_before = next(blocks)
                u = block_above(u, above.pop(), training)
                others = torch.cat([u, before.pop()], 1)
                v = block_before(v, others, training)
        return self.last(functional.elu(v))

    def log_likelihood(self, levels, training):
        """Compute log p by the discretised mixture of logistics."""
        half = 1 / (self.num_levels - 1)
        x = 2 * levels * half - 1
        batch, _, height, width = x.shape
        logits, means, log_scales = (
            self.outputs(x, training)
            .view(batch, 3, -1, height, width)
            .unbind(1)
        )
        inverse_scale = (-log_scales.clamp(min=-7)).exp()
        upper = (x - means + half) * inverse_scale
        lower = (x - means - half) * inverse_scale
        below_upper = functional.logsigmoid(upper)
        above_lower = functional.logsigmoid(-lower)
        difference = (-torch.expm1(-2 * half * inverse_scale)).log()
        between = below_upper + above_lower + difference
        ends = torch.where(x < 0, below_upper, above_lower)
        of_bins = torch.where(x.abs() > 1 - half, ends, between)
        weighted = of_bins + functional.log_softmax(logits, 1)
        return weighted.logsumexp(1).sum((1, 2))
