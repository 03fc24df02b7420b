"""Prodigy: JSON Lines with `text`, `tokens` and `spans`; offsets are code points, `token_end` is inclusive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.exports.tokens import Token, Tokenised, tokenised
from eat_worker.corpora.writing import Sink, json_line


def _write(records: Records, file: Sink, written: Written) -> None:
    for record in records:
        file.write(json_line(_task(record, tokenised(record, written))))
        written.records += 1


def _task(record: Mapping[str, Any], found: Tokenised) -> dict[str, Any]:
    text, tokens = record["text"], found.tokens
    return {
        "text": text,
        "tokens": [_token(number, token, text) for number, token in enumerate(tokens)],
        "spans": [
            {
                "start": tokens[first].start,
                "end": tokens[last - 1].end,
                "label": tag,
                "token_start": first,
                "token_end": last - 1,
            }
            for first, last, tag in found.marks
        ],
        "meta": {"id": record["id"], "lang": record["lang"], "run": record["run"], "segmenter": found.segmenter},
    }


def _token(number: int, token: Token, text: str) -> dict[str, Any]:
    follows = text[token.end : token.end + 1]
    return {
        "text": token.words,
        "start": token.start,
        "end": token.end,
        "id": number,
        "ws": bool(follows) and follows.isspace(),
    }


FORMAT = ExportFormat("code points", to_stream=_write)
