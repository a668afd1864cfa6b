"""Relevance, and the tables beside it, as parquet: a row group at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqplrp.genomics.tracks.extras import extra_library
from seqplrp.genomics.tracks.flat import Sliceable
from seqplrp.genomics.tracks.index import Place
from seqplrp.genomics.tracks.spool import Spool

Kind = Literal["name", "text", "integer", "number", "integer or name"]

_POSITIONS = 1 << 20  # of a row group of maps: 20 MB with hypothetical contributions
_ROWS = 1 << 16  # of a row group of tables
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)


def write_parquet(path: Path, spool: Spool, about: Mapping[str, Any] | None = None) -> None:
    """Write one row a record: its place, its letters and its relevance.

    The columns: ``id``, ``contig``, ``start``, ``end`` (0-based, half-open; a window that was padded may begin before 0
    and end after its contig), ``strand``; ``sequence``, its letters as read; ``per_base``, a list of float32, the
    relevance of each letter; ``hypothetical_A`` to ``hypothetical_T``, likewise, what each base would contribute, where
    the rule tells that; and ``relevance_spread``, the standard deviation over several models, where there are. Contigs
    and strands are dictionary-encoded. The same explanations give the same bytes, and memory is that of one row group.

    Parameters
    ----------
    path : Path
        The file to be.
    spool : Spool
        The records.
    about : mapping, optional
        What is kept as the schema's metadata: texts as they are, all else as JSON; each key behind ``seqplrp.``.

    Raises
    ------
    SeqplrpError
        If pyarrow is not installed.
    """
    pa = _pyarrow()
    names = pa.dictionary(pa.int32(), pa.string())
    places = {"id": pa.string(), "contig": names, "start": pa.int64(), "end": pa.int64(), "strand": names}
    maps = _maps(spool)
    lists = dict.fromkeys(maps, pa.list_(pa.float32()))
    schema = _schema(pa, {**places, "sequence": pa.string(), **lists}, about)
    with _writer(path, schema, [f"{name}.list.element" for name in maps]) as writer:
        for group in _groups(spool.index.in_order()):
            writer.write_table(_rows(pa, schema, spool, maps, group), row_group_size=len(group))


def _maps(spool: Spool) -> dict[str, Sliceable]:
    found = {"per_base": spool.per_base}
    for base, values in zip("ACGT", spool.hypothetical or (), strict=spool.hypothetical is not None):
        found[f"hypothetical_{base}"] = values
    return found if spool.spread is None else {**found, "relevance_spread": spool.spread}


def _groups(places: Iterator[Place]) -> Iterator[list[Place]]:
    """Cut records into groups of at most so many positions; of one record at least."""
    group: list[Place] = []
    for place in places:
        if group and place.values[1] - group[0].offset > _POSITIONS:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _rows(pa: Any, schema: Any, spool: Spool, maps: Mapping[str, Sliceable], group: Sequence[Place]) -> Any:
    first, last = group[0].offset, group[-1].values[1]
    offsets = pa.array(np.array([*(place.offset for place in group), last]) - first, pa.int32())
    letters = pa.py_buffer(_LETTERS[spool.codes.read(first, last)])
    columns = {
        **{name: [getattr(place, name) for place in group] for name in ("id", "contig", "start", "end", "strand")},
        "sequence": pa.StringArray.from_buffers(len(group), offsets.buffers()[1], letters),
        **{name: pa.ListArray.from_arrays(offsets, pa.array(maps[name].read(first, last))) for name in maps},
    }
    arrays = [
        pa.array(columns[field.name], field.type) if isinstance(columns[field.name], list) else columns[field.name]
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_parquet_table(
    path: Path, texts: Iterable[bytes], kinds: Mapping[str, Kind], about: Mapping[str, Any] | None = None
) -> None:
    """Write tables that are tab-separated text, one after the other, as one parquet file with typed columns.

    Empty fields are null. How the rows were cut into texts changes no byte, and memory is that of one row group and
    one text.

    Parameters
    ----------
    path : Path
        The file to be.
    texts : iterable of bytes
        The tables, each with the same header; at least one.
    kinds : mapping
        What columns hold: ``name`` (dictionary-encoded text), ``text``, ``integer`` (64 bits), ``number`` (float64), or
        ``integer or name``, as the first text's values are. A column that is not in it holds numbers.
    about : mapping, optional
        See `write_parquet`.

    Raises
    ------
    SeqplrpError
        If pyarrow is not installed.
    """
    pa = _pyarrow()
    rest = iter(texts)
    first = next(rest)
    columns = _columns(pa, first, kinds)
    named = [
        name for name in columns if kinds.get(name) in ("name", "integer or name") and columns[name] == pa.string()
    ]
    names = pa.dictionary(pa.int32(), pa.string())
    schema = _schema(pa, {**columns, **dict.fromkeys(named, names)}, about)
    with _writer(path, schema) as writer:
        pending = _read_text(first, columns)
        for text in rest:
            pending = pa.concat_tables([pending, _read_text(text, columns)])
            while len(pending) >= _ROWS:
                writer.write_table(_encoded(pending[:_ROWS], schema), row_group_size=_ROWS)
                pending = pending[_ROWS:].combine_chunks()
        for begin in range(0, len(pending), _ROWS):
            writer.write_table(_encoded(pending[begin : begin + _ROWS], schema), row_group_size=_ROWS)


def _columns(pa: Any, text: bytes, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the type of each column as it is read: names are texts until a whole row group is there."""
    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "name": pa.string()}
    found = {}
    for name in text.partition(b"\n")[0].decode().split("\t"):
        kind = kinds.get(name, "number")
        found[name] = types[kind] if kind != "integer or name" else _inferred(pa, text, name)
    return found


def _inferred(pa: Any, text: bytes, column: str) -> Any:
    found = _read_text(text, {}, [column]).schema.field(column).type
    return pa.int64() if found == pa.int64() else pa.string()


def _read_text(text: bytes, types: Mapping[str, Any], only: Sequence[str] = ()) -> Any:
    from pyarrow import csv

    return csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(use_threads=False),
        csv.ParseOptions(delimiter="\t"),
        csv.ConvertOptions(
            column_types=dict(types), include_columns=list(only) or None, null_values=[""], strings_can_be_null=True
        ),
    )


def _encoded(rows: Any, schema: Any) -> Any:
    """Give rows the file's types; a row group's names are numbered as they come in it, wherever it was cut from."""
    return rows.combine_chunks().cast(schema)


def _schema(pa: Any, columns: Mapping[str, Any], about: Mapping[str, Any] | None) -> Any:
    told = {
        f"seqplrp.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in (about or {}).items()
    }
    return pa.schema(list(columns.items()), metadata=told or None)


@contextmanager
def _writer(path: Path, schema: Any, floats: Sequence[str] = ()) -> Iterator[Any]:
    """Open a parquet file; of one that fails nothing stays, as what was closed early would look whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    try:
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=names,
            # bytes of one weight stand together: smaller, and read faster
            use_byte_stream_split=list(floats) or False,
        ) as writer:
            yield writer
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _pyarrow() -> Any:
    extra_library("parquet", "pyarrow.parquet", "format parquet")
    return extra_library("parquet", "pyarrow", "format parquet")
