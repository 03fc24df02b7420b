"""CoNLL-2003: token, two empty columns and the IOB2 tag, separated by blanks; `-DOCSTART-` opens each document.

It has no place for ids, texts and the segmenter: the command names the segmenter on stderr.
"""

from __future__ import annotations

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.exports.tokens import tokenised
from eat_worker.corpora.writing import Sink


def _write(records: Records, file: Sink, written: Written) -> None:
    for record in records:
        found = tokenised(record, written)
        lines = ["-DOCSTART- -X- -X- O", ""]
        lines += (f"{token.words} _ _ {tag}" for token, tag in zip(found.tokens, found.tags(), strict=True))
        file.write("\n".join((*lines, "", "")).encode())
        written.records += 1


FORMAT = ExportFormat("tokens", to_stream=_write)
