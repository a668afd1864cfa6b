"""From directories of explanations to the page that shows them: sequences, maps, marks, ledgers, checks in words."""

from __future__ import annotations

from seqplrp.recovery.report.marks import MarkOptions
from seqplrp.recovery.report.page import MOST_SEQUENCES, tracks_page
from seqplrp.recovery.report.runs import Runs, read_runs

__all__ = ["MOST_SEQUENCES", "MarkOptions", "Runs", "read_runs", "tracks_page"]
