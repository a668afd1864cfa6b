"""How much a few compressed bytes can stand for, by which announced sizes are judged before memory is taken."""

from __future__ import annotations

MOST_INFLATED = 1032
"""Bytes that one byte stored by deflate (gzip, zip, bgzip, HDF5's usual filter) can stand for, at most."""
