"""A page read back without a browser: its parts by an HTML parser, its numbers by the layout that the docs describe."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np


@dataclass
class Read(HTMLParser):
    """Scripts and styles by their kind and id, the policy, the text, and every tag that was met."""

    text: str = ""
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    code: list[str] = field(default_factory=list)
    style: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._inside: tuple[str, dict[str, str | None]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = (tag, dict(attrs))
            if tag == "script" and "type" not in dict(attrs):
                self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.text += data
        elif self._inside[0] == "style":
            self.style += data
        elif "type" in self._inside[1]:
            name = str(self._inside[1]["id"])
            self.scripts[name] = self.scripts.get(name, "") + data
        else:
            self.code[-1] += data

    @property
    def policy(self) -> str:
        return next(str(a["content"]) for t, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.scripts["data"])


def read_page(html: str) -> Read:
    page = Read()
    page.feed(html)
    page.close()
    return page


def unpacked(text: str, dtype: str) -> np.ndarray:
    """Undo base64, deflate and the order of bytes (all lowest first)."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    size = np.dtype(dtype).itemsize
    return np.ascontiguousarray(raw.reshape(size, -1).T).view(np.dtype(dtype).newbyteorder("<")).ravel()


def maps_of(page: Read, track: int) -> dict[str, list[np.ndarray]]:
    """Return letters, relevance and, where there are, all four bases of each sequence, as the page holds them."""
    data = page.data
    about = data["tracks"][track]
    steps = {k: np.frombuffer(base64.b64decode(v), "<f4").astype(float) for k, v in about["steps"].items()}
    found: dict[str, list[np.ndarray]] = {"codes": [], "relevance": [], "bases": [], "spread": []}
    for block, (first, last) in enumerate(data["blocks"]):
        codes = unpacked(page.scripts[f"c{block}"], "u1")
        fine = unpacked(page.scripts[f"t{track}m{block}"], "i2")
        others = unpacked(page.scripts[f"t{track}h{block}"], "i1").reshape(3, -1) if "coarse" in steps else None
        wide = unpacked(page.scripts[f"t{track}s{block}"], "i1") if "spread" in steps else None
        at = 0
        for number in range(first, last):
            here = slice(at, at + data["lengths"][number])
            at = here.stop
            letters = codes[here]
            value = fine[here] * steps["fine"][number]
            found["codes"].append(letters)
            found["relevance"].append(np.where(letters < 4, value, 0.0))
            if others is not None:
                bases = np.zeros((4, len(letters)))
                bases[letters % 4, np.arange(len(letters))] = value
                for k in range(3):
                    bases[(letters % 4 + 1 + k) % 4, np.arange(len(letters))] = (
                        others[k, here] * steps["coarse"][number]
                    )
                found["bases"].append(bases)
            if wide is not None:
                found["spread"].append(wide[here] * steps["spread"][number])
    return found
