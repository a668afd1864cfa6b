"""Networks by name: the right weights, what belongs to them, and one clear error where something does not fit."""

from __future__ import annotations

import hashlib
import sys
import textwrap
import urllib.error
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from seqplrp.errors import SeqplrpError
from seqplrp.images import IMAGENET, NETWORKS, ImageNetwork, Preprocessing, load_network, save_network, weights

models = pytest.importorskip("torchvision.models", reason="torchvision belongs to the extra image")

SMALL = Preprocessing(resize=None, crop=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
NAMES = ("disc", "square", "star")
ASSUMED = (
    "the weights do not say what they expect; assumed: resize=256, crop=224, mean=(0.485, 0.456, 0.406), "
    "std=(0.229, 0.224, 0.225), interpolation='bilinear', antialias=True"
)
X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@cache
def three_classes() -> nn.Module:
    """ResNet-18 of three classes."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return models.resnet18(weights=None, num_classes=3).eval()


def same(network: ImageNetwork, module: nn.Module) -> bool:
    with torch.no_grad():
        return torch.equal(network.module(X), module(X))


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch) -> Path:
    """Where torchvision keeps what it downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


# ---- by name


@pytest.mark.parametrize("name", NETWORKS)
def test_every_known_network_can_be_made_for_any_number_of_classes(name: str) -> None:
    architecture = NETWORKS[name]
    with torch.device("meta"):  # nothing is drawn: VGG-19 has 144 million weights
        module = architecture.build(n_classes=7, image_size=64)
    head = module.get_submodule(architecture.head)
    assert isinstance(head, nn.Linear)
    assert head.out_features == 7


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "resnet18", "resnet50"])
def test_torchvision_s_networks_are_those_of_that_name(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = NETWORKS[name].build(n_classes=1000, image_size=224), models.get_model(name)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


def test_random_weights_are_those_of_the_seed_and_the_caller_s_stream_stays() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one, again, other = (load_network("resnet18", weights="random", seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.rand(3), expected)
    assert one.weights_sha256 == again.weights_sha256 != other.weights_sha256
    assert one.weights == "random, seed 3"
    assert one.notes == ("random weights: maps show what explaining costs, and say nothing of images",)
    assert one.preprocessing == IMAGENET
    assert one.classes is None
    assert not one.module.training
    named = load_network("resnet18", weights="random", classes=NAMES)
    assert named.module(X).shape == (2, 3)
    assert named.class_numbers == {"disc": 0, "square": 1, "star": 2}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "resnet5O",
            {},
            r"network: 'resnet5O' is not known \(did you mean 'resnet50'\?\); use one of vgg16, .*module:",
        ),
        ("resnet50", {"weights": "BEST"}, "weights: 'BEST' is no file and no name.*IMAGENET1K_V1, .*DEFAULT, random"),
        ("resnet50", {"weights": "nowhere.pth"}, r"nowhere\.pth: there is no such weights file"),
        ("resnet50", {"weights": Path("nowhere")}, "nowhere: there is no such weights file"),
        ("vgg16", {"weights": "IMAGENET1K_FEATURES"}, "IMAGENET1K_FEATURES: have no classifier"),
        ("vgg16", {"classes": NAMES}, "classes: 3 names for the 1000 outputs of VGG16_Weights.IMAGENET1K_V1"),
        ("nowhere.safetensors", {}, r"nowhere\.safetensors: there is no such weights file"),
        ("nowhere.safetensors", {"weights": "random"}, "has weights of its own"),
    ],
)
def test_what_can_t_be_loaded_is_told(name: str, options: dict[str, object], said: str, checkpoints: Path) -> None:
    with pytest.raises(SeqplrpError, match=said):
        load_network(name, **options)
    assert not list(checkpoints.iterdir())


def test_a_network_without_published_weights_asks_for_some(monkeypatch) -> None:
    monkeypatch.setitem(NETWORKS, "ours", replace(NETWORKS["resnet18"], published=None, n_classes=3))
    with pytest.raises(SeqplrpError, match="network ours: has no published weights; name a file of weights, or random"):
        load_network("ours")
    with pytest.raises(SeqplrpError, match="weights: 'DEFAULT' is no file and no name"):
        load_network("ours", weights="DEFAULT")
    assert load_network("ours", weights="random").module(X).shape == (2, 3)


def test_without_torchvision_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(SeqplrpError, match=r"resnet18: needs torchvision, .*pip install 'seqplrp\[image\]'"):
        load_network("resnet18")


# ---- weights of torchvision's


