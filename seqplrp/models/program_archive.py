"""What a saved program would run when torch loads it: looked for in the archive before torch is let near it.

`torch.export.load` unpickles some entries of a .pt2 file with all that pickle can do. It also makes Python code of text
that a program holds: sizes go through sympy's parser, which evaluates them; guards and the names of values become the
source of functions. A file that was made to harm can use each of these, so each is checked here against what
`torch.export.save` writes.
"""

from __future__ import annotations

import ast
import io
import json
import lzma
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch

from seqplrp.errors import SeqplrpError, whole_message

TRUST = "give --trust-pickle (trust_pickle=True) if you trust it"

_OLD_PROGRAM = "serialized_exported_program.json"  # torch 2.6 and 2.7 wrote the parts side by side
_OLD_PARTS = "serialized_"
_MODELS, _WEIGHTS, _CONSTANTS, _INPUTS = "models/", "data/weights/", "data/constants/", "data/sample_inputs/"
_COMPILED = "data/aotinductor/"
_DEEPEST = 200  # a program's JSON is 10 deep, with a torch.cond 16, with one within another 23


class Archive:
    """The entries of a saved program, in either of torch's two layouts.

    Parameters
    ----------
    content : bytes
        Of the file.
    path : object
        The file's name, for errors.

    Raises
    ------
    SeqplrpError
        Where it is no such archive, or is cut short.
    """

    def __init__(self, content: bytes, path: object) -> None:
        self.path = path
        begun = content[:4] == b"PK\x03\x04"
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as plain:
                self._old = {name: plain.read(name) for name in plain.namelist() if name.startswith(_OLD_PARTS)}
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
            what = "is cut short or damaged" if begun else "is no saved program: it is no zip archive"
            raise SeqplrpError(path, what, _remedy(begun)) from error
        except RuntimeError as error:  # encrypted, or packed in a way that Python's zipfile does not know
            raise SeqplrpError(path, f"can't be unpacked ({whole_message(error, most=200)})", _remedy(begun)) from error
        try:  # as torch itself reads it, so that no entry is one thing here and another there
            self._reader = torch._C.PyTorchFileReader(io.BytesIO(content))
            self._names: list[str] = list(self._reader.get_all_records())
        except UnicodeDecodeError as error:
            raise SeqplrpError(path, "is damaged: the name of an entry is no text", _remedy(begun)) from error
        except RuntimeError as error:
            if not self._old:
                raise SeqplrpError(path, "is no saved program: it holds no program of torch", _remedy()) from error
            self._names = []

    def _read(self, name: str) -> bytes:
        try:
            found: bytes = self._reader.get_record(name)
        except RuntimeError as error:  # listed, but not there, or not as it is listed
            raise self._damaged(name) from error
        return found

    def programs(self) -> dict[str, Any]:
        """Return every program in it as JSON, by the name of its entry."""
        # whatever their ending: torch takes all that is there for programs
        texts = {name: self._read(name) for name in self._names if name.startswith(_MODELS)}
        if _OLD_PROGRAM in self._old:
            texts[_OLD_PROGRAM] = self._old[_OLD_PROGRAM]
        return {name: self._json(name, text) for name, text in texts.items()}

    def has(self, prefix: str) -> bool:
        """Say whether an entry's name begins so."""
        return any(name.startswith(prefix) for name in self._names)

    def payloads(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Go through the lists of weights and constants: the list's entry, what it names, and how that is stored."""
        for folder, kind in ((_WEIGHTS, "weights"), (_CONSTANTS, "constants")):
            for name in self._names:
                if name.startswith(folder) and name.endswith(f"_{kind}_config.json"):
                    listed = self._json(name, self._read(name)).get("config")
                    if not isinstance(listed, dict) or not all(isinstance(one, dict) for one in listed.values()):
                        raise self._damaged(name)
                    for weight, stored in listed.items():
                        yield folder, weight, stored

    def pickles(self) -> Iterator[tuple[str, bytes]]:
        """Go through the entries that torch reads as pickles of tensors, and as any pickle where that fails."""
        for name in self._names:
            if name.endswith(".pt") and name.startswith((_WEIGHTS, _CONSTANTS, _INPUTS)):
                yield name, self._read(name)
        for name, content in self._old.items():
            if name != _OLD_PROGRAM:
                yield name, content

    def _json(self, name: str, text: bytes) -> Any:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged(name) from error
        if not isinstance(found, dict):
            raise self._damaged(name)
        if _is_deep(found):
            raise SeqplrpError(self.path, f"is damaged: its entry {name} is nested too deep", _remedy(True))
        return found

    def _damaged(self, name: str) -> SeqplrpError:
        return SeqplrpError(self.path, f"is damaged: its entry {name} is not what torch.export.save writes", _remedy())


def _is_deep(value: Any) -> bool:
    """Say whether JSON is nested deeper than any program, and than those can follow who walk through it."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _within(one)]
        if not level:
            return False
    return True


def _within(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _remedy(begun: bool = False) -> str:
    if begun:
        return "copy or export it again"
    return "give a file that torch.export.save wrote, a directory that seqplrp train wrote, or module:callable"


def check_harmless(archive: Archive) -> None:
    """Raise a SeqplrpError for the first entry that would run code of its maker's when torch loads or runs it.

    Parameters
    ----------
    archive : Archive
        Of a file that is not trusted.
    """
    try:
        _refuse_harm(archive)
    except RecursionError as error:
        raise SeqplrpError(archive.path, "is damaged: its entries are nested too deep", _remedy(True)) from error


def _refuse_harm(archive: Archive) -> None:
    for entry in _pickled_payloads(archive):
        raise _asks_for_pickle(archive, entry)
    for entry, content in archive.pickles():
        if content:
            _check_only_tensors(archive, entry, content)
    if archive.has(_COMPILED):
        raise SeqplrpError(archive.path, f"holds compiled code ({_COMPILED}), which runs as it is", TRUST)
    for entry, program in archive.programs().items():
        for kind, text in _harmful(program):
            shown = text if len(text) <= 60 else f"{text[:57]}..."
            raise SeqplrpError(
                archive.path, f"its entry {entry} holds {shown!r} as {kind}, which torch may run as code", TRUST
            )


def _pickled_payloads(archive: Archive) -> Iterator[str]:
    for folder, name, stored in archive.payloads():
        # objects of other kinds than tensors are always pickled, whatever the flag says
        tensor = str(stored.get("path_name", "")).startswith(("weight_", "tensor_"))
        if stored.get("use_pickle") is not False or not tensor:
            yield f"{folder}{stored.get('path_name')} ({name})"


def _check_only_tensors(archive: Archive, entry: str, content: bytes) -> None:
    """Raise unless an entry can be read as tensors alone: where torch can't do that, it unpickles all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch would read it as; here it is refused or it is tensors
            torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # whatever bytes an entry holds can make the unpickler fail in any way
        if isinstance(error, pickle.UnpicklingError) and "Unsupported operand" not in str(error):
            raise _asks_for_pickle(archive, entry) from error
        raise SeqplrpError(
            archive.path,
            f"its entry {entry} is damaged, or asks for pickle: it can't be read as tensors "
            f"({whole_message(error, most=200, kind=True)})",
            f"copy or export it again, or {TRUST}",
        ) from error


def _asks_for_pickle(archive: Archive, entry: str) -> SeqplrpError:
    return SeqplrpError(archive.path, f"its entry {entry} asks for pickle, which runs code of whoever made it", TRUST)


_NAME = re.compile(r"[^\W\d]\w*")
_SYMBOL = re.compile(r"[a-z]+[0-9]*")
_NUMBER = re.compile(r"-?[0-9.]+(?:e[-+]?[0-9]+)?")
_PLAIN = re.compile(r"[^\"'\\\x00-\x1f\x7f]*")
_OPERATION = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)(\.\w+)+|(_operator|math)\.\w+|torch\.(_C\._set_grad|_?sym_)\w+"
)
_TOUCHES_FILES = ("torch.ops.aten.from_file", "torch.ops.higher_order.triton", "torch.ops.higher_order.call_torchbind")

