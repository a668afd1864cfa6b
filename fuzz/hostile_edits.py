"""What somebody with ill will, or a broken disk, does to a file: the same edits for the fuzzer and for the tests."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from typing import Protocol

LONGEST = 1 << 17

TOKENS = (
    # no text: control bytes, halves of characters, marks that turn the direction of writing, line ends of all kinds
    b"\x00", b"\x1a", b"\x1b[31m", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u202e".encode(), "\u2028".encode(),
    "\u0661".encode(), b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b"\x0b", b"\x85",
    # numbers that are none, too large, or more than anyone has memory for
    b"0", b"-0", b"-1", b"-7", b"1.5", b"1e308", b"1e400", b"-1e400", b"nan", b"NaN", b"inf", b"Infinity", b"0x10",
    b"999999999999", b"2147483648", b"9223372036854775807", b"18446744073709551615", b"9" * 5000,
    b"0x" + b"f" * 4000, b"1" + b":1" * 400 + b".0", b"1_0", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x00" * 8,
    # YAML and JSON: tags, anchors, merge keys, escapes that are no character, nesting
    b"&a ", b"*a", b"<<: *a", b"!!python/object/apply:os.system ['true']", b"!!python/name:os.system ",
    b"!!timestamp x", b"!!int ''", b"!!float ''", b"!!bool maybe", b"!!binary x", b"!!set {a}", b"!x y",
    b'"\\ud800"', b'"\\UFFFFFFFF"',
    b"2001-01-01", b"9999-12-31 23:59:59-23:59", b"? [a]: b", b"%YAML 9.9\n---\n", b"\n---\n", b"[" * 3000,
    b'{"a":' * 500, b"- " * 200, b"[", b"]", b"{", b"}", b"[]", b"{}", b'""', b"null", b"true", b"|\n", b">\n", b"#",
    # arrays and archives
    b"|O", b"<U4", b"|V8", b"(100000000000,)", b"'shape': (99999999999, 9)", b"True", b"PK\x05\x06", b"PK\x03\x04",
    # names that lead elsewhere
    b"../../x", b"/etc/passwd", b"\\\\x", b"CON", b"-x", b"~", b"A" * 70_000, b".", b"*",
    b":", b",", b"'", b'"', b"-", b"=", b" ", b">", b"<", b"(", b")", b";", b"/",
)  # fmt: skip

_WORD = re.compile(rb"[A-Za-z_]+|[-+]?[0-9][0-9.e+-]*|\"[^\"\n]*\"|'[^'\n]*'")


class Chooses(Protocol):
    """What decides: `random.Random`, or hypothesis in its place."""

    def randrange(self, stop: int) -> int:
        """Return a whole number from 0 up to, not including, `stop`."""
        ...


def edited(data: bytes, by: Chooses) -> bytes:
    """Return a file after one to five edits."""
    for _ in range((1, 1, 1, 2, 3, 5)[by.randrange(6)]):
        data = EDITS[by.randrange(len(EDITS))](data, by)[:LONGEST]
    return data


def _span(data: bytes, by: Chooses) -> tuple[int, int]:
    start = by.randrange(len(data) + 1)
    return start, min(len(data), start + (0, 1, 1, 2, 4, 10, 50)[by.randrange(7)])


def _token(by: Chooses) -> bytes:
    return TOKENS[by.randrange(len(TOKENS))]


def _cut(data: bytes, by: Chooses) -> bytes:
    return data[: by.randrange(len(data) + 1)]


def _left_out(data: bytes, by: Chooses) -> bytes:
    start, end = _span(data, by)
    return data[:start] + data[end:]


def _repeated(data: bytes, by: Chooses) -> bytes:
    start, end = _span(data, by)
    return data[:start] + data[start:end] * (2, 3, 60)[by.randrange(3)] + data[end:]


def _swapped(data: bytes, by: Chooses) -> bytes:
    (a, b), (c, d) = sorted((_span(data, by), _span(data, by)))
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _put_in(data: bytes, by: Chooses) -> bytes:
    start, end = _span(data, by)
    return data[:start] + _token(by) + data[end:]


def _word_replaced(data: bytes, by: Chooses) -> bytes:
    words = list(_WORD.finditer(data[:LONGEST]))
    if not words:
        return _put_in(data, by)
    word = words[by.randrange(len(words))]
    return data[: word.start()] + _token(by) + data[word.end() :]


def _line_moved(data: bytes, by: Chooses) -> bytes:
    lines = data.split(b"\n")
    line = lines[by.randrange(len(lines))] if by.randrange(2) else lines.pop(by.randrange(len(lines)))
    lines.insert(by.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _bytes_changed(data: bytes, by: Chooses) -> bytes:
    changed = bytearray(data)
    for _ in range((1, 3, 9)[by.randrange(3)] if data else 0):
        changed[by.randrange(len(changed))] = by.randrange(256)
    return bytes(changed)


def _otherwise_written(data: bytes, by: Chooses) -> bytes:
    """Other line ends, another encoding, a byte order mark, compressed and cut short."""
    zipped = gzip.compress(data, 1, mtime=0)
    return (
        data.replace(b"\n", b"\r\n", 1 + len(data) // 40),
        data.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + data,
        data.decode("latin-1").encode("utf-16"),
        zipped,
        zipped[: by.randrange(len(zipped))],
        zipped + data,
        data * 3,
    )[by.randrange(8)]


EDITS: tuple[Callable[[bytes, Chooses], bytes], ...] = (
    _cut,
    _left_out,
    _repeated,
    _swapped,
    _put_in,
    _put_in,
    _word_replaced,
    _word_replaced,
    _word_replaced,
    _line_moved,
    _bytes_changed,
    _otherwise_written,
)
