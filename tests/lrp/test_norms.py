"""Norms by statistics of the sample, held constant, against NumPy; weights that are worked out from others.

The oracle works out mean and deviation of each sample in NumPy, and shares y = x * scale + shift by contribution.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine import Calls, back_through, graph_of, one_hot, seeded, signed
from handler_checks import (
    assert_balanced,
    check_handler,
    operations_in,
    operations_of,
    trace_together,
    with_zeros,
)
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import seqplrp as sp
from seqplrp.lrp import Epsilon, Gamma, ZPlus, make_plan
from seqplrp.lrp.ops import normalisation

EPS = 1e-6
aten = torch.ops.aten
Groups = Callable[[np.ndarray], np.ndarray]


def over(*axes: int) -> Groups:
    """Statistics of the sample over some of its axes."""
    return lambda v: np.broadcast_to(v.mean(axes, keepdims=True), v.shape)


def in_groups(groups: int) -> Groups:
    """Statistics over a group of channels and all positions."""
    return lambda v: np.repeat(v.reshape(groups, -1).mean(1), v.size // groups).reshape(v.shape)


class Native(nn.Module):
    """A norm by the operation that its module's own one is made of, which other exporters leave."""

    def __init__(self, norm: nn.Module, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.norm, self.function = norm, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.norm, x)


# the module, the shape of a sample, how a mean is taken, eps, whether the mean is subtracted
NORMS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Groups, float, bool]] = {
    "layer norm": (lambda: nn.LayerNorm(6), (4, 6), over(-1), 1e-5, True),
    "layer norm of vectors": (lambda: nn.LayerNorm(6), (6,), over(-1), 1e-5, True),
    "layer norm over two axes": (lambda: nn.LayerNorm((4, 6), eps=1e-2), (3, 4, 6), over(-1, -2), 1e-2, True),
    "layer norm, no weights": (lambda: nn.LayerNorm(6, elementwise_affine=False), (4, 6), over(-1), 1e-5, True),
    "layer norm, no bias": (lambda: nn.LayerNorm(6, bias=False), (4, 6), over(-1), 1e-5, True),
    "layer norm, native": (
        lambda: Native(nn.LayerNorm(6), lambda m, x: aten.native_layer_norm(x, [6], m.weight, m.bias, 1e-5)[0]),
        (4, 6),
        over(-1),
        1e-5,
        True,
    ),
    "group norm": (lambda: nn.GroupNorm(2, 4), (4, 6), in_groups(2), 1e-5, True),
    "group norm, one group, no weights": (lambda: nn.GroupNorm(1, 4, affine=False), (4, 6), in_groups(1), 1e-5, True),
    "group norm of images": (lambda: nn.GroupNorm(2, 6, eps=0.1), (6, 3, 2), in_groups(2), 0.1, True),
    "group norm of vectors": (lambda: nn.GroupNorm(2, 6), (6,), in_groups(2), 1e-5, True),
    "group norm, native": (
        lambda: Native(
            nn.GroupNorm(2, 4),
            lambda m, x: aten.native_group_norm(x, m.weight, m.bias, x.shape[0], 4, 6, 2, 1e-5)[0],
        ),
        (4, 6),
        in_groups(2),
        1e-5,
        True,
    ),
    "instance norm": (lambda: nn.InstanceNorm1d(4), (4, 6), over(-1), 1e-5, True),
    "instance norm with weights": (lambda: nn.InstanceNorm1d(4, affine=True), (4, 6), over(-1), 1e-5, True),
    "instance norm of images": (lambda: nn.InstanceNorm2d(3, affine=True), (3, 4, 2), over(-1, -2), 1e-5, True),
    "rms norm": (lambda: nn.RMSNorm(6, eps=1e-3), (4, 6), over(-1), 1e-3, False),
    "rms norm over two axes, no weights": (
        lambda: nn.RMSNorm((4, 6), elementwise_affine=False),
        (2, 4, 6),
        over(-1, -2),
        float(np.finfo(np.float64).eps),
        False,
    ),
}


@cache
def norms() -> dict[str, nn.Module]:
    built = {name: seeded(case[0], seed=5) for name, case in NORMS.items()}
    with torch.random.fork_rng():
        torch.manual_seed(6)
        for module in built.values():
            for parameter in module.parameters():
                nn.init.normal_(parameter, 0.5, 1.0)
    for shape in {case[1] for case in NORMS.values()}:
        trace_together([built[name] for name, case in NORMS.items() if case[1] == shape], signed(2, *shape))
    return built


def norm(name: str) -> nn.Module:
    return norms()[name]


