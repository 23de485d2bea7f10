"""The network of an attentive neural process: attention blocks, latent and deterministic encoder, decoder.

Kim et al., ICLR 2019, arXiv:1901.05761, in the form that Hansen et al., ICML 2023, arXiv:2302.11002, trained.
A point is (t, x, u), a coordinate (t, x). `...` are batches (draw, sample), broadcast against each other.
"""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Least standard deviation that the decoder gives, in its own units.
MIN_STD = 1e-3

#: Gain of the initial weights in front of a ReLU, `torch.nn.init.calculate_gain("relu")`; 1 elsewhere.
RELU_GAIN = math.sqrt(2.0)


class Gaussian(NamedTuple):
    """A diagonal Gaussian over the latent z, (..., latent)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """z = μ + σ ε."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence_from(self, prior: "Gaussian") -> Tensor:
        """KL(self ‖ prior), summed over the latent dimensions, (...)."""
        ratio = torch.exp(self.log_variance - prior.log_variance)
        shift = (self.mean - prior.mean) ** 2 * torch.exp(-prior.log_variance)
        return 0.5 * (ratio + shift - 1.0 + prior.log_variance - self.log_variance).sum(-1)


class Encoding(NamedTuple):
    """What the deterministic encoder keeps of a context, each (..., point, width)."""

    keys: Tensor
    values: Tensor


def _linear(inputs: int, outputs: int, *, bias: bool = True, gain: float = 1.0) -> nn.Linear:
    """Xavier-uniform weights, PyTorch's own biases."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight, gain=gain)
    return layer


@final
class Attention(nn.Module):
    """LayerNorm(q + dropout(W [q, heads] + b)), heads = dropout(softmax(Q Kᵀ / √d)) V; no feed-forward part."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.key = _linear(width, width, bias=False)
        self.value = _linear(width, width, bias=False)
        self.query = _linear(width, width, bias=False)
        self.output = _linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(..., target, width) from queries (..., target, width), keys and values (..., context, width)."""
        q, k = self._split(self.query(query)), self._split(self.key(keys))
        # Written out: PyTorch's fused attention is no faster here, and its gradients on GPUs may vary from run to run.
        scores = q @ (k.transpose(-1, -2) / math.sqrt(q.shape[-1]))
        weights = functional.dropout(torch.softmax(scores, dim=-1), self.dropout, self.training)
        heads: Tensor = weights @ self._split(self.value(values))
        mixed = self.output(torch.cat([query, heads.transpose(-2, -3).flatten(-2)], dim=-1))
        answer: Tensor = self.norm(query + functional.dropout(mixed, self.dropout, self.training))
        return answer

    def _split(self, channels: Tensor) -> Tensor:
        """(..., point, width) → (..., head, point, width / heads)."""
        return channels.reshape(*channels.shape[:-1], self.heads, -1).transpose(-2, -3)


@final
class LatentEncoder(nn.Module):
    """Points to q(z | points): self-attention, mean over the points, two linear heads."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.points = _linear(3, width)
        self.attention = nn.ModuleList(Attention(width, heads, dropout) for _ in range(2))
        self.hidden = _linear(width, width, gain=RELU_GAIN)
        self.mean = _linear(width, width)
        self.log_variance = _linear(width, width)

    def forward(self, points: Tensor) -> Gaussian:
        """q(z | points)."""
        encoded = self.points(points)
        for block in self.attention:
            encoded = block(encoded, encoded, encoded)
        hidden = torch.relu(self.hidden(encoded.mean(-2)))
        return Gaussian(self.mean(hidden), self.log_variance(hidden))


