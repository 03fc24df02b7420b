"""Hugging Face `datasets`: a folder that `load_dataset` opens, with `tokens` and `ner_tags` as class labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.exports import ExportFormat, Records, Written, library
from eat_worker.corpora.exports.tokens import tokenised
from eat_worker.corpora.writing import groups
from eat_worker.method.document import TAGS

NAMES = ("O", *(f"{prefix}-{tag}" for tag in TAGS for prefix in "BI"))
_NUMBERS = {name: number for number, name in enumerate(NAMES)}
_TEXTS = ("id", "text", "lang", "segmenter")
_CARD = """---
configs:
- config_name: default
  data_files: data/*.parquet
---

Named entities written by `eat export`. `ner_tags` has one tag per token: {names}.
Tokens are {segmenters}; offsets are tokens.
"""


def _write(records: Records, folder: Path, written: Written) -> None:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    columns = [(name, arrow.string()) for name in _TEXTS]
    lists = [("tokens", arrow.list_(arrow.string())), ("ner_tags", arrow.list_(arrow.int64()))]
    schema = arrow.schema([*columns, *lists]).with_metadata({"huggingface": orjson.dumps(_features())})
    (folder / "data").mkdir()
    with parquet.ParquetWriter(folder / "data" / "train-00000-of-00001.parquet", schema, compression="zstd") as writer:
        for group in groups(records):
            rows = [_row(record, written) for record in group]
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
            written.records += len(rows)
    segmenters = " or ".join(sorted(written.segmenters)) or "words"
    card = _CARD.format(names=", ".join(NAMES), segmenters=segmenters)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _features() -> dict[str, Any]:
    text = {"dtype": "string", "_type": "Value"}
    tags = {"names": list(NAMES), "_type": "ClassLabel"}
    features = dict.fromkeys(_TEXTS, text) | {
        "tokens": {"feature": text, "_type": "Sequence"},
        "ner_tags": {"feature": tags, "_type": "Sequence"},
    }
    return {"info": {"features": features}}


def _row(record: Mapping[str, Any], written: Written) -> dict[str, Any]:
    found = tokenised(record, written)
    return {
        **{name: record[name] for name in ("id", "text", "lang")},
        "segmenter": found.segmenter,
        "tokens": [token.words for token in found.tokens],
        "ner_tags": [_NUMBERS[tag] for tag in found.tags()],
    }


FORMAT = ExportFormat("tokens", to_folder=_write)
