"""The Conv28 autoencoder and a training iteration of NAE in plain PyTorch.

A PyTorch user would write it so: the same networks, chain lengths, batch and
arithmetic as `gin/conv28.gin`, without the replay buffer, whose cost is
negligible. `tools/benchmark.py` loads the same weights into both and checks
that they give the same energies.
"""

import contextlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Encoder(nn.Module):
    """Conv28 encoder (Table 10): [batch, 1, 28, 28] to [batch, latent_dim]."""

    def __init__(self, latent_dim, width, hidden_units):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3)
        self.conv2 = nn.Conv2d(width, 2 * width, 3)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3)
        self.conv4 = nn.Conv2d(2 * width, 4 * width, 3)
        self.conv5 = nn.Conv2d(4 * width, hidden_units, 4)
        self.conv6 = nn.Conv2d(hidden_units, latent_dim, 1)

    def forward(self, x):
        """Encode, without the projection to the sphere."""
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        x = functional.max_pool2d(x, 2)
        x = functional.relu(self.conv3(x))
        x = functional.relu(self.conv4(x))
        x = functional.max_pool2d(x, 2)
        x = functional.relu(self.conv5(x))
        return self.conv6(x).flatten(1)


class Decoder(nn.Module):
    """Conv28 decoder (Table 10): [batch, latent_dim] to [batch, 1, 28, 28]."""

    def __init__(self, latent_dim, width):
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(latent_dim, 4 * width, 4)
        self.conv2 = nn.ConvTranspose2d(4 * width, 2 * width, 3)
        self.conv3 = nn.ConvTranspose2d(2 * width, 2 * width, 3)
        self.conv4 = nn.ConvTranspose2d(2 * width, width, 3)
        self.conv5 = nn.ConvTranspose2d(width, 1, 3)
        self.upsample = nn.Upsample(
            scale_factor=2, mode="bilinear", align_corners=True
        )

    def forward(self, z):
        """Decode."""
        x = functional.relu(self.conv1(z[:, :, None, None]))
        x = functional.relu(self.conv2(self.upsample(x)))
        x = functional.relu(self.conv3(x))
        x = functional.relu(self.conv4(self.upsample(x)))
        return torch.sigmoid(self.conv5(x))


class Twin(nn.Module):
    """Normalized autoencoder with the chains of Table 11, column MNIST.

    Args:
        weights: weights of our encoder and of our decoder, two lists of NumPy
            arrays.
        channels_last: whether images and kernels have that memory format.
        bfloat16: whether the networks run under bfloat16 autocast.
        compiled: whether energy and decoder are compiled by `torch.compile`.
        device: device of the networks, "cpu" or "cuda".
    """

    def __init__(
        self,
        weights,
        channels_last=False,
        bfloat16=False,
        compiled=False,
        device="cpu",
    ):
        super().__init__()
        encoder, decoder = weights
        self.latent_dim, width = len(encoder[-1]), len(encoder[1])
        self.encoder = Encoder(self.latent_dim, width, len(encoder[-3]))
        self.decoder = Decoder(self.latent_dim, width)
        self.uses_bfloat16 = bfloat16
        self.device = device
        with torch.no_grad():
            for (name, parameter), value in zip(
                self.named_parameters(), [*encoder, *decoder], strict=True
            ):
                value = np.ascontiguousarray(from_keras(name, value))
                parameter.copy_(torch.from_numpy(value))
        self.memory_format = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(
                    memory_format=self.memory_format
                )
        self.to(device)
        if compiled:
            # The whole energy, so that its losses are fused as well.
            self.__dict__["energy"] = torch.compile(self.energy)
            self.__dict__["decode"] = torch.compile(self.decode)

    def autocast(self):
        """Return the context that the networks run in."""
        if self.uses_bfloat16:
            return torch.autocast(self.device, torch.bfloat16)
        return contextlib.nullcontext()

    def encode(self, x):
        """Map [batch, 1, 28, 28] to the unit sphere, float32."""
        with self.autocast():
            z = self.encoder(x)
        return functional.normalize(z.float())

    def decode(self, z):
        """Map [batch, latent_dim] to images, float32."""
        with self.autocast():
            return self.decoder(z).float()

    def energy(self, x):
        """Mean squared reconstruction error (Eq. 9), [batch]."""
        return (x - self.decode(self.encode(x))).square().flatten(1).mean(1)

    def outlier_score(self, x):
        """Energy without a gradient, [batch]."""
        with torch.no_grad():
            return self.energy(x.contiguous(memory_format=self.memory_format))

    def latent_chain(self, z, num_steps, step_size=0.2, noise_std=0.05):
        """Langevin chain of E(decode(z)) on the sphere."""
        for _ in range(num_steps):
            z.requires_grad_()
            energy = self.energy(self.decode(z)).sum()
            (gradient,) = torch.autograd.grad(energy, z)
            with torch.no_grad():
                z = z - step_size * gradient + noise_std * torch.randn_like(z)
                z = functional.normalize(z)
        return z

    def visible_chain(self, x, num_steps, step_size=10.0, noise_std=0.05):
        """Langevin chain of E(x) in [0, 1] with annealed noise."""
        for step in range(num_steps):
            x.requires_grad_()
            (gradient,) = torch.autograd.grad(self.energy(x).sum(), x)
            with torch.no_grad():
                gradient = gradient.clamp(-0.01, 0.01)
                noise = noise_std / (1 + step) * torch.randn_like(x)
                x = (x - step_size * gradient + noise).clamp(0, 1)
        return x

    def train_step(self, x, optimizer, latent_steps, visible_steps):
        """Take one step of maximum likelihood (Eq. 12); return the loss."""
        x = x.contiguous(memory_format=self.memory_format)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        z = torch.randn(len(x), self.latent_dim, device=self.device)
        z = functional.normalize(z)
        z = self.latent_chain(z, latent_steps)
        with torch.no_grad():
            start = self.decode(z)
        negative = self.visible_chain(start, visible_steps).detach()
        for parameter in self.parameters():
            parameter.requires_grad_(True)
        energy = self.energy(torch.cat([x, negative]))
        positive, negative = energy.chunk(2)
        loss = positive.mean() - negative.mean() + negative.square().mean()
        loss = loss + 1e-4 * sum(
            parameter.square().sum() for parameter in self.encoder.parameters()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())


def from_keras(name: str, value):
    """Bring a kernel from the layout of our layer to PyTorch's."""
    if value.ndim == 1:
        return value
    if name == "encoder.conv5.weight":
        value = value.reshape(4, 4, -1, value.shape[-1])
    elif name == "encoder.conv6.weight":
        value = value[None, None]
    elif name == "decoder.conv1.weight":
        return value.transpose(0, 3, 1, 2)
    elif name in ("decoder.conv2.weight", "decoder.conv4.weight"):
        # Our fused layer keeps column taps before row taps.
        return value.transpose(0, 3, 2, 1)
    return value.transpose(3, 2, 0, 1)


def images(array, memory_format=torch.contiguous_format):
    """Convert NHWC NumPy images to an NCHW tensor."""
    tensor = torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2)
    return tensor.contiguous(memory_format=memory_format)
