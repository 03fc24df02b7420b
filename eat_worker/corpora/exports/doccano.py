"""doccano, sequence labelling: JSON Lines with `text` and `label`; offsets are code points.

`ext_id`, `lang` and `run` become metadata of the example; doccano gives its own `id` when it exports.
"""

from __future__ import annotations

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.writing import Sink, json_line


def _write(records: Records, file: Sink, written: Written) -> None:
    for record in records:
        example = {
            "text": record["text"],
            "label": [[entity["start"], entity["end"], entity["tag"]] for entity in record["entities"]],
            "ext_id": record["id"],
            "lang": record["lang"],
            "run": record["run"],
        }
        file.write(json_line(example))
        written.records += 1


FORMAT = ExportFormat("code points", to_stream=_write)
