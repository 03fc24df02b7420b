"""Parquet files and folders of `datasets` (save_to_disk, or several Parquet files), by pyarrow, a batch at a time.

Rows are read as the keys of JSON records are. Numbers of tags are named by the features that `datasets` wrote into the
file. Bytes are not counted here: a row has no place in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.parsing import Defaults, document_of
from eat_worker.corpora.readers import Reader
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.method.document import Document

_ROWS = 256  # in memory at once
_SPLITS = ("train", "validation", "test")


def read_parquet(path: Path, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused rows of a file or folder. Raises ConfigurationError without pyarrow."""
    try:
        import pyarrow
    except ImportError:
        raise ConfigurationError("Parquet needs one more library: pip install 'eat_worker[corpora]'") from None
    for file in _files(path):
        try:
            yield from _read_file(file, defaults, tally)
        except (OSError, pyarrow.ArrowException) as error:
            raise CorpusError(f"{file} cannot be read: {error}") from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(path.rglob("*.parquet")) or sorted(path.rglob("*.arrow"))
    splits = {file.relative_to(path).parts[0].partition("-")[0] for file in found}
    if len(splits & set(_SPLITS)) > 1:
        raise CorpusError(f"{path} holds several splits ({', '.join(sorted(splits))}); name a file or folder in it")
    return found


def _read_file(file: Path, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    names, batches = _batches(file)
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            try:
                document = document_of(_named(row, names), defaults, tally)
            except RecordError as error:
                tally.rejected[error.code] += 1
                raw = orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS)
                yield Rejected(str(file), number, 0, error.code, f"row {number}: {error}", raw)
            else:
                tally.documents += 1
                yield document


def _batches(file: Path) -> tuple[dict[str, list[str]], Iterator[Any]]:
    """The names of numbered columns, and the rows in batches."""
    if file.suffix == ".arrow":
        from pyarrow import ipc

        stream = ipc.open_stream(file.open("rb"))
        rows = (part for batch in stream for part in _sliced(batch))
        return _features(stream.schema.metadata), rows
    from pyarrow.parquet import ParquetFile

    opened = ParquetFile(file)
    return _features(opened.schema_arrow.metadata), opened.iter_batches(batch_size=_ROWS)


def _sliced(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, _ROWS):
        yield batch.slice(start, _ROWS)


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Column -> the names of its numbers, where `datasets` says so."""
    try:
        features = orjson.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, orjson.JSONDecodeError):
        return {}
    found = {}
    for column, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        if isinstance(inner, dict) and isinstance(inner.get("names"), list):
            found[column] = inner["names"]
    return found


def _named(row: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    made = {column: value for column, value in row.items() if value is not None}
    for column, known in names.items():
        value = made.get(column)
        if isinstance(value, list) and all(isinstance(one, int) and 0 <= one < len(known) for one in value):
            made[column] = [known[one] for one in value]
    return made


def _folder(path: Path) -> str:
    return (
        "it holds Parquet or Arrow files"
        if any(True for _ in (*path.rglob("*.parquet"), *path.rglob("*.arrow")))
        else ""
    )


READER = Reader(None, lambda sample: "it begins with PAR1" if sample.startswith(b"PAR1") else "", read_parquet, _folder)
