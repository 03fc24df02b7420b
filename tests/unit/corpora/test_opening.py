from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from eat_worker.corpora.opening import Line, Lines, open_lines
from eat_worker.errors import ConfigurationError, CorpusError


def lines_of(path: Path, limit: int = 100) -> list[Line]:
    with open_lines(path, limit) as lines:
        return list(lines)


def write(folder: Path, body: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(body)
    return path


def test_cuts_at_newlines_only(tmp_path: Path) -> None:
    body = "a\u2028b\u0085c\x0bd\x0ce\rf\r\ng".encode()
    assert [line.raw for line in lines_of(write(tmp_path, body))] == ["a\u2028b\u0085c\x0bd\x0ce\rf\r\n".encode(), b"g"]


def test_numbers_lines_from_one_and_bytes_from_zero(tmp_path: Path) -> None:
    path = write(tmp_path, "가\n\nb".encode())
    assert lines_of(path) == [Line(1, 0, "가\n".encode()), Line(2, 4, b"\n"), Line(3, 5, b"b")]


def test_a_byte_order_mark_is_skipped_and_counted(tmp_path: Path) -> None:
    with open_lines(write(tmp_path, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")) as lines:
        assert lines.bom == 3
        assert list(lines) == [Line(1, 3, b"a\n"), Line(2, 5, b"\xef\xbb\xbfb\n")]


def test_a_line_of_just_the_limit_is_whole(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, b"1234\n5678"), 4) == [Line(1, 0, b"1234\n"), Line(2, 5, b"5678")]


def test_a_longer_line_keeps_its_beginning_and_its_size(tmp_path: Path) -> None:
    first, second = lines_of(write(tmp_path, b"x" * 200_000 + b"\nshort\n"), 10_000)
    assert first == Line(1, 0, b"x" * 4096, dropped=195_905)
    assert second == Line(2, 200_001, b"short\n")


def test_a_long_last_line_without_end_is_counted_in_full(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, b"x" * 20_000), 10_000) == [Line(1, 0, b"x" * 4096, dropped=15_904)]


def test_gzip_is_recognised_whatever_the_name(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, gzip.compress(b"a\nb\n"))) == [Line(1, 0, b"a\n"), Line(2, 2, b"b\n")]


def test_gzip_members_and_padding_follow_one_another(tmp_path: Path) -> None:
    body = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + b"\x00" * 512
    assert [line.raw for line in lines_of(write(tmp_path, body))] == [b"a\n", b"bc\n"]


def test_a_gzipped_byte_order_mark_is_skipped_too(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, gzip.compress(b"\xef\xbb\xbfa\n"))) == [Line(1, 3, b"a\n")]


def test_truncated_gzip_keeps_whole_lines_and_marks_the_rest(tmp_path: Path) -> None:
    whole = b"".join(b"%d %s\n" % (number, os.urandom(30).hex().encode()) for number in range(3000))
    with open_lines(write(tmp_path, gzip.compress(whole)[:-40_000])) as lines:
        got = list(lines)
        assert lines.damage == "the gzip data ends early"
    assert got[-1].cut
    assert not any(line.cut for line in got[:-1])
    assert all(line.raw.endswith(b"\n") for line in got[:-1])
    assert len(got) > 500
    assert whole.startswith(b"".join(line.raw for line in got))


def test_gzip_that_ends_at_a_line_end_still_tells(tmp_path: Path) -> None:
    packed = gzip.compress(b"a\n")[:-8]  # the data without its checksum
    assert lines_of(write(tmp_path, packed)) == [Line(1, 0, b"a\n"), Line(2, 2, b"", cut=True)]


def test_damaged_gzip_is_told_apart(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"a\n" * 9))
    packed[-6] ^= 0xFF  # a byte of the checksum
    with open_lines(write(tmp_path, bytes(packed))) as lines:
        assert list(lines)[-1].cut
        assert lines.damage.startswith("the gzip data is damaged")


