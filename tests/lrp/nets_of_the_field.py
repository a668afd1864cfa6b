"""The architectures that people in the field train, at widths that trace and run in a blink."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Recurrent(nn.Module):
    """DanQ (Quang and Xie 2016): convolution, pool, recurrent layers both ways, two linear layers."""

    def __init__(self, cell: type[nn.RNNBase] = nn.LSTM, *, batch_first: bool = True, layers: int = 1) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.conv = nn.Conv1d(4, 6, 7)
        self.drop = nn.Dropout(0.2)
        self.recurrent = cell(6, 5, num_layers=layers, bidirectional=True, batch_first=batch_first)
        self.hidden = nn.Linear(10 * 8, 7)
        self.output = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(F.max_pool1d(F.relu(self.conv(x)), 4))  # (N, 6, 8)
        if self.batch_first:
            h = self.recurrent(h.transpose(1, 2))[0]
        else:
            h = self.recurrent(h.permute(2, 0, 1))[0].transpose(0, 1)
        return self.output(F.relu(self.hidden(h.flatten(1))))


class LastState(nn.Module):
    """A recurrent net that reads what its last state is, not its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5, stride=5)
        self.recurrent = nn.GRU(6, 5, batch_first=True)
        self.output = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.recurrent(self.conv(x).relu().transpose(1, 2))
        return self.output(state[-1])


def gelu_of_enformer(x: Tensor) -> Tensor:
    return torch.sigmoid(1.702 * x) * x


class BasenjiBlock(nn.Module):
    """Activation, batch norm in front of the convolution or behind it, pool."""

    def __init__(self, inside: int, outside: int, kernel: int, *, pool: int = 1, norm_first: bool, act: str) -> None:
        super().__init__()
        self.norm_first, self.act = norm_first, {"gelu": gelu_of_enformer, "relu": F.relu}[act]
        self.norm = nn.BatchNorm1d(inside if norm_first else outside)
        self.conv = nn.Conv1d(inside, outside, kernel, padding="same", bias=norm_first)
        self.pool = nn.MaxPool1d(pool) if pool > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.norm_first:
            return self.pool(self.conv(self.act(self.norm(x))))
        return self.pool(self.act(self.norm(self.conv(x))))


class DilatedResidual(nn.Module):
    """Basenji's tower: a dilated and a pointwise convolution, added to what came in."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv1 = nn.Conv1d(channels, channels // 2, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm2 = nn.BatchNorm1d(channels // 2)
        self.conv2 = nn.Conv1d(channels // 2, channels, 1, bias=False)
        self.norm3 = nn.BatchNorm1d(channels)
        self.drop = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv1(gelu_of_enformer(self.norm1(x))))
        return x + self.drop(self.norm3(self.conv2(gelu_of_enformer(h))))


class Basenji(nn.Module):
    """Basenji (Kelley et al. 2018): (N, 4, 64) -> (N, 3 tracks, 12 bins), through a softplus."""

    def __init__(self, act: str = "gelu") -> None:
        super().__init__()
        self.stem = nn.Sequential(
            BasenjiBlock(4, 8, 9, pool=2, norm_first=False, act=act),
            BasenjiBlock(8, 8, 5, pool=2, norm_first=True, act=act),
        )
        self.tower = nn.Sequential(DilatedResidual(8, 1), DilatedResidual(8, 2), DilatedResidual(8, 4))
        self.final = BasenjiBlock(8, 10, 1, norm_first=False, act=act)
        self.head = nn.Conv1d(10, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.tower(self.stem(x))
        h = self.final(h[..., 2:-2])
        return F.softplus(self.head(h))


class SoftmaxPool(nn.Module):
    """Enformer's attention pooling: two neighbours, weighed by a softmax over them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pairs = x.reshape(x.shape[0], x.shape[1], -1, 2)
        return (pairs * self.logits(pairs).softmax(-1)).sum(-1)


