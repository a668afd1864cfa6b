"""Saved programs that are damaged or made to deceive: each way to fail is one clear error, and none looks harmless."""

from __future__ import annotations

import io
import json
import logging
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from saved_programs import (
    INPUTS,
    LENGTH,
    PROGRAM,
    WEIGHTS,
    Marks,
    Net,
    entries,
    in_json,
    pickled,
    rewritten,
    save,
    seeded,
)

from seqplrp.errors import SeqplrpError
from seqplrp.models import load_program, program_archive

PART = "serialized_state_dict.pt"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save(seeded(Net), tmp_path_factory.mktemp("archive") / "free.pt2")


def refused(path: Path) -> SeqplrpError:
    """Load a program that can't be: the error names the file and says what to do."""
    with pytest.raises(SeqplrpError) as caught:
        load_program(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value


# --- the archive itself


def packed(method: int, content: bytes = bytes(range(256)) * 40) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(PART, content)
    return bytearray(out.getvalue())


def in_headers(content: bytearray, local: int, central: int, value: int) -> bytes:
    """Set two bytes of the entry's header, and of its copy in the directory at the end."""
    for start, offset in ((content.find(b"PK\x03\x04"), local), (content.find(b"PK\x01\x02"), central)):
        content[start + offset : start + offset + 2] = value.to_bytes(2, "little")
    return bytes(content)


def spoilt(content: bytearray, kept: int) -> bytes:
    """Overwrite what the entry holds behind so many bytes."""
    start = 30 + len(PART) + kept
    stop = content.find(b"PK\x01\x02")
    content[start:stop] = b"\xff" * (stop - start)
    return bytes(content)


def displaced(content: bytearray) -> bytes:
    """Let the directory at the end say that it begins before the file does."""
    at = content.rfind(b"PK\x05\x06") + 16
    content[at : at + 4] = (0xFFFFFF).to_bytes(4, "little")
    return bytes(content)


UNPACKABLE = {
    "deflated, spoilt": (lambda: spoilt(packed(zipfile.ZIP_DEFLATED), 0), "is cut short or damaged"),
    "bzip2, spoilt": (lambda: spoilt(packed(zipfile.ZIP_BZIP2), 0), "is cut short or damaged"),
    "lzma, spoilt": (lambda: spoilt(packed(zipfile.ZIP_LZMA), 9), "is cut short or damaged"),
    "stored, spoilt": (lambda: spoilt(packed(zipfile.ZIP_STORED), 9), "is cut short or damaged"),
    "a directory elsewhere": (lambda: displaced(packed(zipfile.ZIP_STORED)), "is cut short or damaged"),
    "encrypted": (lambda: in_headers(packed(zipfile.ZIP_STORED), 6, 8, 1), r"can't be unpacked \(.*encrypted"),
    "packed otherwise": (lambda: in_headers(packed(zipfile.ZIP_STORED), 8, 10, 97), r"can't be unpacked \(.*not supp"),
}


@pytest.mark.parametrize("kind", UNPACKABLE)
def test_an_archive_that_can_not_be_unpacked_says_so(tmp_path, kind):
    make, said = UNPACKABLE[kind]
    path = tmp_path / "x.pt2"
    path.write_bytes(make())
    refused(path)
    with pytest.raises(SeqplrpError, match=said):
        load_program(path)


def test_an_entry_that_is_listed_but_not_there_is_named(saved, tmp_path):
    assert PROGRAM in entries(saved)
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        (entry,) = [info for info in archive.infolist() if info.filename.endswith(PROGRAM)]
    content[entry.header_offset : entry.header_offset + 4] = b"none"
    (tmp_path / "x.pt2").write_bytes(content)
    assert refused(tmp_path / "x.pt2").what == f"is damaged: its entry {PROGRAM} is not what torch.export.save writes"


@pytest.mark.parametrize(
    ("as_utf8", "said"), [(True, "is cut short or damaged"), (False, "the name of an entry is no")]
)
def test_an_entry_whose_name_is_no_text_is_a_mendable_error(saved, tmp_path, as_utf8, said):
    """Python's zipfile takes a name for what the entry's flag says, torch takes it for UTF-8."""
    assert INPUTS in entries(saved)
    content = bytearray(saved.read_bytes().replace(b"data/sample_inputs", b"data/sample\xff\xfe\xfd\xfcuts"))
    header = content.rfind(b"PK\x01\x02", 0, content.rfind(b"data/sample"))
    content[header + 9] = 8 * as_utf8
    (tmp_path / "x.pt2").write_bytes(content)
    assert said in refused(tmp_path / "x.pt2").what


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"3"], ids=lambda text: str(text[:4]))
def test_an_entry_that_is_no_json_object_is_named(saved, tmp_path, text):
    path = rewritten(saved, tmp_path / "x.pt2", {PROGRAM: lambda _: text})
    assert f"its entry {PROGRAM} is not what" in refused(path).what


