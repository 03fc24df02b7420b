"""The languages a document can have: code, English name, script, and how its words are written.

A frozen table of facts, keyed by ISO 639-1 code. Where a language is written in several scripts, the one its Wikipedia
uses most is named. It says nothing of which languages a model knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from eat_worker.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Language:
    """`script` is a Unicode script name, but "Japanese" for the mixture of Han and kana.

    `spaced`: blanks separate the words. `rtl`: the script runs from right to left.
    """

    code: str
    name: str
    script: str
    spaced: bool = True
    rtl: bool = False

    @property
    def by_characters(self) -> bool:
        """Whether a name may begin or end inside a blank-separated word: no blanks, or particles joined to the noun."""
        return not self.spaced or self.code == "ko"


_TABLE = (
    Language("af", "Afrikaans", "Latin"),
    Language("am", "Amharic", "Ethiopic"),
    Language("ar", "Arabic", "Arabic", rtl=True),
    Language("as", "Assamese", "Bengali"),
    Language("az", "Azerbaijani", "Latin"),
    Language("be", "Belarusian", "Cyrillic"),
    Language("bg", "Bulgarian", "Cyrillic"),
    Language("bn", "Bengali", "Bengali"),
    Language("bo", "Tibetan", "Tibetan", spaced=False),
    Language("br", "Breton", "Latin"),
    Language("bs", "Bosnian", "Latin"),
    Language("ca", "Catalan", "Latin"),
    Language("cs", "Czech", "Latin"),
    Language("cy", "Welsh", "Latin"),
    Language("da", "Danish", "Latin"),
    Language("de", "German", "Latin"),
    Language("dv", "Divehi", "Thaana", rtl=True),
    Language("el", "Greek", "Greek"),
    Language("en", "English", "Latin"),
    Language("eo", "Esperanto", "Latin"),
    Language("es", "Spanish", "Latin"),
    Language("et", "Estonian", "Latin"),
    Language("eu", "Basque", "Latin"),
    Language("fa", "Persian", "Arabic", rtl=True),
    Language("fi", "Finnish", "Latin"),
    Language("fo", "Faroese", "Latin"),
    Language("fr", "French", "Latin"),
    Language("fy", "West Frisian", "Latin"),
    Language("ga", "Irish", "Latin"),
    Language("gd", "Scottish Gaelic", "Latin"),
    Language("gl", "Galician", "Latin"),
    Language("gu", "Gujarati", "Gujarati"),
    Language("ha", "Hausa", "Latin"),
    Language("he", "Hebrew", "Hebrew", rtl=True),
    Language("hi", "Hindi", "Devanagari"),
    Language("hr", "Croatian", "Latin"),
    Language("ht", "Haitian Creole", "Latin"),
    Language("hu", "Hungarian", "Latin"),
    Language("hy", "Armenian", "Armenian"),
    Language("id", "Indonesian", "Latin"),
    Language("ig", "Igbo", "Latin"),
    Language("is", "Icelandic", "Latin"),
    Language("it", "Italian", "Latin"),
    Language("ja", "Japanese", "Japanese", spaced=False),
    Language("jv", "Javanese", "Latin"),
    Language("ka", "Georgian", "Georgian"),
    Language("kk", "Kazakh", "Cyrillic"),
    Language("km", "Khmer", "Khmer", spaced=False),
    Language("kn", "Kannada", "Kannada"),
    Language("ko", "Korean", "Hangul"),
    Language("ky", "Kyrgyz", "Cyrillic"),
    Language("la", "Latin", "Latin"),
    Language("lb", "Luxembourgish", "Latin"),
    Language("lo", "Lao", "Lao", spaced=False),
    Language("lt", "Lithuanian", "Latin"),
    Language("lv", "Latvian", "Latin"),
    Language("mg", "Malagasy", "Latin"),
    Language("mi", "Maori", "Latin"),
    Language("mk", "Macedonian", "Cyrillic"),
    Language("ml", "Malayalam", "Malayalam"),
    Language("mn", "Mongolian", "Cyrillic"),
    Language("mr", "Marathi", "Devanagari"),
    Language("ms", "Malay", "Latin"),
    Language("mt", "Maltese", "Latin"),
    Language("my", "Burmese", "Myanmar", spaced=False),
    Language("nb", "Norwegian Bokmål", "Latin"),
    Language("ne", "Nepali", "Devanagari"),
    Language("nl", "Dutch", "Latin"),
    Language("nn", "Norwegian Nynorsk", "Latin"),
    Language("no", "Norwegian", "Latin"),
    Language("oc", "Occitan", "Latin"),
    Language("or", "Odia", "Odia"),
    Language("pa", "Punjabi", "Gurmukhi"),
    Language("pl", "Polish", "Latin"),
    Language("ps", "Pashto", "Arabic", rtl=True),
    Language("pt", "Portuguese", "Latin"),
    Language("qu", "Quechua", "Latin"),
    Language("ro", "Romanian", "Latin"),
    Language("ru", "Russian", "Cyrillic"),
    Language("sa", "Sanskrit", "Devanagari"),
    Language("sd", "Sindhi", "Arabic", rtl=True),
    Language("si", "Sinhala", "Sinhala"),
    Language("sk", "Slovak", "Latin"),
    Language("sl", "Slovenian", "Latin"),
    Language("so", "Somali", "Latin"),
    Language("sq", "Albanian", "Latin"),
    Language("sr", "Serbian", "Cyrillic"),
    Language("su", "Sundanese", "Latin"),
    Language("sv", "Swedish", "Latin"),
    Language("sw", "Swahili", "Latin"),
    Language("ta", "Tamil", "Tamil"),
    Language("te", "Telugu", "Telugu"),
    Language("tg", "Tajik", "Cyrillic"),
    Language("th", "Thai", "Thai", spaced=False),
    Language("tk", "Turkmen", "Latin"),
    Language("tl", "Tagalog", "Latin"),
    Language("tr", "Turkish", "Latin"),
    Language("tt", "Tatar", "Cyrillic"),
    Language("ug", "Uyghur", "Arabic", rtl=True),
    Language("uk", "Ukrainian", "Cyrillic"),
    Language("ur", "Urdu", "Arabic", rtl=True),
    Language("uz", "Uzbek", "Latin"),
    Language("vi", "Vietnamese", "Latin"),
    Language("xh", "Xhosa", "Latin"),
    Language("yi", "Yiddish", "Hebrew", rtl=True),
    Language("yo", "Yoruba", "Latin"),
    Language("zh", "Chinese", "Han", spaced=False),
    Language("zu", "Zulu", "Latin"),
)

LANGUAGES: Mapping[str, Language] = MappingProxyType({entry.code: entry for entry in _TABLE})
"""Every known language by code."""

UNSPACED = frozenset(code for code, entry in LANGUAGES.items() if not entry.spaced)
"""Languages written without blanks between words: a token is one character. The one list of them."""

# Country codes and three-letter codes that people type for a language.
_MISTAKEN = {
    "jp": "ja", "jpn": "ja", "kr": "ko", "kor": "ko", "cn": "zh", "tw": "zh", "zho": "zh", "chi": "zh", "cmn": "zh",
    "rus": "ru", "ara": "ar", "hin": "hi", "hye": "hy", "arm": "hy", "ge": "ka", "kat": "ka", "geo": "ka",
    "deu": "de", "ger": "de", "spa": "es", "fra": "fr", "fre": "fr", "nld": "nl", "dut": "nl", "eng": "en", "gb": "en",
    "us": "en", "ua": "uk", "cz": "cs", "gr": "el", "dk": "da", "se": "sv", "iw": "he", "in": "id", "ji": "yi",
}  # fmt: skip


def language(code: str) -> Language:
    """The language of `code`. Raises ConfigurationError naming the nearest known codes."""
    known = LANGUAGES.get(code)
    if known is None:
        raise ConfigurationError(f"unknown language code {code[:40]!r}; {advice(code)}")
    return known


def advice(code: str) -> str:
    """What to write instead of an unknown code, as the end of a message."""
    near = [LANGUAGES[match] for match in _near(code)]
    if not near:
        return "use an ISO 639-1 code such as ko, ru or ar"
    return "did you mean " + " or ".join(f"{entry.code} ({entry.name})" for entry in near) + "?"


def _near(code: str) -> list[str]:
    """Codes that `code` may have meant: a region or script cut off, an English name, or a slip of the finger."""
    plain = code[:40].strip().lower()
    base = plain.replace("_", "-").partition("-")[0]
    base = _MISTAKEN.get(base, base)
    if base in LANGUAGES:
        return [base]
    by_name = {entry.name.lower(): entry.code for entry in _TABLE}
    names = [by_name[name] for name in get_close_matches(plain, by_name, n=2, cutoff=0.75)]
    if names or len(plain) > 3:
        return names
    return get_close_matches(plain, LANGUAGES, n=3, cutoff=0.6)