class ConvBlock(nn.Module):
    """Enformer's: batch norm, GELU, convolution."""

    def __init__(self, inside: int, outside: int, kernel: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(inside)
        self.conv = nn.Conv1d(inside, outside, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(gelu_of_enformer(self.norm(x)))


class RelativeAttention(nn.Module):
    """Attention over (N, L, C) with scores of content and distance (Enformer), or of a fixed place."""

    def __init__(self, dim: int, heads: int, length: int, *, relative: bool) -> None:
        super().__init__()
        self.heads, self.size, self.relative = heads, dim // heads, relative
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.to_out = nn.Linear(dim, dim)
        distance = torch.arange(-length + 1, length, dtype=torch.float32)
        features = torch.stack([torch.exp(-distance.abs() / 2.0**k) for k in range(3)], 1)
        self.register_buffer("features", torch.cat([features, distance.sign()[:, None] * features], 1))  # (2L - 1, 6)
        self.to_rel_k = nn.Linear(6, dim, bias=False)
        self.content_bias = nn.Parameter(torch.randn(1, heads, 1, self.size))
        self.place_bias = nn.Parameter(torch.randn(1, heads, 1, self.size))
        self.fixed_bias = nn.Parameter(torch.randn(heads, length, length))

    def _split(self, h: Tensor) -> Tensor:
        return h.unflatten(-1, (self.heads, self.size)).transpose(-2, -3)

    @staticmethod
    def _shift(scores: Tensor) -> Tensor:
        """Read each query's scores by distance as scores by key: (N, h, L, 2L - 1) -> (N, h, L, L)."""
        scores = torch.cat([torch.zeros_like(scores[..., :1]), scores], -1)
        n, heads, rows, columns = scores.shape
        scores = scores.reshape(n, heads, columns, rows)[:, :, 1:, :]
        return scores.reshape(n, heads, rows, columns - 1)[..., : (columns + 1) // 2]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._split(self.to_q(x)), self._split(self.to_k(x)), self._split(self.to_v(x))
        q = q * self.size**-0.5
        scores = torch.einsum("bhid,bhjd->bhij", q + self.content_bias, k)
        if self.relative:
            rel_k = self._split(self.to_rel_k(self.features))
            scores = scores + self._shift(torch.einsum("bhid,hjd->bhij", q + self.place_bias, rel_k))
        else:
            scores = scores + self.fixed_bias
        h = torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), v)
        return self.to_out(h.transpose(1, 2).flatten(2))


class Residual(nn.Module):
    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x


class Enformer(nn.Module):
    """Enformer (Avsec et al. 2021): (N, 4, 64) -> (N, 4 bins, 3 tracks) by head, each through a softplus."""

    def __init__(self, *, relative: bool = True) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, 8, 7, padding=3), Residual(ConvBlock(8, 8)), SoftmaxPool(8))
        self.tower = nn.Sequential(ConvBlock(8, 12, 5), Residual(ConvBlock(12, 12)), SoftmaxPool(12), nn.MaxPool1d(2))
        self.transformer = nn.Sequential(
            Residual(nn.LayerNorm(12), RelativeAttention(12, 3, 8, relative=relative), nn.Dropout(0.4)),
            Residual(
                nn.LayerNorm(12), nn.Linear(12, 24), nn.Dropout(0.4), nn.ReLU(), nn.Linear(24, 12), nn.Dropout(0.4)
            ),
        )
        self.final = ConvBlock(12, 16)
        self.heads = nn.ModuleDict({"human": nn.Linear(16, 3), "mouse": nn.Linear(16, 2)})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.tower(self.stem(x)).transpose(1, 2)
        h = self.transformer(h)[:, 2:-2]
        h = gelu_of_enformer(self.final(h.transpose(1, 2))).transpose(1, 2)
        return {name: F.softplus(head(h)) for name, head in self.heads.items()}


class SelfAttention(nn.Module):
    """torch's own attention on convolved windows, by batch or by position first."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.conv = nn.Conv1d(4, 8, 8, stride=8)
        self.place = nn.Parameter(torch.randn(1, 5, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.output = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).relu().transpose(1, 2) + self.place
        if not self.batch_first:
            h = h.transpose(0, 1)
        h = h + self.attention(h, h, h, need_weights=False)[0]
        return self.output(h.mean(1 if self.batch_first else 0))


class EncoderLayer(nn.Module):
    """torch's own transformer layer on convolved windows."""

    def __init__(self, *, batch_first: bool, norm_first: bool, activation: str) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.conv = nn.Conv1d(4, 8, 8, stride=8)
        self.encoder = nn.TransformerEncoderLayer(
            8, 2, 16, activation=activation, batch_first=batch_first, norm_first=norm_first
        )
        self.output = nn.Linear(40, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.conv(x)).transpose(1, 2)
        h = self.encoder(h) if self.batch_first else self.encoder(h.transpose(0, 1)).transpose(0, 1)
        return self.output(h.flatten(1))


class ExponentialFirst(nn.Module):
    """First-layer filters through an exponential (Koo and Ploenzke 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv1d(4, 8, 9, padding=4), nn.BatchNorm1d(8)
        self.conv2 = nn.Conv1d(8, 6, 5)
        self.hidden, self.output = nn.Linear(6 * 9, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.max_pool1d(torch.exp(self.norm(self.conv1(x))), 4)
        h = F.relu(self.conv2(h))
        return self.output(F.elu(self.hidden(h[..., :9].flatten(1))))


class Closing(nn.Module):
    """A classifier that ends in probabilities."""

    def __init__(self, closing: str) -> None:
        super().__init__()
        self.closing = closing
        self.conv, self.output = nn.Conv1d(4, 6, 7), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.output(F.relu(self.conv(x)).amax(-1))
        return y.sigmoid() if self.closing == "sigmoid" else y.softmax(-1)


class TakesNLC(nn.Module):
    """A convolutional net that takes (N, L, 4), as models that came from another framework do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.output = nn.Conv1d(4, 6, 7, padding=3), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(F.relu(self.conv(x.permute(0, 2, 1))).mean(2))


def torchvision_net(name: str) -> nn.Module:
    """A net of torchvision for 10 classes; VGG's two hidden layers 64 wide in place of 4096.

    It is made without weights first, as VGG would spend seconds on drawing those of layers that are cut off.
    """
    from torchvision import models

    with torch.device("meta"):
        net: nn.Module = getattr(models, name)(num_classes=10)
        if hasattr(net, "classifier"):
            net.classifier[0], net.classifier[3] = nn.Linear(512 * 49, 64), nn.Linear(64, 64)
            net.classifier[6] = nn.Linear(64, 10)
    net = net.to_empty(device="cpu")
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def profile_score(logits: Tensor) -> Tensor:
    """The score of a profile (N, strands, L): its centred logits, weighed by the profile itself (BPNet)."""
    flat = logits.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    return (flat * flat.detach().softmax(1)).sum(1)


def unsettle(net: nn.Module) -> nn.Module:
    """Give norms statistics and scales that are not trivial, as training would."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.2)
    return net
