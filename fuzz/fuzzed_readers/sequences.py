"""DNA and places: FASTA, genomes with their indexes, BED, VCF."""

from __future__ import annotations

import tempfile
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from fuzzed_readers.framing import gzipped
from fuzzed_readers.reader import Reader, Seeds, texts

if TYPE_CHECKING:
    from seqplrp.genomics import RegionFormat

_FASTA = b">chr1:10-22(-) first\nACGTACGTNNAC\n>s2\nacgu\nACGT\n>name::chr2:0-4\nACGT\n"
GENOME = b">chr1 x\nACGTACGTAC\nGTAC\n>chr2\nACGTACGTAC\n"
_BED = b"#c\ntrack name=x\nchr1\t2\t12\tpeak\t1e3\t+\nchr2 0 4 . . .\n"
_NARROW = b"chr1\t2\t12\tp\t900\t.\t5.5\t-1\t-1\t4\nchr2\t0\t4\tq\t0\t.\t0\t0\t0\t-1\n"
_VCF = (
    b"##fileformat=VCFv4.3\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    b"chr1\t3\trs1\tG\tT,<DEL>,GA\t.\tPASS\t.\nchr2\t1\t.\tAC\tA\t.\t.\tX=1\n"
)
_TRUTH = b"s0\t2\t8\tm0\t0\t+\tGATA1\ton\ns1\t0\t6\tm1\t0.5\t-\t.\ton,off\n"


def _fasta(path: Path) -> None:
    from seqplrp.genomics import read_fasta

    for record in read_fasta(path):
        assert record.end - record.start == len(record.sequence) > 0


def _tiles(path: Path) -> None:
    from seqplrp.genomics import fasta_tiles

    for tile in fasta_tiles(path, window=5, stride=3, note=lambda remark: None, short="pad"):
        assert len(tile) == 5


def _genome(path: Path) -> None:
    from seqplrp.genomics import Genome

    with Genome(path) as genome:
        for name, size in genome.sizes.items():
            assert len(genome.fetch(name, 0, size)) == size


def _genome_of_index(path: Path) -> None:
    _genome(path.with_suffix(""))


@cache
def _bgzipped() -> Seeds:
    """Return a genome compressed by bgzip, with the indexes that pyfaidx makes of it."""
    import pyfaidx
    from Bio import bgzf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "genome.fa.gz"
        with bgzf.BgzfWriter(str(path), "wb") as out:
            out.write(GENOME)
        pyfaidx.Faidx(str(path)).close()
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _regions(path: Path, form: RegionFormat) -> None:
    from seqplrp.genomics import iter_regions

    for region in iter_regions(path, format=form):
        assert 0 <= region.start < region.end


def _vcf(path: Path) -> None:
    from seqplrp.genomics import read_vcf

    for variant in read_vcf(path, note=lambda remark: None):
        assert variant.start >= 0
        assert len(variant.name) < 10_000 + len(variant.contig)


def _truth(path: Path) -> None:
    from seqplrp.genomics import read_truth_bed

    read_truth_bed(path)


READERS = (
    Reader("fasta", "in.fa", texts(plain=_FASTA, zipped=gzipped(_FASTA)), _fasta),
    Reader("tiles", "in.fa", texts(plain=_FASTA), _tiles),
    Reader("genome", "genome.fa", texts(plain=GENOME), _genome, cost=3),
    Reader(
        "genome-index",
        "genome.fa.fai",
        texts(plain=b"chr1\t14\t8\t10\t11\nchr2\t10\t30\t10\t11\n"),
        _genome_of_index,
        lambda: {"genome.fa": GENOME},
        cost=3,
        names=False,
    ),
    Reader(
        "genome-bgzip",
        "genome.fa.gz",
        lambda: {"plain": _bgzipped()["genome.fa.gz"]},
        _genome,
        cost=3,
        writes=True,
    ),
    Reader(
        "genome-bgzip-index",
        "genome.fa.gz.gzi",
        lambda: {"plain": _bgzipped()["genome.fa.gz.gzi"]},
        _genome_of_index,
        lambda: {name: content for name, content in _bgzipped().items() if not name.endswith(".gzi")},
        cost=3,
        names=False,
    ),
    Reader("bed", "in.bed", texts(plain=_BED, zipped=gzipped(_BED)), partial(_regions, form="bed")),
    Reader("narrowpeak", "in.narrowPeak", texts(plain=_NARROW), partial(_regions, form="auto")),
    Reader("vcf", "in.vcf", texts(plain=_VCF, zipped=gzipped(_VCF)), _vcf),
    Reader("truth", "truth.bed", texts(plain=_TRUTH), _truth),
)
