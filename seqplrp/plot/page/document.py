"""One HTML document that holds all it needs, runs nothing but its own script, and asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from seqplrp._version import __version__


@dataclass(frozen=True)
class Document:
    """What a page is put together of.

    Parameters
    ----------
    title : str
        Of the window. Any text.
    body : str
        HTML: whatever in it came from outside must be escaped.
    data : mapping
        What the script reads, as JSON can hold it. Any text in it is safe.
    packs : mapping of str to str
        Numbers in base64 by name, which the script unpacks when it needs them.
    styles, scripts : iterable of str
        Files of this package's assets, in their order.
    """

    title: str
    body: str
    data: Mapping[str, Any]
    packs: Mapping[str, str] = field(default_factory=dict)
    styles: Iterable[str] = ()
    scripts: Iterable[str] = ()

    def html(self) -> str:
        """Return the page.

        Its content security policy lets nothing be loaded, and no script or style run but those whose hashes it names:
        markup that slipped through somewhere could still not act.
        """
        style = "\n".join(map(asset, self.styles))
        script = "(() => {\n'use strict';\n" + "\n".join(map(asset, self.scripts)) + "\n})();"
        policy = (
            f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data: blob:; "
            "base-uri 'none'; form-action 'none'"
        )
        packs = "\n".join(
            f'<script type="text/plain" id="{_name(n)}">{_pack(p)}</script>' for n, p in self.packs.items()
        )
        return _PAGE.format(
            policy=policy,
            version=html.escape(__version__),
            title=html.escape(visible(self.title)),
            style=style,
            body=self.body,
            data=embedded_json(self.data),
            packs=packs,
            script=script,
        )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="seqplrp {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
{packs}
<script>{script}</script>
</body>
</html>
"""


def asset(name: str) -> str:
    """Return one of this package's styles or scripts."""
    return (resources.files("seqplrp.plot.page") / "assets" / name).read_text(encoding="utf-8")


def embedded_json(value: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it ends the element or begins a comment.

    Raises
    ------
    ValueError
        If a number is not finite: JSON has no such thing.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def visible(text: str) -> str:
    """Return a text with what can't be seen made visible.

    Control characters, and those that turn the direction of writing, could make a name look like another: each is
    replaced by its number.
    """
    return "".join(c if _shows(c) else f"\u27e8U+{ord(c):04X}\u27e9" for c in text)


def escaped(text: str) -> str:
    """Return any text as HTML that shows it."""
    return html.escape(visible(text), quote=True)


def _shows(character: str) -> bool:
    # str.isprintable is false of all control, format, surrogate, private and unassigned characters
    return character == " " or character.isprintable()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _name(name: str) -> str:
    if not name.isascii() or not name.isalnum():
        raise ValueError(f"{name!r} is no name of a pack")
    return name


def _pack(text: str) -> str:
    if not text.isascii() or "<" in text:
        raise ValueError("a pack is no base64")
    return text
