from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from eat_worker.corpora.reading import Reading, read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document


def reading_of(folder: Path, body: str | bytes, lang: str | None = "de", **options: Any) -> Reading:
    path = folder / "corpus.bio"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return read_documents(path, lang=lang, format="bio", **options)


def read(folder: Path, body: str | bytes, lang: str | None = "de", **options: Any) -> list[Document | Rejected]:
    return list(reading_of(folder, body, lang, **options))


def shown(record: Document | Rejected) -> tuple[str, list[tuple[str, str]]]:
    """The text, and each gold entity as (words, tag)."""
    assert isinstance(record, Document)
    return record.text, [(record.text[entity.start : entity.end], entity.tag) for entity in record.gold or ()]


UNER = (
    "# newdoc id = n\n# sent_id = n-1\n# text = Köln, am Rhein.\n1\tKöln\tB-LOC\t-\tx\n2\t,\tO\t-\t-\n"
    "3\tam\tO\t-\t-\n4\tRhein\tB-LOC\t-\tx\n5\t.\tO\t-\t-\n\n"
)
KLUE = "## k-1\t<김:PS> 씨, <서울:LC>에\n김\tB-PS\n \tO\n씨\tO\n,\tO\n \tO\n서\tB-LC\n울\tI-LC\n에\tO\n\n"

LAYOUTS = [
    ("wikiann", "ko", "ko:서울\tB-LOC\nko:은\tO\n\n", "서울 은", [("서울", "LOC")]),
    ("aqmar", "ar", "ألبرت B-PER\nأينشتاين I-PER\n، O\n\n", "ألبرت أينشتاين ،", [("ألبرت أينشتاين", "PER")]),
    ("hiner", "hi", "ईरान\tB-LOCATION\nयात्रा\tO\n\n", "ईरान यात्रा", [("ईरान", "LOC")]),
    ("pioner", "hy", "Արամ _ _ B-PER\n: _ _ O\n\n", "Արամ :", [("Արամ", "PER")]),
    (
        "uner",
        "de",
        UNER,
        "Köln, am Rhein.",
        [("Köln", "LOC"), ("Rhein", "LOC")],
    ),
    ("klue", "ko", KLUE, "김 씨, 서울에", [("김", "PER"), ("서울", "LOC")]),
    ("stockmark", "ja", "東\tB-LOC\n京\tI-LOC\n#\tO\nX\tO\n\n", "東京 X", [("東京", "LOC")]),
    ("wikiann ja", "ja", "ja:東\tB-LOC\nja:京\tI-LOC\nja:#\tO\nja:1\tO\n\n", "東京 1", [("東京", "LOC")]),
    ("multiconer zh", "zh", "# id 7\tdomain=dev\n大 _ _ B-LOC\n# _ _ O\n河 _ _ O\n\n", "大#河", [("大", "LOC")]),
    ("ud japanese", "ja", "星取り\tO\n東京\tB-GPE\nに\tO\n\n", "星取り東京に", [("東京", "LOC")]),
]
DATASETS = {"klue": "klue", "ud japanese": "ud_japanese_gsd"}


@pytest.mark.parametrize("example", LAYOUTS, ids=[row[0] for row in LAYOUTS])
def test_reads_every_layout(tmp_path: Path, example: tuple[str, str, str, str, Any]) -> None:
    name, lang, body, text, gold = example
    (record,) = read(tmp_path, body, lang, dataset=DATASETS.get(name))
    assert shown(record) == (text, gold)


@pytest.mark.parametrize("example", LAYOUTS, ids=[row[0] for row in LAYOUTS])
def test_the_last_sentence_needs_no_blank_line_and_ends_may_be_crlf(
    tmp_path: Path, example: tuple[str, str, str, str, Any]
) -> None:
    name, lang, body, text, gold = example
    both = (body + body.rstrip("\n")).replace("\n", "\r\n")
    records = read(tmp_path, both, lang, dataset=DATASETS.get(name))
    assert [shown(record) for record in records] == [(text, gold), (text, gold)]


