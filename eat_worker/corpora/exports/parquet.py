"""Parquet: everything a record has, one row each, compressed with zstd; offsets are code points.

`meta` is JSON text, because its keys differ from record to record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from eat_worker.corpora.exports import ExportFormat, Records, Written, library
from eat_worker.corpora.writing import Sink, groups

_ENTITY = (
    *(("start", "int32"), ("end", "int32"), ("tag", "string"), ("words", "string")),
    *(("english", "string"), ("via", "string"), ("confidence", "float64")),
)
_TEXTS = ("id", "text", "lang", "dataset", "english", "back_translation", "skipped", "meta", "run", "fingerprint")


def _write(records: Records, file: Sink, written: Written) -> None:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    entity = arrow.struct([(name, getattr(arrow, kind)()) for name, kind in _ENTITY])
    line = arrow.struct([*entity, arrow.field("outcome", arrow.string()), arrow.field("answer", arrow.string())])
    columns = [(name, arrow.string()) for name in _TEXTS]
    schema = arrow.schema([*columns, ("entities", arrow.list_(entity)), ("ledger", arrow.list_(line))])
    schema = schema.with_metadata({"offsets": "code points"})
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in groups(records):
            writer.write_table(arrow.Table.from_pylist([_row(record) for record in rows], schema=schema))
            written.records += len(rows)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "meta": orjson.dumps(record["meta"]).decode()}


FORMAT = ExportFormat("code points", to_stream=_write, is_text=False)