@pytest.mark.parametrize("asked", [None, "DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_published_weights_come_with_their_transforms_and_classes(asked: str | None, checkpoints: Path) -> None:
    member = models.ResNet18_Weights.IMAGENET1K_V1
    module = models.resnet18(weights=None).eval()
    torch.save(module.state_dict(), checkpoints / Path(member.url).name)  # as if it had been downloaded before
    found = load_network("resnet18", weights=asked)
    assert same(found, module)
    assert found.preprocessing == Preprocessing.of_transforms(member.transforms())
    assert found.classes == tuple(member.meta["categories"])
    assert found.weights == "torchvision ResNet18_Weights.IMAGENET1K_V1"
    assert found.notes == ()
    assert found.class_numbers["tench"] == 0


def test_weights_that_can_t_be_downloaded_are_told_with_their_address(checkpoints: Path, monkeypatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(SeqplrpError, match=r"can't be had from https://\S+resnet18-\S+pth .*no route.*; download that"):
        load_network("resnet18")


def test_a_file_of_torchvision_s_is_known_by_its_content_whatever_its_name(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "renamed.pt"
    torch.save(three_classes().state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    member = models.ResNet18_Weights.IMAGENET1K_V1

    def published(name: str) -> dict[str, SimpleNamespace]:
        meta = {"categories": NAMES}
        transforms = models.ResNet50_Weights.IMAGENET1K_V2.transforms  # resized to 232 pixels, not to 256
        url = f"https://models.example/{name}-{digest[:8]}.pth"
        return {"OTHER": member, "THIS": SimpleNamespace(url=url, meta=meta, transforms=transforms)}

    monkeypatch.setattr(weights, "published", published)
    found = load_network("resnet18", weights=path)
    assert found.preprocessing.resize == 232
    assert found.classes == NAMES
    assert found.notes == ()


# ---- weights in files


@pytest.mark.parametrize("form", ["safetensors", "state dict", "nested", "DataParallel", "torch 0.4"])
def test_a_file_decides_how_many_classes_there_are_and_what_it_does_not_say_is_told(tmp_path: Path, form: str) -> None:
    state = three_classes().state_dict()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "DataParallel":
        state = {f"module.{name}": value for name, value in state.items()}
    elif form == "torch 0.4":
        state = {name: value for name, value in state.items() if "num_batches" not in name}
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if form == "nested" else state, path)
    found = load_network("resnet18", weights=str(path))
    assert same(found, three_classes())
    assert found.weights == str(path)
    assert found.classes is None
    assert found.preprocessing == IMAGENET
    assert found.notes == (ASSUMED,)


def test_what_the_user_says_goes_before_what_is_assumed(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(three_classes().state_dict(), path)
    found = load_network("resnet18", weights=path, preprocessing=SMALL, classes=NAMES)
    assert (found.preprocessing, found.classes, found.notes) == (SMALL, NAMES, ())
    with pytest.raises(SeqplrpError, match=r"classes: 2 names for the 3 outputs of .*w\.safetensors; name each"):
        load_network("resnet18", weights=path, classes=NAMES[:2])


def test_some_of_what_weights_expect_can_be_changed_and_only_the_rest_is_assumed(tmp_path: Path, saved: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(three_classes().state_dict(), path)
    found = load_network("resnet18", weights=path, changed={"crop": 96, "resize": 96, "mean": (0.1, 0.2, 0.3)})
    assert found.preprocessing == replace(IMAGENET, crop=96, resize=96, mean=(0.1, 0.2, 0.3))
    assert found.notes == (
        "the weights do not say what they expect; assumed: std=(0.229, 0.224, 0.225), interpolation='bilinear', "
        "antialias=True",
    )
    again = load_network(str(saved), changed={"crop": 32})
    assert (again.preprocessing, again.notes) == (replace(SMALL, crop=32), ())
    with pytest.raises(SeqplrpError, match=r"std: \(0, 1, 1\) has a number that is not positive"):
        load_network(str(saved), changed={"std": (0, 1, 1)})


def test_a_network_of_one_size_is_built_as_it_was_trained_whatever_size_it_is_shown(tmp_path: Path) -> None:
    trained = load_network("vgg16-slim", weights="random", preprocessing=replace(SMALL, crop=96))
    save_network(trained, tmp_path / "net.safetensors")
    for told in ({"preprocessing": SMALL}, {"changed": {"crop": 64}}):
        found = load_network(str(tmp_path / "net.safetensors"), **told)
        assert found.preprocessing == SMALL
        assert same(found, trained.module)


def test_weights_of_another_network_are_told_by_name_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(models.resnet34(weights=None, num_classes=3).state_dict(), path)
    with pytest.raises(SeqplrpError, match=r"w\.pth: the weights do not fit the model: .*not in the model: layer1\.2"):
        load_network("resnet18", weights=path)


def test_objects_in_a_file_are_not_unpickled(tmp_path: Path) -> None:
    torch.save(three_classes(), tmp_path / "w.pth")
    with pytest.raises(SeqplrpError, match=r"w\.pth: holds more than tensors"):
        load_network("resnet18", weights=tmp_path / "w.pth")


# ---- saved networks


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_network(ImageNetwork("resnet18", three_classes(), SMALL, NAMES, "trained here"), path)
    return path


def test_a_saved_network_comes_back_whole(saved: Path) -> None:
    for found in (load_network(str(saved)), load_network("resnet18", weights=saved)):
        assert same(found, three_classes())
        assert (found.name, found.preprocessing, found.classes, found.notes) == ("resnet18", SMALL, NAMES, ())
        assert found.weights == str(saved)


def test_a_saved_network_is_no_other(saved: Path) -> None:
    with pytest.raises(SeqplrpError, match=r"holds weights of resnet18, not of resnet50; ask for resnet18"):
        load_network("resnet50", weights=saved)


def test_the_directory_of_a_training_is_the_network_in_it(saved: Path) -> None:
    saved.rename(saved.parent / "model.safetensors")
    found = load_network(str(saved.parent))
    assert (found.name, found.preprocessing, found.classes) == ("resnet18", SMALL, NAMES)
    with pytest.raises(SeqplrpError, match="network: 'empty' is not known"):
        load_network("empty")


def test_only_what_can_be_loaded_again_is_saved(tmp_path: Path) -> None:
    network = ImageNetwork("resnet18", three_classes(), SMALL, NAMES, "trained here")
    with pytest.raises(SeqplrpError, match=r"net\.pt: does not end in \.safetensors; name it net\.safetensors"):
        save_network(network, tmp_path / "net.pt")
    with pytest.raises(SeqplrpError, match="network mine:net: is not known by name"):
        save_network(replace(network, name="mine:net"), tmp_path / "net.safetensors")


def test_a_network_is_saved_to_the_same_bytes_each_time(saved: Path, tmp_path: Path) -> None:
    for number in range(5):
        again = tmp_path / f"{number}.safetensors"
        save_network(ImageNetwork("resnet18", three_classes(), SMALL, NAMES, "trained here"), again)
        assert again.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "does not say of which network its weights are"),
        ('{"preprocessing": {}, "network": "resnet99"}', "holds weights of resnet99, which is not known"),
        ('{"preprocessing": {', "can't be read as a saved network"),
        ("[]", "can't be read as a saved network .*no network is named"),
        ('{"preprocessing": {}, "network": 5}', "can't be read as a saved network .*no network is named"),
        ('{"preprocessing": {"crop": -1}, "network": "resnet18"}', "can't be read as a saved network .*crop"),
        (
            '{"preprocessing": [], "network": "resnet18"}',
            r"can't be read as a saved network .*\[\], no settings by name",
        ),
        ('{"preprocessing": {}, "network": "resnet18", "classes": 5}', "can't be read .*no list of names"),
        ('{"preprocessing": {}, "network": "resnet18", "classes": ["a"]}', "names 1 classes for 3 outputs"),
    ],
)
def test_a_file_that_says_nothing_of_use_is_told(tmp_path: Path, told: str | None, said: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"fc.bias": torch.zeros(3)}, path, metadata=None if told is None else {"seqplrp": told})
    with pytest.raises(SeqplrpError, match=rf"net\.safetensors: {said}"):
        load_network(str(path))


# ---- the user's own code


SOURCE = """
    from torch import nn

    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    precise = make().double()
"""


@pytest.fixture
def user_code(tmp_path: Path, monkeypatch):
    (tmp_path / "user_image_net.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("user_image_net", None)


def test_any_model_is_loaded_by_module_and_callable_and_what_it_expects_is_told(user_code: Path) -> None:
    found = load_network("user_image_net:make")
    assert found.module(X).shape == (2, 4)
    assert not found.module.training
    assert found.weights == "as made"
    assert found.notes == (ASSUMED,)
    torch.save(found.module.state_dict(), user_code / "w.pth")
    again = load_network("user_image_net:make", weights="w.pth", preprocessing=SMALL, classes=["a", "b", "c", "d"])
    assert same(again, found.module)
    assert (again.preprocessing, again.weights, again.notes) == (SMALL, "w.pth", ())


def test_what_makes_its_own_weights_takes_no_others_by_name(user_code: Path) -> None:
    for asked in ("random", "DEFAULT"):
        with pytest.raises(SeqplrpError, match=f"makes its own weights; leave {asked} out, or name a file"):
            load_network("user_image_net:make", weights=asked)


def test_a_network_of_other_precision_computes_in_32_bits_and_the_user_s_own_stays_as_it_is(user_code: Path) -> None:
    found = load_network("user_image_net:precise")
    assert found.module(X).dtype == torch.float32
    assert found.notes[0] == "weights in torch.float64 were taken in torch.float32"
    theirs = sys.modules["user_image_net"].precise
    assert {one.dtype for one in theirs.parameters()} == {torch.float64}


def test_what_is_wrong_with_the_user_s_code_is_told_of_the_network(user_code: Path) -> None:
    with pytest.raises(SeqplrpError, match=r"^network: user_image_net has no 'Net'"):
        load_network("user_image_net:Net")
    with pytest.raises(SeqplrpError, match=r"^network: there is no module 'nobody_s_net'"):
        load_network("nobody_s_net:make")
