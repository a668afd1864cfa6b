"""Options that several commands have, each declared once: ``def explain(model: ..., target: Target = None)``.

Their defaults stand in the commands' signatures, where typer and readers look for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# where each stands in the help of a command
_MODEL = "The model"
_METHOD = "The method"
_SEQUENCES = "The sequences"
_RUNNING = "How it is run"
_EXECUTOR = "Where it is run"

FORMATS = (
    "What to write, with commas between: bigwig, bedgraph, npz, h5, bpnet-h5, modisco, tsv; parquet, zarr (with the "
    "extras of these names)."
)
"""What is said of an option that names formats."""

# --- the model and what of it is explained

Models = Annotated[
    list[str],
    typer.Option(
        help="A directory that `seqplrp train` wrote, a .pt2 file of torch.export.save, or module:callable for any "
        "torch model. Repeat it for an ensemble: the mean is explained, with its spread."
    ),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "--task",
        help="The output to explain: its number, its class's name, predicted, or module:function for a score made "
        "of the outputs. One output needs none. `explain` and `variants` take several, from one forward pass.",
        rich_help_panel=_MODEL,
    ),
]
FurtherInputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--arg",
        help="A further input of the model, held fixed: an array (N, ...) in the order of the sequences, or (1, ...) "
        "for all, as .npy or .npz. Repeat it in the order in which the model takes them.",
        rich_help_panel=_MODEL,
    ),
]
WeightFiles = Annotated[
    list[Path] | None,
    typer.Option(
        help="Weights for module:callable: safetensors or a saved state dict. Several make an ensemble of it."
    ),
]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Unpickle anything from --weights and .pt2 files, which runs code that they name.",
        rich_help_panel=_MODEL,
    ),
]
Layout = Annotated[
    str, typer.Option(help="What the model takes: NCL (N, 4, L) or NLC (N, L, 4).", rich_help_panel=_MODEL)
]
ExplainedClass = Annotated[
    str | None, typer.Option("--class", help="The explained class as the truth names it, if the model does not.")
]

# --- the method

Rule = Annotated[
    list[str] | None,
    typer.Option(
        help="gamma(0.25), epsilon, zplus, alphabeta(2,1), relative ...; a composite: epsilon-plus, "
        "epsilon-gamma-box or default; or PATTERN=RULE (repeated) for layers by module path, or by place: @first, "
        "@last, @conv, @linear. The first match decides; one without a pattern is for all other layers.",
        rich_help_panel=_METHOD,
    ),
]
Attention = Annotated[
    str | None, typer.Option(help="Attention weights: held constant (lrp's own), or attnlrp.", rich_help_panel=_METHOD)
]
PrunedShare = Annotated[
    list[str] | None,
    typer.Option(
        help="Share of relevance to prune at each layer, or PATTERN=SHARE (repeated), instead of --budget.",
        rich_help_panel=_METHOD,
    ),
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Any other setting of the method, as n_shuffles=50, steps=100, sparsity=0.8, over=lrp, "
        "references=shuffled (repeat the option).",
        rich_help_panel=_METHOD,
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        help="Share to prune over the whole network, instead of --p; 0.5 where neither is given.",
        rich_help_panel=_METHOD,
    ),
]
NegativeShare = Annotated[
    float | None,
    typer.Option("--p-neg", help="Share of negative relevance; half of p if not given.", rich_help_panel=_METHOD),
]
Mode = Annotated[
    str | None,
    typer.Option(help="How pruned mass is given back: lambda (plrp's own) or matrix.", rich_help_panel=_METHOD),
]
Threshold = Annotated[
    str | None, typer.Option(help="What counts as small: mass (plrp's own) or gain.", rich_help_panel=_METHOD)
]
Gain = Annotated[float | None, typer.Option(help="g of the gain threshold; plrp's own: 1.0", rich_help_panel=_METHOD)]
Tau = Annotated[float | None, typer.Option(help="Guard of the matrix mode; plrp's own: 0.2", rich_help_panel=_METHOD)]
Center = Annotated[
    str, typer.Option(help="Gradient correction: none, uniform or composition.", rich_help_panel=_METHOD)
]
BothStrands = Annotated[
    bool, typer.Option("--reverse-complement", help="Average the maps of both strands.", rich_help_panel=_METHOD)
]

# --- how it is run

BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Sequences at a time; chosen by memory if not given.", rich_help_panel=_RUNNING),
]
Check = Annotated[bool, typer.Option("--check", help="Stop if a layer's relevance does not add up.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...", rich_help_panel=_RUNNING)]
Tf32 = Annotated[bool, typer.Option("--tf32", help="Let a GPU round products to TF32.", rich_help_panel=_RUNNING)]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="On a GPU, sum in a fixed order: the same bits each time.", rich_help_panel=_RUNNING
    ),
]

Seed = Annotated[int, typer.Option(help="For methods that draw at random.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a run that was stopped; finished chunks are not made again.")
]

# --- what is read and written

Iupac = Annotated[
    str, typer.Option(help="Ambiguity codes other than N: reject them, or read them as n.", rich_help_panel=_RUNNING)
]
Overlaps = Annotated[
    str, typer.Option(help="Where records overlap, tracks have their average, or each its half: split.")
]
OverwriteDirectory = Annotated[bool, typer.Option("--overwrite", help="Replace what seqplrp wrote to --out before.")]
OverwriteFile = Annotated[bool, typer.Option("--overwrite", help="Replace --out if it exists.")]

# --- where the sequences come from

Fasta = Annotated[
    Path | None,
    typer.Option(
        help="DNA, plain or gzipped; chr:start-end headers place records on a genome.", rich_help_panel=_SEQUENCES
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        help="Cut the records of --fasta into windows of so many bases, however long they are.",
        rich_help_panel=_SEQUENCES,
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        help="Bases from one window to the next; a window's length unless given: no overlap.",
        rich_help_panel=_SEQUENCES,
    ),
]
ShortRecords = Annotated[
    str | None,
    typer.Option(
        help="Records shorter than --window: pad (with N; the default), whole, skip or error.",
        rich_help_panel=_SEQUENCES,
    ),
]
Bed = Annotated[
    Path | None,
    typer.Option(
        help="Regions to explain, BED or narrowPeak, plain or gzipped; with --genome.", rich_help_panel=_SEQUENCES
    ),
]
GenomeFile = Annotated[
    Path | None,
    typer.Option("--genome", help="FASTA of the genome of --bed, plain or bgzipped.", rich_help_panel=_SEQUENCES),
]
Width = Annotated[
    int | None,
    typer.Option(
        help="Bases of each window of --bed; what the model takes unless given, or else the region's own.",
        rich_help_panel=_SEQUENCES,
    ),
]
Centre = Annotated[
    str | None,
    typer.Option(
        help="What a window is centred on: auto (the summit where there is one), summit, middle.",
        rich_help_panel=_SEQUENCES,
    ),
]
Edge = Annotated[
    str | None,
    typer.Option(
        help="Windows that run off their contig: pad (with N; the default), skip or error.", rich_help_panel=_SEQUENCES
    ),
]
UnknownContig = Annotated[
    str | None,
    typer.Option(
        help="Regions on contigs that the genome does not have: error (the default) or skip.",
        rich_help_panel=_SEQUENCES,
    ),
]
BedFormat = Annotated[
    str | None,
    typer.Option(help="auto (ten columns are narrowPeak; the default), bed or narrowPeak.", rich_help_panel=_SEQUENCES),
]

# --- where chunks are explained

Executor = Annotated[
    str,
    typer.Option(
        help="local: in this process; ray: by actors of Ray, on this machine or many.", rich_help_panel=_EXECUTOR
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Ray's actors; as many as the cluster has room for unless given.", rich_help_panel=_EXECUTOR),
]
Cpus = Annotated[int, typer.Option(help="Threads of each of Ray's actors.", rich_help_panel=_EXECUTOR)]
Gpus = Annotated[
    float, typer.Option(help="GPUs of each of Ray's actors; with --device cuda.", rich_help_panel=_EXECUTOR)
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        help="A Ray cluster, which must see the same files; unless given one is started on this machine.",
        rich_help_panel=_EXECUTOR,
    ),
]

# --- of the commands that compare methods

BenchmarkDirectory = Annotated[
    Path,
    typer.Option(help="The run's directory. A run that was stopped goes on there; what is finished stays."),
]
Cells = Annotated[
    int | None,
    typer.Option(min=0, help="Train and measure at most so many models, then report what is finished; 0: only report."),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Measure anew what was made from another description; models that would be trained alike are kept.",
    ),
]
