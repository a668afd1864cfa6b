"""What is said of maps for sequences, in the words of images."""

from __future__ import annotations

import re

_SAID = (("bases", "pixels"), ("base", "pixel"), ("sequences", "images"), ("sequence", "image"))


def of_images(text: str) -> str:
    """Return a text that rooms for all kinds of inputs wrote, in the words of images."""
    for word, ours in _SAID:
        text = re.sub(rf"\b{word}\b", ours, text)
    return re.sub(r"\ba image\b", "an image", text)
