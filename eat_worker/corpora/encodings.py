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
_UNMARKED = {  # where the zero bytes of an ASCII character stand
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
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
    shape = tuple(byte == 0 for byte in sample[:4])
    if len(sample) >= 4 and shape in _UNMARKED and _is_wide(sample, _UNMARKED[shape]):
        return _UNMARKED[shape], "by its zero bytes; it has no byte order mark"
    if _looks_legacy(sample):
        guess = _guess(sample)
        if guess:
            return guess, "a guess; give --encoding NAME if that is wrong"
    return "utf-8", ""


def _is_wide(sample: bytes, name: str) -> bool:
    """Whether a file without mark is UTF-16 or UTF-32 and not one with a few zero bytes in its first record."""
    width = 4 if "32" in name else 2
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample[: len(sample) // width * width])
    except UnicodeDecodeError:
        return False
    return "\x00" not in text and "\n" in text + "\n" and sample.count(0) * (width + 1) >= len(sample) // 4


def _looks_legacy(sample: bytes) -> bool:
    """Whether most lines beyond ASCII are no UTF-8: one damaged line in a file of UTF-8 is a damaged line."""
    bad = good = high = 0
    for line in sample.split(b"\n")[: -1 if sample.count(b"\n") else None]:
        if line.isascii():
            continue
        try:
            line.decode()
            good += 1
        except UnicodeDecodeError:
            bad += 1
            high += sum(byte > 0x7F for byte in line)
    return high >= _FEWEST_BYTES and bad > 4 * good and not _BINARY.search(sample)


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