@pytest.mark.parametrize("depth", [200, 900])
def test_entries_that_are_nested_too_deep_are_a_mendable_error(saved, tmp_path, depth):
    """As deep as the parser of JSON allows, where we who walk through it, and torch, need more of the stack."""

    def deeper(content: bytes) -> bytes:
        program = json.loads(content)
        program["graph_module"] = {"deep": None}
        return json.dumps(program).encode().replace(b'{"deep": null}', b'{"d":' * depth + b"1" + b"}" * depth)

    path = rewritten(saved, tmp_path / "x.pt2", {PROGRAM: deeper})
    assert f"its entry {PROGRAM} is nested too deep" in refused(path).what


@pytest.mark.parametrize("kind", ["expr_str", "guards_code"])
def test_sums_without_end_are_a_mendable_error(saved, tmp_path, kind):
    """Which Python still parses."""
    text = " + ".join(["1"] * 800)
    edit = in_json(lambda program: program.update({kind: [text] if kind == "guards_code" else text}))
    assert "nested too deep" in refused(rewritten(saved, tmp_path / "x.pt2", {PROGRAM: edit})).what


# --- programs


def test_every_entry_that_torch_takes_for_a_program_is_looked_through(saved, tmp_path):
    """Torch does not look at the ending."""
    mark = tmp_path / "mark"

    def harmful(content: bytes) -> bytes:
        return in_json(lambda program: program["guards_code"].append(f"__import__('os').mkdir('{mark}') == 0"))(content)

    names = entries(saved)
    beside = (
        "data/sample_inputs/{}.pt",
        "data/weights/{}_weights_config.json",
        "data/constants/{}_constants_config.json",
    )
    evil = {form.format("other"): names[form.format("model")] for form in beside}
    evil["models/other.jsom"] = harmful(names[PROGRAM])
    path = rewritten(saved, tmp_path / "evil.pt2", {}, evil)
    assert "its entry models/other.jsom holds" in refused(path).what
    assert not mark.exists()


def test_several_programs_none_of_them_the_models_are_said(saved, tmp_path):
    program = entries(saved)[PROGRAM]
    others = {"models/a.json": program, "models/b.json": program}
    path = rewritten(saved, tmp_path / "x.pt2", {PROGRAM: lambda _: None}, others)
    assert "none named 'model'" in refused(path).what


# --- entries that are pickles


class Scripted(torch.nn.Module):
    def forward(self, x):
        return x


def scripted() -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Scripted()), out)
    return out.getvalue()


