"""W3C Web Annotation Data Model: one AnnotationPage in JSON-LD, one annotation per entity.

Offsets of a TextPositionSelector are code points, as the model says (section 4.2.5); a TextQuoteSelector beside it
names the words and what stands around them. The texts themselves are not in the file: an annotation points at
`urn:eat:RUN:ID`, with `RUN:#N` for the N-th record where a record has no id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.writing import Sink, json_array

CONTEXT = "http://www.w3.org/ns/anno.jsonld"
_AROUND = 32  # code points of prefix and suffix: enough to find words again in a text that was edited


def _write(records: Records, file: Sink, written: Written) -> None:
    head = f'{{"@context":"{CONTEXT}","type":"AnnotationPage","items":'.encode()
    json_array(file, _annotations(records, written), head=head, tail=b"}\n")


def _annotations(records: Records, written: Written) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(records, 1):
        identifier = f"#{number}" if record["id"] is None else record["id"]
        source = f"urn:eat:{quote(record['run'], safe='')}:{quote(identifier, safe='')}"
        for position, entity in enumerate(record["entities"]):
            yield _annotation(f"{source}:{position}", source, record, entity)
        if not record["entities"]:
            written.dropped["records without entities, which have no annotation"] += 1
        written.records += 1


def _annotation(name: str, source: str, record: Mapping[str, Any], entity: Mapping[str, Any]) -> dict[str, Any]:
    text, start, end = record["text"], entity["start"], entity["end"]
    quoted = {
        "type": "TextQuoteSelector",
        "exact": text[start:end],
        "prefix": text[max(0, start - _AROUND) : start],
        "suffix": text[end : end + _AROUND],
    }
    return {
        "id": name,
        "type": "Annotation",
        "motivation": "tagging",
        "body": {"type": "TextualBody", "value": entity["tag"], "purpose": "tagging"},
        "target": {
            "source": source,
            "selector": [{"type": "TextPositionSelector", "start": start, "end": end}, quoted],
        },
    }


FORMAT = ExportFormat("code points", to_stream=_write)
