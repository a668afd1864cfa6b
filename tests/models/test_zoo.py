"""The zoo: shapes, documented options, lengths, and export for the explaining engine."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch

from seqplrp.errors import SeqplrpError
from seqplrp.models import ALIASES, ARCHITECTURES, build_model, check_architecture, zoo

LENGTH = {"deepsea": 200}  # its two pools of 4 without padding need more than 101 bases
SMALL = {
    # The published sizes are built once, below; here the same code at a size that exports in a blink.
    "basset": {"filters": (12, 8, 8), "dense": (16,)},
    "deepsea": {"filters": (8, 8, 8), "dense": (16,)},
}


def random_dna(n: int, length: int, seed: int = 0) -> torch.Tensor:
    codes = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(seed))
    return torch.eye(4)[codes].transpose(1, 2).contiguous()


def small_model(name: str, n_outputs: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(name, length=LENGTH.get(name, 101), n_outputs=n_outputs, **SMALL.get(name, {})).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_one_logit_per_output(name):
    model = small_model(name, n_outputs=3)
    assert model(random_dna(5, model.length)).shape == (5, 3)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_classes_of_models_and_explainers_that_were_pickled_are_where_they_were(name):
    """Pickles name `seqplrp.models.zoo`, where all of them once were written."""
    for module in small_model(name).modules():
        kind = type(module)
        assert not kind.__module__.startswith("seqplrp") or getattr(zoo, kind.__name__) is kind


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_exports_with_any_batch_size_and_computes_the_same(name):
    model = small_model(name)
    example = random_dna(2, model.length)
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},)).run_decompositions({})
    for n in (1, 7):
        x = random_dna(n, model.length, seed=n)
        torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if ARCHITECTURES[name].flexible_length])
def test_length_flexible_models_export_with_any_length(name):
    model = small_model(name)
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("length", min=model.minimum_length + 8)}
    program = torch.export.export(model, (random_dna(2, 101),), dynamic_shapes=(dims,)).run_decompositions({})
    x = random_dna(3, 77)
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_sequences_logits_do_not_depend_on_the_others_in_its_batch(name):
    model = small_model(name).double()
    x = random_dna(6, model.length).double()
    torch.testing.assert_close(model(x)[2:3], model(x[2:3]))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_takes_part_in_the_output(name):
    model = small_model(name).train()
    model(random_dna(8, model.length)).square().sum().backward()
    silent = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_option_is_documented_and_the_configuration_cannot_be_changed(name):
    config = ARCHITECTURES[name]()
    assert config.description
    text = inspect.getdoc(type(config))
    for field in dataclasses.fields(config):
        assert field.name in text, f"{name}: {field.name} is not in the docstring"
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.description = "other"


def test_basset_has_the_published_convolutions():
    model = build_model("basset", length=600, n_outputs=164)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv1d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (4, 300, 19),
        (300, 200, 11),
        (200, 200, 7),
    ]
    assert [m.kernel_size for m in model.modules() if isinstance(m, torch.nn.MaxPool1d)] == [3, 4, 4]
    dense = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    # 600 / 3 / 4 / 4 = 12 positions of 200 filters
    assert [(m.in_features, m.out_features) for m in dense] == [(12 * 200, 1000), (1000, 164)]


def test_unpadded_basset_with_two_dense_layers_has_the_published_2000_features():
    model = build_model("basset", length=600, n_outputs=164, padding="valid", dense=(1000, 1000))
    dense = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert [m.in_features for m in dense] == [2000, 1000, 1000]


def test_deepsea_has_the_published_number_of_features_and_parameters():
    # 1000 -7 -> 993 /4 -> 248 -7 -> 241 /4 -> 60 -7 -> 53 positions of 960 filters, and 919 outputs
    with torch.device("meta"):
        model = build_model("deepsea", length=1000, n_outputs=919)
    conv = 320 * (4 * 8 + 1) + 480 * (320 * 8 + 1) + 960 * (480 * 8 + 1)
    dense = 925 * (53 * 960 + 1) + 919 * (925 + 1)
    assert sum(p.numel() for p in model.parameters()) == conv + dense


def test_dilated_residual_sees_as_far_as_its_documentation_says():
    model = build_model("bpnet-lite", length=301, n_outputs=1, layers=3, filters=8).double().eval()
    field = 21 + (3 - 1) * (2**4 - 2)
    x = random_dna(1, 301).double().requires_grad_()
    hidden = model.stem(x).relu()
    for layer in model.layers:
        hidden = hidden + layer(hidden).relu()
    hidden[0, :, 150].abs().sum().backward()
    seen = x.grad[0].abs().sum(dim=0).nonzero().flatten()
    assert seen.min() >= 150 - field // 2
    assert seen.max() <= 150 + field // 2
    assert len(seen) > field // 2  # every other position at least: dilation leaves gaps only where ReLUs are shut


def test_the_alias_builds_the_same_network():
    assert ALIASES == {"bpnet-lite": "dilated-residual"}
    assert build_model("bpnet-lite", length=50, n_outputs=1).architecture == "dilated-residual"


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if not ARCHITECTURES[name].flexible_length])
def test_a_wrong_length_is_refused_with_both_lengths(name):
    model = small_model(name)
    with pytest.raises(SeqplrpError, match=rf"{model.length + 1} bases.*{model.length}"):
        model(random_dna(2, model.length + 1))


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if ARCHITECTURES[name].flexible_length])
def test_length_flexible_models_take_other_lengths_down_to_their_minimum(name):
    model = small_model(name)
    for length in (model.minimum_length, 40, 303):
        assert model(random_dna(2, length)).shape == (2, 3)
    if model.minimum_length > 1:
        with pytest.raises(SeqplrpError, match=f"takes {model.minimum_length} or more"):
            model(random_dna(2, model.minimum_length - 1))


@pytest.mark.parametrize("shape", [(2, 101, 4), (4, 101), (2, 5, 101)])
def test_an_input_that_is_not_one_hot_dna_is_refused(shape):
    with pytest.raises(SeqplrpError, match=r"takes \(N, 4, L\)"):
        small_model("basset-small")(torch.zeros(shape))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_smallest_length_works_and_one_less_is_refused(name):
    options = SMALL.get(name, {})
    with pytest.raises(SeqplrpError) as found:
        build_model(name, length=0, n_outputs=1, **options)
    smallest = int(found.value.what.split("at least ")[1].split()[0])
    model = build_model(name, length=smallest, n_outputs=1, **options).eval()
    assert model(random_dna(2, smallest)).isfinite().all()
    with pytest.raises(SeqplrpError, match=f"at least {smallest} bases and the sequences have {smallest - 1}"):
        build_model(name, length=smallest - 1, n_outputs=1, **options)


def test_the_error_for_an_unknown_architecture_names_all():
    with pytest.raises(SeqplrpError) as found:
        build_model("alexnet", length=100, n_outputs=1)
    for name in [*ARCHITECTURES, *ALIASES]:
        assert name in found.value.remedy


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("basset-small", {"filter": 3}, "has no option 'filter'"),
        ("basset-small", {"filters": (8, 8)}, "2 filters, 3 kernels and 3 pools"),
        ("basset-small", {"filters": (8, 0, 8)}, r"filters is \(8, 0, 8\)"),
        ("basset-small", {"filters": (8, 2.5, 8)}, "filters is 2.5"),
        ("basset-small", {"conv_dropout": 1.0}, "conv_dropout is 1.0"),
        ("basset-small", {"padding": "full"}, "padding is 'full'"),
        ("basset-small", {"batch_norm": 1}, "batch_norm is 1"),
        ("deepbind", {"filters": "many"}, "filters is 'many'"),
        ("deepbind", {"dropout": float("nan")}, "dropout is nan"),
        ("dilated-residual", {"kernel": 4}, "kernel is 4"),
        ("resnet1d", {"blocks": -1}, "blocks is -1"),
    ],
)
def test_an_option_that_cannot_be_is_refused(name, options, said):
    with pytest.raises(SeqplrpError, match=said):
        check_architecture(name, options)


def test_options_come_back_from_lists_and_whole_floats():
    config = check_architecture("basset-small", {"filters": [8, 8.0, 8], "conv_dropout": 0})
    assert config.filters == (8, 8, 8)
    assert isinstance(config.conv_dropout, float)


def test_an_even_kernel_with_same_padding_loses_one_position_as_documented():
    model = build_model("basset-small", length=64, n_outputs=1, filters=(8,), kernels=(6,), pools=(1,)).eval()
    assert model.features(random_dna(1, 64)).shape == (1, 8, 63)