def affine(module: nn.Module, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return a norm's weight and bias at every unit of a sample."""
    of = module.norm if isinstance(module, Native) else module
    weight, bias = getattr(of, "weight", None), getattr(of, "bias", None)
    per_channel = not isinstance(of, nn.LayerNorm | nn.RMSNorm)

    def spread(v: Tensor | None, default: float) -> np.ndarray:
        if v is None:
            return np.full(shape, default)
        v = v.detach().numpy()
        return np.broadcast_to(v.reshape(-1, *(1,) * (len(shape) - 1)) if per_channel else v, shape)

    return spread(weight, 1.0), spread(bias, 0.0)


def constants_of(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale and the shift of one sample."""
    _, shape, mean_of, eps, subtracts = NORMS[name]
    weight, bias = affine(norm(name), shape)
    mean = mean_of(x) if subtracts else np.zeros(shape)
    scale = weight / np.sqrt(mean_of((x - mean) ** 2) + eps)
    return scale, bias - mean * scale


@pytest.mark.parametrize("name", list(NORMS))
def test_a_norm_shares_by_contribution_with_its_statistics_held_constant(name: str) -> None:
    x = with_zeros(0.4 + signed(3, *NORMS[name][1], seed=1))
    # as in a model, no more of it than the output brings along: a great R over a small y is rounding for the most part
    R = signed(*x.shape, seed=2) * norm(name)(x).detach().abs()
    found = check_handler(norm(name), x, R)
    (row,) = found.ledger.rows
    for n in range(3):
        scale, shift = constants_of(name, x[n].numpy())
        y = x[n].numpy() * scale + shift
        np.testing.assert_allclose(norm(name)(x)[n].detach().numpy(), y, rtol=1e-11, atol=1e-12)
        quotient = R[n].numpy() / np.where(y < 0, y - EPS, y + EPS)
        np.testing.assert_allclose(found.relevance[n].numpy(), x[n].numpy() * scale * quotient, rtol=1e-9, atol=1e-10)
        assert float(row.numbers.get("bias", torch.zeros(3))[n]) == pytest.approx((shift * quotient).sum(), abs=1e-8)
    assert ("bias" in row.numbers) == NORMS[name][-1]


def test_every_norm_that_has_a_handler_is_among_the_cases() -> None:
    tested = set().union(*(operations_in(norm(name), signed(3, *NORMS[name][1])) for name in NORMS))
    assert operations_of(normalisation) <= tested


def test_an_instance_norm_with_running_statistics_is_a_batch_norm() -> None:
    instance = seeded(lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), seed=5)
    instance.running_mean.copy_(torch.linspace(-1, 1, 4))
    instance.running_var.copy_(torch.linspace(0.5, 2, 4))
    batch = nn.BatchNorm1d(4).double().eval()
    batch.load_state_dict(instance.state_dict())
    x, R = with_zeros(signed(3, 4, 6, seed=1)), signed(3, 4, 6, seed=2)
    found, expected = check_handler(instance, x, R), back_through(batch, x, R)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        found.ledger.rows[0].numbers["bias"], expected.ledger.rows[0].numbers["bias"], rtol=1e-11, atol=1e-11
    )


def test_layers_between_norms_add_up_under_every_rule() -> None:
    net = seeded(
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 3, padding=1),
            nn.GroupNorm(3, 6),
            nn.GELU(),
            nn.Conv1d(6, 6, 3),
            nn.InstanceNorm1d(6, affine=True),
            nn.ReLU(),
            nn.Flatten(),
            nn.LayerNorm(48),
            nn.Linear(48, 5),
            nn.RMSNorm(5),
            nn.ELU(),
            nn.Linear(5, 2),
        ),
        seed=7,
    )
    x = one_hot(3, 10)
    for rule in (Epsilon(), Gamma(), ZPlus()):
        check_handler(net, x, net(x).detach(), rule)


def test_a_norm_keeps_the_hypothetical_contributions_of_the_input() -> None:
    net = seeded(lambda: nn.Sequential(nn.GroupNorm(1, 4), nn.Conv1d(4, 3, 3)), seed=7)
    x = one_hot(3, 6)
    found = back_through(net, x)
    assert found.coefficient is not None
    assert torch.equal(found.relevance, x * found.coefficient)
    assert (found.coefficient[x == 0] != 0).any()


DIVISIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "normalize": lambda x: F.normalize(x, dim=1),
    "normalize by the 1-norm": lambda x: F.normalize(x, p=1, dim=-1),
    "local response norm": nn.LocalResponseNorm(3, alpha=0.5),
    "divided by its norm": lambda x: x / x.norm(dim=1, keepdim=True),
    "times the inverse of its deviation": lambda x: x * torch.rsqrt(x.var(1, keepdim=True) + 1e-3),
}


@pytest.mark.parametrize("name", list(DIVISIONS))
def test_what_is_divided_by_a_norm_of_itself_gets_all(name: str) -> None:
    """The divisor is a statistic, held constant, so it needs no handlers for what it is made of."""
    net = Calls(lambda s, x: DIVISIONS[name](x))
    x, R = with_zeros(signed(3, 4, 6, seed=1)), signed(3, 4, 6, seed=2)
    torch.testing.assert_close(check_handler(net, x, R).relevance, R)


def test_a_local_response_norm_of_images_gives_all_to_its_signal() -> None:
    net = nn.LocalResponseNorm(3, alpha=0.5)
    x, R = with_zeros(signed(2, 4, 3, 5, seed=1)), signed(2, 4, 3, 5, seed=2)
    torch.testing.assert_close(check_handler(net, x, R).relevance, R)


def test_a_layer_norm_written_by_hand_adds_up() -> None:
    net = seeded(
        lambda: Calls(
            lambda s, x: s.last(
                (lambda h: (h - h.mean(1, keepdim=True)) / torch.sqrt(h.var(1, keepdim=True) + 1e-5))(s.first(x))
            ),
            first=nn.Conv1d(4, 6, 3),
            last=nn.Conv1d(6, 2, 2),
        ),
        seed=2,
    )
    x = one_hot(3, 8)
    start = net(x).detach()
    assert_balanced(back_through(net, x, start), start, 1e-12)


def test_statistics_that_are_read_too_are_refused() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        y, mean, _ = aten.native_layer_norm(x, [6], None, None, 1e-5)
        return y + mean

    net = Calls(forward)
    with pytest.raises(sp.SeqplrpError, match="whose mean or deviation is read") as caught:
        make_plan(graph_of(net, signed(2, 4, 6)), net)
    assert caught.value.remedy


def old_style(layer: nn.Module, **options: object) -> nn.Module:
    with pytest.warns(FutureWarning):
        return torch.nn.utils.weight_norm(layer, **options)


REPARAMETRISED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "weight norm by hooks": (lambda: old_style(nn.Conv1d(4, 3, 3)), (4, 6)),
    "weight norm by hooks, of a whole": (lambda: old_style(nn.Linear(6, 3), dim=None), (6,)),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Conv1d(4, 3, 3, groups=1)), (4, 6)),
    "weight norm, transposed": (lambda: parametrizations.weight_norm(nn.ConvTranspose1d(4, 3, 3), dim=1), (4, 6)),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Conv1d(4, 3, 3)), (4, 6)),
    "spectral norm by hooks": (lambda: torch.nn.utils.spectral_norm(nn.Linear(6, 3)), (6,)),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(6, 6)), (6,)),
}


def effective(layer: nn.Module) -> nn.Module:
    """Build the plain layer with the weight that the layer works with."""
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    if isinstance(layer, nn.Linear):
        plain: nn.Module = nn.Linear(layer.in_features, layer.out_features)
    else:
        kind = nn.ConvTranspose1d if isinstance(layer, nn.ConvTranspose1d) else nn.Conv1d
        plain = kind(layer.in_channels, layer.out_channels, layer.kernel_size)
    plain = plain.double().eval()
    plain.weight.data, plain.bias.data = weight, bias
    return plain


@pytest.mark.parametrize("name", list(REPARAMETRISED))
def test_a_weight_made_of_others_explains_as_the_plain_layer_does(name: str) -> None:
    build, shape = REPARAMETRISED[name]
    net = seeded(build, seed=4)
    x = with_zeros(signed(3, *shape, seed=1))
    y = net(x).detach()  # hooks work the weight out on the way
    assert y.shape == effective(net)(x).shape
    R = signed(*y.shape, seed=2)
    for rule in (Gamma(), ZPlus()):
        found, expected = check_handler(net, x, R, rule), back_through(effective(net), x, R, rule)
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-12)
        assert len(found.ledger.rows) == 1


def test_the_weights_behind_a_weight_norm_are_read_anew_for_every_plan() -> None:
    net = seeded(lambda: parametrizations.weight_norm(nn.Conv1d(4, 3, 3)), seed=4)
    x, R = signed(2, 4, 6, seed=1), signed(2, 3, 4, seed=2)
    before = back_through(net, x, R).relevance
    net.parametrizations.weight.original1.data.mul_(-1)
    after = back_through(net, x, R).relevance
    torch.testing.assert_close(after, back_through(effective(net), x, R).relevance)
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("rule", [Epsilon(), Gamma(), ZPlus()], ids=repr)
def test_an_instance_norm_by_running_statistics_is_the_batch_norm_that_it_computes(rule) -> None:
    """It is folded into the layer before it, and alone it is a linear layer."""

    def build(norm: type[nn.Module]) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(
            norm(4, affine=True, track_running_stats=True),
            nn.Conv1d(4, 5, 3, padding=1),
            norm(5, affine=True, track_running_stats=True),
            nn.ReLU(),
            nn.Conv1d(5, 3, 3),
        )

    one, other = seeded(build(nn.InstanceNorm1d), seed=2), seeded(build(nn.BatchNorm1d), seed=2)
    one.load_state_dict(other.state_dict())
    x = one_hot(3, 8)
    R = signed(3, 3, 6, seed=4)
    found, expected = check_handler(one, x, R, rule), back_through(other, x, R, rule)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-12, atol=1e-14)
    assert torch.equal(found.relevance, x * found.coefficient)
    assert [row.layer for row in found.ledger.rows] == [row.layer for row in expected.ledger.rows] == ["4", "1", "0"]
