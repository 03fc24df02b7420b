from __future__ import annotations

import pytest

from eat_worker.corpora.iob import TokenSpan, spans_of, split_tag
from eat_worker.corpora.records import RecordError


@pytest.mark.parametrize(
    ("tags", "spans", "repaired"),
    [
        ("O O", [], 0),
        ("B-PER I-PER O", [(0, 2, "PER")], 0),
        ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")], 0),
        ("O I-LOC I-LOC", [(1, 3, "LOC")], 1),
        ("I-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")], 2),
        ("B-PER I-LOC I-LOC", [(0, 1, "PER"), (1, 3, "LOC")], 1),
        ("I-ORG O I-ORG", [(0, 1, "ORG"), (2, 3, "ORG")], 2),
        ("O B-A-B I-A-B", [(1, 3, "A-B")], 0),
        ("", [], 0),
        ("B-PER E-PER O S-LOC", [(0, 2, "PER"), (3, 4, "LOC")], 0),  # BIOES
        ("B-PER I-PER L-PER U-PER", [(0, 3, "PER"), (3, 4, "PER")], 0),  # BILOU
        ("B-NAME M-NAME E-NAME B-NAME E-NAME", [(0, 3, "NAME"), (3, 5, "NAME")], 0),  # BMES
        ("E-PER M-LOC E-LOC", [(0, 1, "PER"), (1, 3, "LOC")], 2),
        ("S-PER I-PER", [(0, 1, "PER"), (1, 2, "PER")], 1),
        ("B-PER E-LOC", [(0, 1, "PER"), (1, 2, "LOC")], 1),
    ],
)
def test_reads_entities_and_repairs_stray_inside_tags(tags: str, spans: list[TokenSpan], repaired: int) -> None:
    assert spans_of(tags.split()) == (spans, repaired)


@pytest.mark.parametrize("tag", ["", "o", "B", "B-", "I-", "PER", "X-PER", "b-PER", "O-PER", "-PER", " O"])
def test_refuses_what_is_no_tag(tag: str) -> None:
    with pytest.raises(RecordError, match="is not O, B-TYPE or I-TYPE") as caught:
        split_tag(tag)
    assert caught.value.code == "E_TAG"
