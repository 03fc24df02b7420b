"""The encoding of a corpus file: as given, by its byte order mark, or guessed from a sample; what comes out is UTF-8.

Bytes that are no character of the encoding come out as bytes that are no UTF-8, so that their record alone is refused.
Knows bytes; knows no line and no record.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from eat_worker.errors import ConfigurationError

UTF8_MARK = b"\xef\xbb\xbf"
_MARKS = (  # the longer mark first: that of UTF-32 begins like that of UTF-16
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_BINARY = re.compile(rb"[\x00-\x08]")
_FEWEST_BYTES = 12  # beyond ASCII; fewer say nothing about an encoding, and are refused with their lines


def encoding_of(name: str) -> str:
    """Python's name of an encoding that a user named. Raises ConfigurationError when there is none of that name."""
    try:
        found = codecs.lookup(name)
        found.decode(b"")
    except (LookupError, TypeError, ValueError, AssertionError):
        raise ConfigurationError(f"--encoding {name!r} is not known; such as utf-8, utf-16, cp1251, euc-kr") from None
    if not isinstance(found.decode(b"")[0], str):
        raise ConfigurationError(f"--encoding {name!r} is no encoding of texts")
    return found.name


def detected(sample: bytes) -> tuple[str, str]:
    """The encoding of a file by its first bytes, and how it is known; ("utf-8", "") where nothing speaks against it."""
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name, "by its byte order mark"
    wide = _wide(sample)
    if wide:
        return wide, "by its zero bytes; it has no byte order mark"
    if _looks_legacy(sample):
        guess = _guess(sample)
        if guess:
            return guess, "a guess; give --encoding NAME if that is wrong"
    return "utf-8", ""


def _wide(sample: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, by where the zero bytes stand; "" for a file with a few of them by accident."""
    zeros = [sample[place::4].count(0) for place in range(4)]
    quarter = len(sample) // 4
    if quarter and zeros[3] >= quarter and zeros[2] >= quarter // 2 and _decodes(sample, "utf-32-le"):
        return "utf-32-le"
    if quarter and zeros[0] >= quarter and zeros[1] >= quarter // 2 and _decodes(sample, "utf-32-be"):
        return "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if 8 * min(even, odd) > max(even, odd) or not max(even, odd):
        return ""
    name, newline = ("utf-16-le", b"\n\x00") if odd > even else ("utf-16-be", b"\x00\n")
    if 2 * sample.count(newline) < sample.count(b"\n") or not _decodes(sample, name):
        return ""
    many = max(even, odd) * 4 > len(sample)  # half of them are zero where the text is ASCII
    return name if many or not _decodes(sample, "utf-8") else ""


def _decodes(sample: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _looks_legacy(sample: bytes) -> bool:
    """Whether most lines beyond ASCII are no UTF-8: one damaged line in a file of UTF-8 is a damaged line."""
    bad = good = high = 0
    whole, _, cut = sample.rpartition(b"\n")
    for line in (whole or _whole_characters(cut)).split(b"\n"):
        if line.isascii():
            continue
        try:
            line.decode()
            good += 1
        except UnicodeDecodeError:
            bad += 1
            high += sum(byte > 0x7F for byte in line)
    return high >= _FEWEST_BYTES and bad > 4 * good and not _BINARY.search(sample)


def _whole_characters(line: bytes) -> bytes:
    """A line without the character of UTF-8 that the end of the sample may have cut."""
    for size in (1, 2, 3):
        if line[-size:][:1] >= b"\xc0":
            return line[:-size]
    return line


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return encoding_of(best.encoding) if best else ""


def to_utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks in UTF-8, without a byte order mark."""
    decoder = codecs.getincrementaldecoder(encoding)(errors=_KEEP)
    begun = False
    for chunk in chunks:
        text = decoder.decode(chunk)
        if text:
            yield (text if begun else text.removeprefix("\ufeff")).encode(errors="surrogatepass")
            begun = True
    yield decoder.decode(b"", final=True).encode(errors="surrogatepass")


def _keep(error: UnicodeError) -> tuple[str, int]:
    """One half of a surrogate pair for each byte that is no character: no text can hold it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_KEEP = "eat_worker.keep"
codecs.register_error(_KEEP, _keep)
