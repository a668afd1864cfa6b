"""What the commands that explain have in common: from the sequences and models they are given to the files they write.

Its errors speak in the words of the command line, which is where its requests come from.
"""

from __future__ import annotations

from seqplrp.pipeline.chunked import Progress, Result
from seqplrp.pipeline.contents import file_sha256
from seqplrp.pipeline.executors import Executing
from seqplrp.pipeline.explaining import run
from seqplrp.pipeline.exporting import export
from seqplrp.pipeline.format_checks import check_format
from seqplrp.pipeline.formats import FORMATS, Format, Writing, parse_formats
from seqplrp.pipeline.further import FurtherInput, read_further, rows_of
from seqplrp.pipeline.loading import Loaded, load_models
from seqplrp.pipeline.member import Settings, check_ledger
from seqplrp.pipeline.plugin_states import PluginState, plugin_states
from seqplrp.pipeline.preparing import Prepared, check_unchanged, out_of_memory_told, prepare
from seqplrp.pipeline.provenance import provenance
from seqplrp.pipeline.request import Request, read_records
from seqplrp.pipeline.session import Example, Session, chunks_of
from seqplrp.pipeline.sources import FastaSource, RegionSource, Source
from seqplrp.pipeline.variant_source import VariantSource
from seqplrp.pipeline.variants import VariantResult, run_variants

__all__ = [
    "FORMATS",
    "Example",
    "Executing",
    "FastaSource",
    "Format",
    "FurtherInput",
    "Loaded",
    "PluginState",
    "Prepared",
    "Progress",
    "RegionSource",
    "Request",
    "Result",
    "Session",
    "Settings",
    "Source",
    "VariantResult",
    "VariantSource",
    "Writing",
    "check_format",
    "check_ledger",
    "check_unchanged",
    "chunks_of",
    "export",
    "file_sha256",
    "load_models",
    "out_of_memory_told",
    "parse_formats",
    "plugin_states",
    "prepare",
    "provenance",
    "read_further",
    "read_records",
    "rows_of",
    "run",
    "run_variants",
]