def test_a_gzip_header_alone_is_no_empty_file(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, gzip.compress(b"a\n")[:10])) == [Line(1, 0, b"", cut=True)]


def test_gzip_cut_anywhere_gives_all_that_can_be_had() -> None:
    packed = gzip.compress(b"x" * 300_000)
    for size in range(10, len(packed)):
        lines = Lines("x", iter([packed[:size]]), 1_000_000)
        got = b"".join(line.raw for line in lines)
        assert got == zlib.decompressobj(wbits=31).decompress(packed[:size])
        assert lines.damage


def test_a_highly_compressed_line_does_not_fill_memory(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"x" * 30_000_000 + b"\nend\n"))
    first, second = lines_of(path, 10_000)
    assert (len(first.raw), first.dropped) == (4096, 29_995_905)
    assert second == Line(2, 30_000_001, b"end\n")


@pytest.mark.parametrize(
    "body",
    [
        "a한\nb\n".encode("utf-16"),
        "a한\nb\n".encode("utf-16-le"),
        "a한\nb\n".encode("utf-16-be"),
        "\ufeffa한\nb\n".encode("utf-16-be"),
        "a한\nb\n".encode("utf-32"),
        "a한\nb\n".encode("utf-32-be"),
        bz2.compress("a한\nb\n".encode()),
        lzma.compress("a한\nb\n".encode()),
        zstandard.compress("a한\nb\n".encode()),
        zstandard.compress(b"a") + zstandard.compress("한\nb\n".encode()),
        gzip.compress("a한\nb\n".encode("utf-16")),
        gzip.compress(gzip.compress("a한\nb\n".encode())),
        gzip.compress(zstandard.compress("a한\nb\n".encode("utf-32"))),
    ],
)
def test_wrappings_and_wide_encodings_are_taken_off(tmp_path: Path, body: bytes) -> None:
    assert [line.raw.decode() for line in lines_of(write(tmp_path, body))] == ["a한\n", "b\n"]


def test_what_was_decided_is_known(tmp_path: Path) -> None:
    with open_lines(write(tmp_path, gzip.compress("a\n".encode("utf-16")))) as lines:
        assert (lines.kinds, lines.encoding, lines.known_by) == (["gzip"], "utf-16", "by its byte order mark")


def test_a_legacy_encoding_is_guessed_from_its_lines(tmp_path: Path) -> None:
    text = "Анна Иванова живёт и работает в Москве уже много лет.\n" * 20
    with open_lines(write(tmp_path, text.encode("cp1251"))) as lines:
        assert lines.known_by == "a guess; give --encoding NAME if that is wrong"
        assert b"".join(line.raw for line in lines).decode() == text


def test_one_damaged_line_makes_no_other_encoding(tmp_path: Path) -> None:
    body = "Анна\n".encode() * 9 + "Москва и Петербург".encode("cp1251") + b"\n"
    with open_lines(write(tmp_path, body)) as lines:
        assert (lines.encoding, b"".join(line.raw for line in lines)) == ("utf-8", body)


def test_bytes_that_an_encoding_lacks_stay_no_text(tmp_path: Path) -> None:
    with open_lines(write(tmp_path, b"ok\nb\x81d\n"), encoding="cp1252") as lines:
        good, bad = lines
    assert good.raw == b"ok\n"
    with pytest.raises(UnicodeDecodeError):
        bad.raw.decode()


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", ""])
def test_an_unknown_encoding_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="--encoding"):
        lines_of_encoding(write(tmp_path, b"a\n"), name or "no such")


def lines_of_encoding(path: Path, encoding: str) -> list[Line]:
    with open_lines(path, encoding=encoding) as lines:
        return list(lines)


