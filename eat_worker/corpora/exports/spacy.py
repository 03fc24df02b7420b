"""spaCy: a folder of `.spacy` files (DocBin), which `spacy train` takes as it is; entities are over tokens.

A document's text is the record's, blanks included; `user_data` has its id, language and segmenter. A DocBin is built
in memory, so a file holds a limited part of the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eat_worker.corpora.exports import ExportFormat, Records, Written, library
from eat_worker.corpora.exports.tokens import Token, tokenised
from eat_worker.corpora.writing import groups


def _write(records: Records, folder: Path, written: Written) -> None:
    library("spacy")
    for number, group in enumerate(groups(records)):
        # A vocabulary of its own: it never forgets a word.
        vocab = library("spacy.vocab").Vocab()
        documents = (_document(vocab, record, written) for record in group)
        bin_ = library("spacy.tokens").DocBin(("ENT_IOB", "ENT_TYPE"), store_user_data=True, docs=documents)
        (folder / f"part-{number:05d}.spacy").write_bytes(bin_.to_bytes())
        written.records += len(group)


def _document(vocab: Any, record: Mapping[str, Any], written: Written) -> Any:
    tokens = library("spacy.tokens")
    found = tokenised(record, written)
    words, spaces, places = _words(found.units)
    document = tokens.Doc(vocab, words=words, spaces=spaces)
    document.user_data.update({"id": record["id"], "lang": record["lang"], "segmenter": found.segmenter})
    document.set_ents(
        [tokens.Span(document, places[first], places[last - 1] + 1, label=tag) for first, last, tag in found.marks]
    )
    return document


def _words(units: Sequence[Token]) -> tuple[list[str], list[bool], list[int]]:
    """Words, whether a blank follows each, and the position of each token that is no blank.

    Only one blank can follow a word; any other white space is a word of its own.
    """
    words: list[str] = []
    spaces: list[bool] = []
    places = []
    for unit in units:
        rest = unit.words
        if not unit.blank:
            places.append(len(words))
        elif words and rest.startswith(" ") and not spaces[-1]:
            spaces[-1] = True
            rest = rest[1:]
        if rest:
            words.append(rest)
            spaces.append(False)
    return words, spaces, places


FORMAT = ExportFormat("tokens", to_folder=_write)