def test_a_byte_order_mark_is_not_part_of_the_first_token(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "\ufeffAnna B-PER\n")
    assert shown(record) == ("Anna", [("Anna", "PER")])


def test_several_blank_lines_make_no_empty_sentence(tmp_path: Path) -> None:
    assert len(read(tmp_path, "\n\nAnna B-PER\n\n \n\nPaul B-PER\n\n\n")) == 2


def test_a_no_break_space_stays_inside_its_token(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "New\u00a0York\tB-LOC\nist\tO\n")
    assert shown(record) == ("New\u00a0York ist", [("New\u00a0York", "LOC")])


def test_blank_tokens_never_crash(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "Anna\tB-PER\n\tO\n \tO\ngeht\tO\n")
    assert shown(record) == ("Anna   geht", [("Anna", "PER")])


def test_a_stripped_blank_of_a_character_file_is_still_a_blank(tmp_path: Path) -> None:
    (record,) = read(tmp_path, KLUE.replace(" \tO", "\tO"), "ko", dataset="klue")
    assert shown(record) == ("김 씨, 서울에", [("김", "PER"), ("서울", "LOC")])


def test_an_entity_of_blanks_is_left_out_and_counted(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, "東\tO\n#\tB-LOC\n京\tB-LOC\n#\tI-LOC\n", "ja")
    assert [shown(record) for record in reading] == [("東 京 ", [("京", "LOC")])]
    assert reading.tally.dropped == {"LOC": 1}


def test_an_inside_tag_that_begins_an_entity_is_repaired_and_counted(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, "Anna I-PER\nBonn I-LOC\n")
    assert [shown(record) for record in reading] == [("Anna Bonn", [("Anna", "PER"), ("Bonn", "LOC")])]
    assert reading.tally.repaired == 2


def test_strict_refuses_it_instead(tmp_path: Path) -> None:
    bad, good = read(tmp_path, "Anna I-PER\n\nBonn B-LOC\n", strict_bio=True)
    assert isinstance(bad, Rejected)
    assert (bad.code, bad.line, bad.byte, bad.raw) == ("E_TAG", 1, 0, b"Anna I-PER\n")
    assert shown(good) == ("Bonn", [("Bonn", "LOC")])


def test_a_text_that_the_tokens_do_not_make_gives_way_to_the_tokens(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "# text = etwas anderes\n1\tAnna\tB-PER\n2\tgeht\tO\n")
    assert shown(record) == ("Anna geht", [("Anna", "PER")])


@pytest.mark.parametrize(("words", "characters"), [(19, 1), (1, 19)])
def test_words_and_characters_in_one_file_are_read_where_the_text_is_given(
    tmp_path: Path, words: int, characters: int
) -> None:
    spelt, spoken = "東京の空はとても青くて高い", "Anna geht heim"
    cut = "".join(f"{one}\tO\n" for one in spelt)
    word = f"# text = {spoken}\nAnna\tB-PER\ngeht\tO\nheim\tO\n\n"
    found = read(tmp_path, word * words + f"# text = {spelt}\n{cut}\n" * characters, "de")
    assert [shown(one)[0] for one in found] == [spoken] * words + [spelt] * characters


def test_a_contraction_stands_where_the_text_has_it(tmp_path: Path) -> None:
    body = "# text = Anna im Harz\n1\tAnna\tB-PER\n2-3\tim\t_\n2\tin\tO\n3\tdem\tO\n4\tHarz\tB-LOC\n"
    (record,) = read(tmp_path, body)
    assert shown(record) == ("Anna im Harz", [("Anna", "PER"), ("Harz", "LOC")])


def test_tokens_numbered_from_nought(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "0\tAnna\tB-PER\n1\tgeht\tO\n")
    assert shown(record) == ("Anna geht", [("Anna", "PER")])


def test_ids_come_from_remarks(tmp_path: Path) -> None:
    body = "# id ab-1\tdomain=dev\nAnna _ _ B-PER\n\n# sent_id = n-2\nPaul _ _ B-PER\n\nEva _ _ B-PER\n"
    assert [record.ext_id for record in read(tmp_path, body) if isinstance(record, Document)] == ["ab-1", "n-2", None]


