"""What holds for any input: no byte is lost, nothing crashes the reader, tags survive the way to spans and back."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eat_worker.corpora.iob import TokenSpan, spans_of
from eat_worker.corpora.layouts import Row
from eat_worker.corpora.offsets import UNITS, Mention, converted
from eat_worker.corpora.opening import VISIBLE, Lines
from eat_worker.corpora.parsing import Defaults
from eat_worker.corpora.readers import READERS, Format, reader, recognise
from eat_worker.corpora.readers.jsonl import read_jsonl
from eat_worker.corpora.records import CODES, Rejected, Tally
from eat_worker.corpora.splitting import split_documents
from eat_worker.corpora.surface import positions, put_together
from eat_worker.corpora.values import Values
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.method.document import Document

LINES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=30).map(str.encode),
    st.sampled_from(
        [
            b"",
            b" \t",
            b'{"text": "Bonn"}',
            b'{"text": "Bonn", "id": "x"}',
            b'{"text": 3}',
            b'{"text": "a',
            b"text,n",
            b'"a,1',
            b'a","1',
            b"[",
            b"}, {",
            b'{"file":"x","line":1,"code":"E","raw_base64":"e30="}',
            b'{"file":"x","line":1,"code":"E","raw_base64":"","raw":"{\\"text\\": \\"a\\"}"}',
            b"-DOCSTART-",
            b"ko:a\tB-PER",
            "\u3000".encode(),
            b'{"text": "\\ud800"}',
            b"Anna\tB-PER",
            b"geht\tO",
            b" \tO",
            b"# id 7",
            b"1\tAnna\tI-PER\t-",
            b"0\tAnna\tB-PER\t-",
            b"2-1\tim\t_\t-",
            b"1-2\tim\t_\t-",
            b"Anna _ _ B-LOC",
            b"x" * 300,
        ]
    ),
)
BODIES = st.lists(LINES, max_size=30).flatmap(
    lambda lines: st.sampled_from([b"\n".join(lines), b"\r\n".join(lines) + b"\n", b"\xef\xbb\xbf" + b"\n".join(lines)])
)
DEFAULTS = Defaults(lang="de")


LINE_READERS: tuple[Format, ...] = ("quarantine", "jsonl", "bio", "json", "csv", "text")


def every_byte_is_accounted_for(body: bytes, name: Format) -> None:
    tally = Tally()
    rejected = []
    documents = 0
    read = reader(name).read
    assert read is not None
    try:
        lines = Lines("x", iter([body]), 200, encoding="utf-8")
        tally.other_bytes += lines.bom
        for record in read(lines, DEFAULTS, tally):
            if isinstance(record, Rejected):
                rejected.append(record)
            else:
                documents += 1
    except CorpusError:
        return  # refused as a whole, with nothing read
    if lines.kinds:
        return  # it looks compressed
    assert tally.bytes == len(body)
    assert tally.documents == documents
    assert sum(tally.rejected.values()) == len(rejected)
    for record in rejected:
        assert record.code in CODES
        assert body[record.byte :].startswith(record.raw)
        assert body[: record.byte].count(b"\n") == record.line - 1
    for left, right in pairwise(rejected):
        assert left.byte + left.size <= right.byte


@pytest.mark.parametrize("name", LINE_READERS)
@given(body=BODIES)
def test_no_byte_of_a_file_is_lost(body: bytes, name: Format) -> None:
    every_byte_is_accounted_for(body, name)


MARKS = st.lists(
    st.sampled_from(['{"text":"a"}', "{", "}", "[", "]", '"', "\\\\", "\n", ",", " ", "1", "가", "\n  {"]), max_size=60
)


@given(MARKS, st.integers(1, 50), st.integers(5, 100))
def test_json_is_cut_without_a_byte_lost_whatever_the_chunks(marks: list[str], size: int, limit: int) -> None:
    body = "".join(marks).encode()
    chunks = iter([body[start : start + size] for start in range(0, len(body), size)])
    place = 0
    for piece in Values(chunks, limit):
        assert piece.byte == place
        assert piece.line == body[:place].count(b"\n") + 1
        assert body[place:].startswith(piece.raw)
        place += len(piece.raw) + piece.dropped
    assert place == len(body)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9)), max_size=8),
    st.sampled_from([None, 0, 2]),
    st.integers(1, 40),
)
def test_all_objects_of_an_array_are_found(objects: list[dict[str, str]], indent: int | None, size: int) -> None:
    body = json.dumps(objects, indent=indent).encode()
    chunks = iter([body[start : start + size] for start in range(0, len(body), size)])
    found = [json.loads(piece.raw) for piece in Values(chunks, 10_000) if not piece.between]
    assert found == objects


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.data())
def test_offsets_of_every_unit_come_back_as_code_points(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    sizes = {
        "code-points": len,
        "utf16": lambda part: len(part.encode("utf-16-le")) // 2,
        "bytes": lambda part: len(part.encode()),
    }
    for unit in UNITS:
        mention = Mention(sizes[unit](text[:start]), sizes[unit](text[:end]), "PER", text[start:end])
        assert converted([mention], text, unit) == [Mention(start, end, "PER", text[start:end])]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=200))
def test_sentences_stand_where_they_say(text: str) -> None:
    whole = "x" + text
    parts = list(split_documents([Document(whole, "de", "id")], Tally()))
    for part in parts:
        assert isinstance(part, Document)
        begin = part.meta["parent_start"]
        assert whole[begin : begin + len(part.text)] == part.text
    seen = "".join(part.text for part in parts if isinstance(part, Document))
    assert set("".join(whole.split())) - set(seen) <= set(whole) - set(VISIBLE.findall(whole))


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_no_bytes_crash_the_recognition(body: bytes) -> None:
    try:
        lines = Lines("x", iter([body]))
        assert recognise(lines.sample)[0] in READERS
        list(lines)
    except (CorpusError, ConfigurationError):
        pass


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=80))
def test_a_visible_text_comes_through_unchanged(text: str) -> None:
    body = orjson.dumps({"text": "x" + text}) + b"\n"
    (document,) = read_jsonl(Lines("x", iter([body])), DEFAULTS, Tally())
    assert isinstance(document, Document)
    assert document.text == "x" + text


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 40), st.integers(0, 30))
def test_any_cut_of_a_gzip_gives_a_beginning_of_its_lines(parts: list[bytes], size: int, cut: int) -> None:
    plain = b"a" + b"\n".join(parts)
    packed = gzip.compress(plain)
    packed = packed[: max(10, len(packed) - cut)]
    chunks = iter([packed[start : start + size] for start in range(0, len(packed), size)])
    try:
        lines = list(Lines("x", chunks, encoding="utf-8"))
    except CorpusError:
        return  # the content looks like another format
    got = b"".join(line.raw for line in lines)
    assert plain.startswith(got.removeprefix(b"\xef\xbb\xbf"))
    assert any(line.cut for line in lines) == (cut > 0)


@st.composite
def token_spans(draw: st.DrawFn) -> tuple[list[TokenSpan], int]:
    position, spans = 0, []
    for _ in range(draw(st.integers(0, 6))):
        first = position + draw(st.integers(0, 3))
        position = first + draw(st.integers(1, 4))
        spans.append(TokenSpan(first, position, draw(st.sampled_from(["PER", "LOC", "ORG", "A-B", "人"]))))
    return spans, position + draw(st.integers(0, 3))


def tags_of(spans: list[TokenSpan], tokens: int) -> list[str]:
    """IOB2 tags for a sentence of that many tokens."""
    tags = ["O"] * tokens
    for first, last, kind in spans:
        tags[first:last] = [f"B-{kind}", *[f"I-{kind}"] * (last - first - 1)]
    return tags


@given(token_spans())
def test_spans_survive_the_way_to_tags_and_back(example: tuple[list[TokenSpan], int]) -> None:
    spans, tokens = example
    assert spans_of(tags_of(spans, tokens)) == (spans, 0)


@given(st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), max_size=12))
def test_repaired_tags_are_stable(tags: list[str]) -> None:
    spans, repaired = spans_of(tags)
    clean = tags_of(spans, len(tags))
    assert spans_of(clean) == (spans, 0)
    assert (clean == tags) == (repaired == 0)


TOKENS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=5))


@given(TOKENS, st.booleans())
@settings(max_examples=200)
def test_tokens_put_together_are_found_again(tokens: list[str], joined: bool) -> None:
    rows = [Row(token, "O") for token in tokens]
    text, spans = put_together(rows, joined=joined)
    assert [text[start:end] for start, end in spans] == tokens
    assert positions(text, rows) == spans