ENTRIES = {
    "text": (lambda: b"no pickle at all", "is damaged, or asks for pickle"),
    "cut short": (lambda: pickled({"x": torch.zeros(3)})[:300], "is damaged, or asks for pickle"),
    "a script, which torch would run": (scripted, "is damaged, or asks for pickle"),
    "an object": (lambda: pickled({"x": Marks(Path("mark"))}), "asks for pickle, which runs code"),
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_that_is_not_tensors_alone_is_refused_with_the_reason(saved, tmp_path, monkeypatch, recwarn, kind):
    monkeypatch.chdir(tmp_path)
    make, said = ENTRIES[kind]
    content = make()
    path = rewritten(saved, tmp_path / "x.pt2", {INPUTS: lambda _: content})
    recwarn.clear()
    error = refused(path)
    assert f"its entry {INPUTS} {said}" in error.what
    assert "--trust-pickle" in error.remedy
    assert ("copy or export it again" in error.remedy) == ("damaged" in error.what)
    assert not (tmp_path / "mark").exists()
    assert not recwarn.list


def test_a_trusted_pickle_that_holds_no_tensor_is_said(saved, tmp_path):
    listed = {"path_name": "weight_99", "is_param": False, "use_pickle": True, "tensor_meta": None}
    change = {WEIGHTS: in_json(lambda found: found["config"].update(extra=listed))}
    path = rewritten(saved, tmp_path / "x.pt2", change, {"data/weights/weight_99": pickled({"a": 1})})
    with pytest.raises(SeqplrpError, match="its weight 'extra' is no tensor; export and save"):
        load_program(path, trust_pickle=True)


# --- texts that torch makes code of


@pytest.mark.parametrize(
    "text",
    ["-" * 200_000 + "1", "(" * 5_000 + "1" + ")" * 5_000, "9" * 5_000, "\ud800", "s0 +", "1 +" * 50_000 + "1"],
    ids=["minus", "brackets", "digits", "surrogate", "unfinished", "sum"],
)
def test_what_python_can_not_parse_is_no_size_and_no_guard(saved, tmp_path, text):
    path = rewritten(saved, tmp_path / "x.pt2", {PROGRAM: in_json(lambda program: program["guards_code"].append(text))})
    assert "holds" in (what := refused(path).what) or "nested too deep" in what


NO_STRUCTURE = {
    "no json": "no json",
    "a number": "3",
    "one value": "[1]",
    "two numbers": "[1, 2]",
    "an empty object": "[1, {}]",
    "no children": '[1, {"type": null, "context": null}]',
    "children that are none": '[1, {"type": null, "context": null, "children_spec": 3}]',
    "too deep": "[1, " + '{"type": null, "context": null, "children_spec": [' * 5000 + "]}" * 5000 + "]",
    "a quote in a name": '[1, {"type": null, "context": "a\\"b", "children_spec": []}]',
}


@pytest.mark.parametrize("text", NO_STRUCTURE.values(), ids=NO_STRUCTURE)
def test_what_describes_no_containers_is_no_structure(text):
    assert not program_archive._is_structure(text)


def test_a_named_tuples_name_and_a_dictionarys_keys_are_a_structure():
    leaf = {"type": None, "context": None, "children_spec": []}
    for kind, context in (("collections.namedtuple", "Outputs"), ("builtins.dict", '["profile", "counts"]')):
        tree = {"type": kind, "context": context, "children_spec": [leaf]}
        assert program_archive._is_structure(json.dumps([1, tree]))


# --- what the system and torch say


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), r"can't be read \(permission denied\)"),
        (OSError("of no number"), r"can't be read \(oserror\)"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(saved, monkeypatch, error, said):
    def fail(self):
        raise error

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(SeqplrpError, match=said):
        load_program(saved)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "does not fit into the memory"),
        (RuntimeError("[enforce fail] can't allocate memory: you tried 3 bytes"), "can't allocate memory: you tried 3"),
        (KeyError("surprise"), "can't be loaded as a program: KeyError: 'surprise'"),
    ],
)
def test_what_fails_in_torchs_loader_is_told_with_its_reason(saved, monkeypatch, error, said):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch.export, "load", fail)
    assert said in refused(saved).what


@pytest.mark.parametrize("entry", ["data/weights/weight_2", INPUTS, "data/weights/model_weights_config.json"])
def test_what_torch_would_log_at_length_is_told_in_the_error_alone(saved, tmp_path, capfd, caplog, entry):
    loggers = [logging.getLogger(name) for name in ("torch", "torch.export")]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    path = rewritten(saved, tmp_path / "x.pt2", {entry: lambda _: None})
    assert entry in refused(path).what
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert [(logger.handlers, logger.propagate) for logger in loggers] == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_being_stopped_is_no_fault_of_the_file(saved, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    for module, name in ((torch.export, "load"), (torch, "load")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            with pytest.raises(error):
                load_program(saved)


def test_a_fault_of_our_own_checks_is_not_dressed_up_as_the_files(saved, monkeypatch):
    def fail(*args):
        raise KeyError("a bug of ours")

    monkeypatch.setattr("seqplrp.models.programs._check_explainable", fail)
    with pytest.raises(KeyError):
        load_program(saved)


def test_a_sound_program_is_let_through(saved):
    assert load_program(saved)(torch.zeros(2, 4, LENGTH)).shape == (2, 2)
