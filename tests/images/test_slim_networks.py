"""The slim networks: torchvision's graphs, fewer channels; batch norms folded without a change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from seqplrp.errors import SeqplrpError
from seqplrp.images.slim import SLIM, SlimVGG, build_slim, without_batch_norm

models = pytest.importorskip("torchvision.models")


def operations(model: nn.Module, size: int) -> list[tuple[str, str]]:
    """Every operation of an exported graph with the module that it belongs to, in order."""
    device = next(model.parameters()).device
    images = torch.zeros(2, 3, size, size, device=device)
    shapes = {"batch": torch.export.Dim("batch")}
    exported = torch.export.export(model.eval(), (images,), dynamic_shapes=({0: shapes["batch"]},))
    nodes = exported.run_decompositions({}).graph.nodes
    stacks = [(node, node.meta.get("nn_module_stack", {})) for node in nodes if node.op == "call_function"]
    return [(str(node.target), list(stack.values())[-1][0] if stack else "") for node, stack in stacks]


@pytest.mark.parametrize("name", SLIM)
def test_operations_and_module_paths_are_those_of_torchvisions_network(name):
    with torch.device("meta"):  # 138 million weights need not be there to be compared
        full = models.get_model(SLIM[name].full, weights=None)
    slim = build_slim(name, n_classes=8)
    assert operations(slim, 64) == operations(full, 224)


@pytest.mark.parametrize("name", SLIM)
def test_weights_have_torchvisions_names_and_fewer_channels(name):
    with torch.device("meta"):
        full = models.get_model(SLIM[name].full, weights=None, num_classes=8).state_dict()
    slim = build_slim(name, n_classes=8).state_dict()
    assert list(slim) == list(full)
    assert all(slim[key].ndim == full[key].ndim and slim[key].numel() <= full[key].numel() for key in full)
    assert 50 * sum(value.numel() for value in slim.values()) < sum(value.numel() for value in full.values())


@pytest.mark.parametrize("name", SLIM)
@pytest.mark.parametrize("size", [64, 96])
def test_logits_come_of_images_of_the_size_that_was_asked_for(name, size):
    model = build_slim(name, n_classes=5, image_size=size).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 5)


@pytest.mark.parametrize("name", SLIM)
def test_new_weights_keep_the_signal_through_all_layers(name):
    """The spread of the last feature map is that of the input, to a factor of ten: neither gone nor exploded."""
    torch.manual_seed(0)
    model = build_slim(name, n_classes=8).train()
    seen: list[torch.Tensor] = []
    model.avgpool.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(torch.randn(16, 3, 64, 64))
    assert 0.1 < seen[0].std() < 10


def trained_a_little(model: nn.Module) -> nn.Module:
    """Give batch norms statistics, scales and shifts that are not those they begin with."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


def test_batch_norms_are_folded_without_a_change_of_the_output_and_vgg16_is_left():
    model = trained_a_little(build_slim("vgg16_bn-slim", n_classes=8)).double().eval()
    assert isinstance(model, SlimVGG)
    images = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plain = without_batch_norm(model)
    torch.testing.assert_close(plain(images), model(images), rtol=1e-9, atol=1e-9)
    fresh = build_slim("vgg16-slim", n_classes=8)
    assert {k: v.shape for k, v in plain.state_dict().items()} == {k: v.shape for k, v in fresh.state_dict().items()}
    assert str(plain.features) == str(fresh.features)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (lambda: build_slim("vgg11-slim", n_classes=2), "architecture"),
        (lambda: build_slim("vgg16-slim", n_classes=0), "n_classes"),
        (lambda: build_slim("vgg16-slim", n_classes=2, image_size=70), "image_size"),
        (lambda: build_slim("resnet50-slim", n_classes=2, image_size=0), "image_size"),
    ],
)
def test_what_cannot_be_built_is_told(build: Callable[[], nn.Module], where):
    with pytest.raises(SeqplrpError) as caught:
        build()
    assert caught.value.where == where