def test_an_id_that_comes_again_gets_its_line(tmp_path: Path) -> None:
    body = "# sent_id = 1\n1\tAnna\tB-PER\n\n# sent_id = 1\n1\tPaul\tB-PER\n"
    assert [record.ext_id for record in read(tmp_path, body) if isinstance(record, Document)] == ["1", "1@4"]


def test_the_language_of_the_tokens_wins(tmp_path: Path) -> None:
    (record,) = read(tmp_path, "ko:서울\tB-LOC\n", lang=None)
    assert isinstance(record, Document)
    assert (record.lang, record.text) == ("ko", "서울")


def test_document_marks_of_conll_are_no_sentences(tmp_path: Path) -> None:
    body = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n-DOCSTART- -X- O O\n"
    assert [shown(record) for record in read(tmp_path, body)] == [("EU rejects", [("EU", "ORG")])]


def test_a_file_without_language_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="does not say its language; give --lang CODE"):
        read(tmp_path, "Anna B-PER\n", lang=None)


def test_a_file_without_tags_says_what_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"has no column of BIO tags .* if it is JSON Lines: --format jsonl"):
        read(tmp_path, '{"text": "Anna"}\n')


@pytest.mark.parametrize("body", ["\n\n", "# nur\n", "# sent_id = 1\n\n"])
def test_a_file_without_sentences_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(CorpusError, match=r"has no column of BIO tags|has no records"):
        read(tmp_path, body)


GOOD = "Anna\tB-PER\ngeht\tO\n\n"

HOSTILE = [
    ("one column", b"Anna\n", "E_COLUMNS", "line 4: 1 columns instead of 2: 'Anna'"),
    ("three columns", b"Anna\tNE\tB-PER\n", "E_COLUMNS", "line 4: 3 columns instead of 2"),
    ("no type", b"Anna\tB-\n", "E_TAG", "tag 'B-' is not O, B-TYPE or I-TYPE"),
    ("bare tag", b"Anna\tB\n", "E_TAG", "tag 'B' is not"),
    ("type only", b"Anna\tPER\n", "E_TAG", "tag 'PER' is not"),
    ("empty tag", b"Anna\t\n", "E_TAG", "tag '' is not"),
    ("bad line below a good one", b"Eva\tB-PER\nlief\n", "E_COLUMNS", "line 5: 1 columns"),
    ("latin-1", b"M\xfcnchen\tB-LOC\n", "E_UTF8", "line 4: byte 1 \\(0xfc\\) is not UTF-8"),
    ("NUL", b"An\x00na\tB-PER\n", "E_NUL", "line 4 holds U\\+0000"),
    ("blank text", "\u3000\tO\n".encode(), "E_TEXT_BLANK", "the text is blank"),
    ("endless line", b"x" * 3000 + b"\tO\n", "E_LINE_TOO_LONG", "the line has 3,003 bytes; at most 2,000 are read"),
    ("endless sentence", b"Anna\tO\n" * 400, "E_TEXT_TOO_LONG", "2,800 bytes without a blank line"),
]


@pytest.mark.parametrize(("body", "code", "told"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_bad_sentence_is_refused_and_its_neighbours_live(tmp_path: Path, body: bytes, code: str, told: str) -> None:
    whole = GOOD.encode() + body + b"\n" + GOOD.encode()
    reading = reading_of(tmp_path, whole, max_line_bytes=2000)
    first, refused, last = reading
    assert shown(first) == shown(last) == ("Anna geht", [("Anna", "PER")])
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.line, refused.byte, refused.size) == (code, 4, 19, len(body))
    assert whole[19:].startswith(refused.raw)
    assert re.search(told, refused.message)
    assert reading.tally.bytes == len(whole)


def test_a_sentence_cut_by_truncated_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD.encode() + b"Paul\tB-PER\n")[:-8]
    good, cut = read(tmp_path, packed)
    assert shown(good) == ("Anna geht", [("Anna", "PER")])
    assert isinstance(cut, Rejected)
    assert (cut.code, cut.line, cut.raw) == ("E_TRUNCATED", 4, b"Paul\tB-PER\n")
