"""BIO: one token and its IOB2 tag a line, with the text, the id and the segmenter above each sentence."""

from __future__ import annotations

import re

from eat_worker.corpora.exports import ExportFormat, Records, Written
from eat_worker.corpora.exports.tokens import tokenised
from eat_worker.corpora.writing import Sink

# A text with one of these does not fit into one line, or would be read as columns.
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


def _write(records: Records, file: Sink, written: Written) -> None:
    for record in records:
        found = tokenised(record, written)
        lines = [f"# segmenter = {found.segmenter}"]
        identifier, text = record["id"], record["text"]
        if identifier is not None and not re.search(r"\s", identifier):
            lines.insert(0, f"# sent_id = {identifier}")
        elif identifier is not None:
            written.dropped["ids with blanks"] += 1
        if _BREAKS.search(text) or text != text.strip():
            written.dropped["blanks and line ends of texts that do not fit into one line"] += 1
        else:
            lines.append(f"# text = {text}")
        lines += (f"{token.words}\t{tag}" for token, tag in zip(found.tokens, found.tags(), strict=True))
        file.write("\n".join((*lines, "", "")).encode())
        written.records += 1


FORMAT = ExportFormat("tokens", to_stream=_write)
