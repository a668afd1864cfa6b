"""No file from outside runs code: nothing unpickles, and YAML makes plain values alone."""

from __future__ import annotations

import ast
import io
import os
import pickle
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from seqplrp import SeqplrpError
from seqplrp.cli.app import build_app

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "fuzz"))

from fuzzed_readers import READERS, framed, zipped  # noqa: E402

SOURCES = sorted((ROOT / "seqplrp").rglob("*.py"))


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Go through all calls in the package: file and line, what is called as it is written, and the call."""
    for path, node in nodes():
        if isinstance(node, ast.Call):
            yield f"{path.relative_to(ROOT)}:{node.lineno}", ast.unparse(node.func), node


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    wanted = (ast.Call, ast.Import, ast.ImportFrom)
    trees = ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES)
    return [(path, node) for path, tree in trees for node in ast.walk(tree) if isinstance(node, wanted)]


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(one.value) for one in call.keywords if one.arg == name), None)


UNSAFE = {
    "pickle": {"load", "loads", "Unpickler"},
    "dill": {"load", "loads"},
    "cloudpickle": {"load", "loads"},
    "joblib": {"load"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "pd": {"read_pickle", "read_hdf"},
    "yaml": {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"},
    "runpy": {"run_path", "run_module"},
}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
OF_NO_FILE = {("seqplrp/methods/checks.py", "pickle.loads")}  # there and back: whether a method can be sent to a worker


def test_the_source_calls_nothing_that_runs_what_a_file_says() -> None:
    found = [
        f"{place} {name}"
        for place, name, _ in calls()
        if name in BUILT_IN or any(name in {f"{module}.{one}" for one in ones} for module, ones in UNSAFE.items())
        if (place.split(":")[0], name) not in OF_NO_FILE
    ]
    assert not found


def test_arrays_and_weights_are_read_without_pickle_unless_the_user_trusts_them() -> None:
    """Where torch may unpickle all, the flag must be the user's own; numpy.load never may."""
    for place, name, call in calls():
        if name.endswith(("np.load", "numpy.load", "np.save")):
            assert keyword(call, "allow_pickle") == "False", place
        if name.endswith(("format.read_array", "format.write_array")):
            assert keyword(call, "allow_pickle") == "False", place
        if name.endswith("torch.load"):
            assert keyword(call, "weights_only") in ("True", "not trust_pickle"), place
        if name.endswith(("yaml.compose", "yaml.parse", "yaml.scan")):
            assert keyword(call, "Loader") == "yaml.SafeLoader", place


def test_torch_loads_whole_programs_in_one_place_alone_behind_the_check_of_what_they_hold() -> None:
    loads = [place for place, name, _ in calls() if name.endswith(("export.load", "jit.load", "hub.load"))]
    # the first is for programs in memory that go from one process to another
    assert [place.split(":")[0] for place in loads] == ["seqplrp/lrp/explained.py", "seqplrp/models/programs.py"]


def test_names_of_what_could_unpickle_are_imported_by_no_other_name() -> None:
    """Else the tests above would not see them."""
    for path, node in nodes():
        if isinstance(node, ast.ImportFrom) and node.module in {*UNSAFE, "numpy", "torch"}:
            assert not {one.name for one in node.names} & {"load", "loads", "Unpickler", "read_pickle"}, path
        if isinstance(node, ast.Import):
            assert all(one.asname is None or one.name not in {*UNSAFE, "torch"} for one in node.names), path


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


def pickled(harm: Harm) -> dict[str, bytes]:
    """Write what does harm when it is unpickled, in every container that a reader might open."""
    objects = np.empty(1, dtype=object)
    objects[0] = harm
    npy, new, old, archive = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, objects, allow_pickle=True)
    torch.save({"conv.weight": harm}, new)
    torch.save({"conv.weight": harm}, old, _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("ids", "offsets", "codes", "per_base", "arr_0", "records"):
            file.writestr(f"{name}.npy", npy.getvalue())
    yaml = f"!!python/object/apply:os.mkdir [{harm.place!r}]"
    return {
        **{f"pickle of protocol {number}": pickle.dumps(harm, number) for number in range(6)},
        "array of objects": npy.getvalue(),
        "archive of arrays of objects": archive.getvalue(),
        "torch's file": new.getvalue(),
        "torch's old file": old.getvalue(),
        "YAML": yaml.encode(),
        "YAML in a task": f"kind: {yaml}\nlength: 5\nmotifs: {{A: GATA1}}\nclasses: {{a: A}}\n".encode(),
        "YAML's key": f"? {yaml}\n: 1\n".encode(),
    }


@pytest.mark.parametrize("kind", pickled(Harm(Path("x"))))
def test_no_reader_runs_what_a_file_asks_for(tmp_path, kind: str) -> None:
    place = tmp_path / "harm"
    content = pickled(Harm(place))[kind]
    for reader in READERS.values():
        path = reader.prepare(tmp_path / reader.name)
        path.write_bytes(content)
        reader.told(path)
        assert not place.exists(), reader.name


@pytest.mark.parametrize(
    "name",
    ["relevance-members", "modisco-arrays", "further-npz", "part-members", "state-dict-members", "program-members"],
)
def test_no_entry_of_an_archive_is_unpickled(tmp_path, name: str) -> None:
    """One after the other, each entry of a sound archive is what would do harm."""
    reader, place = READERS[name], tmp_path / "harm"
    (*_, seed) = reader.seeds().values()
    with zipfile.ZipFile(io.BytesIO(zipped(seed))) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    harmful = pickled(Harm(place))
    kinds = ("pickle of protocol 2", "array of objects", "torch's file", "torch's old file")
    for member in members:
        for content in (harmful[kind] for kind in kinds):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as file:
                for other, sound in members.items():
                    file.writestr(other, content if other == member else sound)
            reader.check(reader.prepare(tmp_path / "trial"), framed(buffer.getvalue()))
            assert not place.exists(), member


def test_what_would_do_harm_does_it_where_somebody_unpickles_it(tmp_path) -> None:
    """Else the tests above would show nothing."""
    for number, content in enumerate(pickled(Harm(tmp_path / "harm")).items()):
        kind, data = content
        place = tmp_path / "harm"
        if kind.startswith("pickle of"):
            pickle.loads(data)
        elif kind == "array of objects":
            np.load(io.BytesIO(data), allow_pickle=True)
        elif kind == "archive of arrays of objects":
            np.load(io.BytesIO(data), allow_pickle=True)["ids"]
        elif kind.startswith("torch's"):
            torch.load(io.BytesIO(data), weights_only=False)
        else:
            continue
        assert place.is_dir(), number
        place.rmdir()


def test_every_command_that_can_trust_says_what_that_risks() -> None:
    group = typer.main.get_command(build_app())
    trusting = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for option in command.params:
            if "--trust-pickle" in option.opts:
                trusting[name] = option
    assert {"explain", "variants", "audit", "filters"} <= set(trusting)
    for option in trusting.values():
        assert option.default is False
        assert "runs code" in option.help


def test_errors_that_ask_for_trust_say_what_that_risks(tmp_path) -> None:
    from seqplrp.models.external import read_weights

    path = tmp_path / "weights.pt"
    path.write_bytes(pickled(Harm(tmp_path / "harm"))["torch's file"])
    with pytest.raises(SeqplrpError, match=r"run code when they are read; .*--trust-pickle if you trust"):
        read_weights(path)