@final
class DeterministicEncoder(nn.Module):
    """Context points to a representation r at any coordinates: self-attention, then cross-attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.points = _linear(3, width)
        self.keys = _linear(2, width)
        self.queries = _linear(2, width)
        self.self_attention = nn.ModuleList(Attention(width, heads, dropout) for _ in range(2))
        self.cross_attention = nn.ModuleList(Attention(width, heads, dropout) for _ in range(2))

    def encode(self, contexts: Tensor) -> Encoding:
        """What does not depend on the targets."""
        encoded = self.points(contexts)
        for block in self.self_attention:
            encoded = block(encoded, encoded, encoded)
        return Encoding(self.keys(contexts[..., :2]), encoded)

    def attend(self, encoding: Encoding, coordinates: Tensor) -> Tensor:
        """r, (..., target, width)."""
        represented: Tensor = self.queries(coordinates)
        for block in self.cross_attention:
            represented = block(represented, encoding.keys, encoding.values)
        return represented


@final
class Decoder(nn.Module):
    """(r, z, coordinates) to mean and standard deviation of u."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.coordinates = _linear(2, width)
        self.first = _linear(3 * width, 3 * width, gain=RELU_GAIN)
        self.second = _linear(3 * width, 3 * width, gain=RELU_GAIN)
        self.third = _linear(3 * width, 3 * width, gain=RELU_GAIN)
        self.output = _linear(3 * width, 2)

    def forward(self, represented: Tensor, z: Tensor, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (..., target); z is (..., latent), one for all targets."""
        # The first layer acts on [r, z, coordinates]; as a sum over its three blocks of columns, the product
        # with z is made once for each z and not at every target, and that with r once for all draws.
        for_r, for_z, for_coordinates = self.first.weight.chunk(3, dim=1)
        at_points = functional.linear(represented, for_r)
        at_points = at_points + functional.linear(self.coordinates(coordinates), for_coordinates)
        hidden = torch.relu(at_points + functional.linear(z, for_z, self.first.bias).unsqueeze(-2))
        hidden = torch.relu(self.second(hidden))
        hidden = torch.relu(self.third(hidden))
        mean, raw = self.output(hidden).unbind(-1)
        return mean, functional.softplus(raw) + MIN_STD


@final
class AttentiveNetwork(nn.Module):
    """The whole, in physical units outside: `shift` and `scale` of (t, x, u) are buffers, 0 and 1 if unused."""

    shift: Tensor
    scale: Tensor

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.latent_encoder = LatentEncoder(width, heads, dropout)
        self.deterministic_encoder = DeterministicEncoder(width, heads, dropout)
        self.decoder = Decoder(width)
        self.register_buffer("shift", torch.zeros(3))
        self.register_buffer("scale", torch.ones(3))

    def latent(self, points: Tensor) -> Gaussian:
        """q(z | points) of points (..., point, 3)."""
        answer: Gaussian = self.latent_encoder((points - self.shift) / self.scale)
        return answer

    def encode(self, contexts: Tensor) -> Encoding:
        """What `attend` needs of contexts (..., point, 3)."""
        return self.deterministic_encoder.encode((contexts - self.shift) / self.scale)

    def attend(self, encoding: Encoding, coordinates: Tensor) -> Tensor:
        """The representation r, (..., target, width), at coordinates (..., target, 2)."""
        return self.deterministic_encoder.attend(encoding, self._scaled(coordinates))

    def decode(self, represented: Tensor, z: Tensor, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of u, each (..., target)."""
        mean, std = self.decoder(represented, z, self._scaled(coordinates))
        return mean * self.scale[2] + self.shift[2], std * self.scale[2]

    def _scaled(self, coordinates: Tensor) -> Tensor:
        return (coordinates - self.shift[:2]) / self.scale[:2]


class Batch(NamedTuple):
    """Points (t, x, u) of some functions, each (sample, point, 3)."""

    contexts: Tensor
    targets: Tensor

    def split(self, size: int, device: torch.device) -> "list[Batch]":
        """Batches of a size, the last one perhaps smaller, on a device."""
        contexts, targets = (torch.split(points.to(device), size) for points in self)
        return [Batch(*pair) for pair in zip(contexts, targets, strict=True)]


def loss(network: AttentiveNetwork, batch: Batch) -> Tensor:
    """−Σ log N(u; mean, std²) over the targets + KL(q(z | targets) ‖ q(z | contexts)), per function, (sample,).

    z is drawn from q(z | targets), with the global random state.
    """
    return told(network, batch).loss


class Told(NamedTuple):
    """A loss, (sample,), and what it was told by: the context's encoding, and z."""

    loss: Tensor
    encoding: Encoding
    z: Tensor


def told(network: AttentiveNetwork, batch: Batch) -> Told:
    """`loss`, and what more points of the same functions can be told by."""
    prior, posterior = network.latent(batch.contexts), network.latent(batch.targets)
    z = posterior.draw(torch.randn_like(posterior.mean))
    coordinates, values = batch.targets[..., :2], batch.targets[..., 2]
    encoding = network.encode(batch.contexts)
    represented = network.attend(encoding, coordinates)
    mean, std = network.decode(represented, z, coordinates)
    surprise: Tensor = 0.5 * ((values - mean) / std) ** 2 + std.log() + 0.5 * math.log(2.0 * math.pi)
    return Told(surprise.sum(-1) + posterior.divergence_from(prior), encoding, z)