def test_a_zip_archive_gives_its_only_member_or_the_one_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as packed:
        packed.writestr("a.txt", "a\nb\n")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as packed:
        packed.writestr("a.txt", "a\n")
        packed.writestr("in/b.txt", "b\n")
    assert [line.raw for line in lines_of(tmp_path / "one.zip")] == [b"a\n", b"b\n"]
    assert [line.raw for line in lines_of(tmp_path / "two.zip/in/b.txt")] == [b"b\n"]
    with pytest.raises(CorpusError, match=r"holds 2 files; name one: .*two.zip/a.txt"):
        lines_of(tmp_path / "two.zip")
    with pytest.raises(CorpusError, match=r"has no 'c.txt'; it has a.txt, in/b.txt"):
        lines_of(tmp_path / "two.zip/c.txt")


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zstandard.compress])
def test_other_wrappings_that_end_early_tell(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    whole = b"".join(b"%d %s\n" % (number, os.urandom(30).hex().encode()) for number in range(30_000))
    with open_lines(write(tmp_path, pack(whole)[:-60_000])) as lines:
        got = list(lines)
        assert "data ends early" in lines.damage
    assert got[-1].cut
    assert whole.startswith(b"".join(line.raw for line in got))


def test_a_wrong_checksum_loses_no_line(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"".join(b"row %d\n" % number for number in range(20))))
    packed[-6] ^= 0xFF
    *rows, told = lines_of(write(tmp_path, bytes(packed)))
    assert [line.raw for line in rows] == [b"row %d\n" % number for number in range(20)]
    assert told == Line(21, 130, b"", cut=True)


@pytest.mark.parametrize("raw", ["\n", " \t\r\n", "\u00a0\n", "\u3000\u200b\n", "\x0c\n", "\ufeff\n", "\u2028"])
def test_lines_that_show_nothing_are_blank(raw: str) -> None:
    assert Line(1, 0, raw.encode()).blank


@pytest.mark.parametrize("raw", [b"a", b" O", b"\tO", b"\xff\n", "가".encode()])
def test_other_lines_are_not_blank(raw: bytes) -> None:
    assert not Line(1, 0, raw).blank


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf", gzip.compress(b""), "\ufeff".encode("utf-16")])
def test_a_file_without_anything_is_told(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(CorpusError, match=r"nothing to do: .* has no records"):
        lines_of(write(tmp_path, body))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"there is no file .*absent\.jsonl"):
        lines_of(tmp_path / "absent.jsonl")


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is a folder; name a file in it"):
        lines_of(tmp_path)


def test_a_name_no_system_takes_is_a_corpus_error() -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        lines_of(Path("a\x00b"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_a_corpus_error(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n")
    path.chmod(0)
    with pytest.raises(CorpusError, match="cannot be read: Permission denied"):
        lines_of(path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails")
def test_a_read_error_is_a_corpus_error() -> None:
    with pytest.raises(CorpusError, match="cannot be read: Input/output error"):
        lines_of(Path("/proc/self/mem"))


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    with open_lines("-") as lines:
        assert lines.name == "<stdin>"
        assert [line.raw for line in lines] == [b"a\n", b"b\n"]


def test_a_pipe_hands_over_a_line_as_soon_as_it_is_written() -> None:
    receiving, sending = os.pipe()
    with os.fdopen(receiving, "rb") as stream, os.fdopen(sending, "wb", buffering=0) as writer:
        writer.write(b"first line\n")

        def chunks() -> Iterator[bytes]:
            while chunk := stream.read1(1000):
                yield chunk

        lines = iter(Lines("pipe", chunks()))
        assert next(lines).raw == b"first line\n"  # the pipe is still open
        writer.write(b"second\n")
        assert next(lines).raw == b"second\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunks_of_any_size_give_the_same_lines(size: int) -> None:
    packed = gzip.compress("가나\n다\n".encode() * 50)
    chunks = iter([packed[start : start + size] for start in range(0, len(packed), size)])
    assert b"".join(line.raw for line in Lines("x", chunks)) == "가나\n다\n".encode() * 50
