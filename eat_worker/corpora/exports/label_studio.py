"""Label Studio: a JSON array of tasks with predictions, for a labelling config with `<Labels name="label">` on
`<Text name="text">`.

Offsets are code points: its frontend counts JavaScript's UTF-16 code units and converts them on the way in and out
(since 2022; before that, texts with characters beyond U+FFFF had wrong places).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.writing import Sink, json_array


def _write(records: Records, file: Sink, written: Written) -> None:
    def tasks() -> Any:
        for record in records:
            yield _task(record)
            written.records += 1

    json_array(file, tasks())


def _task(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data": {name: record[name] for name in ("text", "lang", "english", "run")} | {"ext_id": record["id"]},
        "predictions": [
            {
                "model_version": record["fingerprint"][:12],
                "result": [_region(number, entity) for number, entity in enumerate(record["entities"])],
            }
        ],
    }


def _region(number: int, entity: Mapping[str, Any]) -> dict[str, Any]:
    region: dict[str, Any] = {
        "id": f"e{number}",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": {
            "start": entity["start"],
            "end": entity["end"],
            "text": entity["words"],
            "labels": [entity["tag"]],
        },
    }
    if entity["confidence"] is not None:
        region["score"] = entity["confidence"]
    return region


FORMAT = ExportFormat("code points", to_stream=_write)