_NAMES = frozenset({"name", "as_name", "user_input_name"})
_FREE_TEXT = frozenset({"metadata", "as_string", "as_strings", "torch_version"})  # kept or handed on as text
_REFUSED = frozenset({"as_operator", "as_custom_obj", "custom_obj"})


def _harmful(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Go through the texts of a program that are not what `torch.export.save` writes in their place: kind and text."""
    if key in _FREE_TEXT:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if name in _REFUSED:
                yield "an argument", name
            elif not _PLAIN.fullmatch(name):
                yield "a name", name
            else:
                yield from _harmful(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _harmful(item, key)
    elif isinstance(value, str):
        kind, fits = _expected(key)
        if not fits(value):
            yield kind, value


def _expected(key: str) -> tuple[str, Callable[[str], bool]]:
    """Return what a text stands for, by its key, and whether a text can be that."""
    if key in _NAMES:
        return "the name of a value", lambda text: not text or bool(_NAME.fullmatch(text))
    if key == "forward_arg_names":
        return "the name of an input", lambda text: bool(_NAME.fullmatch(text))
    if key == "target":
        return "an operation", _is_operation
    if key == "expr_str":
        return "a size", _is_size
    if key == "guards_code":
        return "a guard", _is_guard
    if key in ("in_spec", "out_spec"):
        return "the structure of inputs or outputs", _is_structure
    return "a name", lambda text: bool(_PLAIN.fullmatch(text))


def _is_operation(text: str) -> bool:
    return bool(_OPERATION.fullmatch(text)) and not text.startswith(_TOUCHES_FILES)


# what sympy prints for a size, and torch's own functions of sizes
_OF_SIZES = frozenset({
    "Abs", "Add", "And", "CeilDiv", "CeilToInt", "CleanDiv", "Equality", "Eq", "ExprCondPair", "Float", "FloatPow",
    "FloatTrueDiv", "FloorDiv", "FloorToInt", "Ge", "GreaterThan", "Gt", "Identity", "IntTrueDiv", "Integer",
    "IsNonOverlappingAndDenseIndicator", "Le", "LessThan", "Lt", "LShift", "Max", "Min", "Mod", "ModularIndexing",
    "Mul", "Ne", "Not", "Or", "Piecewise", "Pow", "PowByNatural", "PythonMod", "RShift", "Rational", "RoundDecimal",
    "RoundToInt", "StrictGreaterThan", "StrictLessThan", "Symbol", "ToFloat", "TruncToFloat", "TruncToInt",
    "Unequality", "Where", "ceiling", "floor", "sqrt",
})  # fmt: skip
_CONSTANTS_OF_SIZES = frozenset({"true", "false", "oo", "int_oo"})
_OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.BitAnd, ast.BitOr, ast.Invert, ast.LShift, ast.RShift,
)  # fmt: skip
_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare)


def _parsed(text: str) -> ast.expr | None:
    """Read an expression; None where it is none, or has a line's end or a comment, which others read otherwise."""
    if not re.fullmatch(r"[^#\\\n\r\x00]*", text):
        return None
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_size(text: str) -> bool:
    node = _parsed(text)
    return node is not None and _size(node)


def _size(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float)
    if isinstance(node, ast.Name):
        return node.id in _CONSTANTS_OF_SIZES or bool(_SYMBOL.fullmatch(node.id) and node.id[-1].isdigit())
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in _OF_SIZES:
            return False
        text = {"Symbol": _SYMBOL, "Float": _NUMBER}.get(node.func.id)
        return all(_size(a) or (text is not None and _is_text(a, text)) for a in node.args) and all(
            word.arg is not None and isinstance(word.value, ast.Constant) and _size(word.value)
            for word in node.keywords
        )
    return _arithmetic(node, _size)


def _is_text(node: ast.AST, pattern: re.Pattern[str]) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(pattern.fullmatch(node.value))


def _arithmetic(node: ast.AST, part: Callable[[ast.AST], bool]) -> bool:
    """Say whether a node combines parts by operators on numbers."""
    if not isinstance(node, _ARITHMETIC):
        return False
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    return all(isinstance(child, _OPERATORS) or part(child) for child in children)


def _is_guard(text: str) -> bool:
    node = _parsed(text)
    return node is not None and _guard(node)


_OF_GUARDS = frozenset({
    "torch.sym_max", "torch.sym_min", "torch.sym_not", "torch.sym_float", "torch.sym_int", "torch.sym_sqrt",
    "torch.sym_ite", "torch._sym_sqrt", "math.floor", "math.ceil", "math.trunc", "math.sqrt", "math.pow", "max",
    "min", "abs", "int", "float", "round", "bool", "IsNonOverlappingAndDenseIndicator",
    "cast_symbool_to_symint_guardless",
})  # fmt: skip
_OF_TENSORS = frozenset({"size", "stride", "storage_offset", "dim"})


def _guard(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, bool | int | float)
    if isinstance(node, ast.Call):
        asked = isinstance(node.func, ast.Attribute) and node.func.attr in _OF_TENSORS and _input(node.func.value)
        return (asked or ast.unparse(node.func) in _OF_GUARDS) and not node.keywords and all(map(_guard, node.args))
    if isinstance(node, ast.Subscript):  # one size of an input: L['x'].size()[2]
        return isinstance(node.value, ast.Call) and _guard(node.value) and _place(node.slice)
    if isinstance(node, ast.Attribute):
        return node.attr == "ndim" and _input(node.value)
    return (isinstance(node, ast.Name) and node.id == "inf") or _input(node) or _arithmetic(node, _guard)


def _input(node: ast.AST) -> bool:
    """Say whether this is an input by its name, such as ``L['x']`` or ``L['args'][0]``."""
    if isinstance(node, ast.Name):
        return node.id == "L"
    return isinstance(node, ast.Subscript) and _input(node.value) and _place(node.slice)


def _place(node: ast.AST) -> bool:
    return (isinstance(node, ast.Constant) and type(node.value) is int) or _is_text(node, _NAME)


def _is_structure(text: str) -> bool:
    """Say whether this describes containers under plain names, and asks for no module to be imported."""
    try:
        _, tree = json.loads(text)
        return _container(tree)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


_IMPORTING = frozenset({"__enum__", "default_factory_module"})


def _container(tree: dict[str, Any]) -> bool:
    context = tree["context"]
    if isinstance(context, str):
        with suppress(ValueError):  # the name of a named tuple stands as it is
            context = json.loads(context)
    return _is_plain(tree["type"]) and _is_plain(context) and all(map(_container, tree["children_spec"]))


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return _IMPORTING.isdisjoint(value) and all(_is_plain(part) for item in value.items() for part in item)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or bool(_PLAIN.fullmatch(value))
