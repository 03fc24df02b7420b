from __future__ import annotations

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.method.languages import LANGUAGES, Language, advice, language

PAPER = ("ar", "hi", "hy", "ja", "ka", "ko", "ru", "zh", "de", "es", "fr", "nl", "en")


@pytest.mark.parametrize(
    "entry",
    [
        Language("ar", "Arabic", "Arabic", rtl=True),
        Language("he", "Hebrew", "Hebrew", rtl=True),
        Language("hi", "Hindi", "Devanagari"),
        Language("hy", "Armenian", "Armenian"),
        Language("ja", "Japanese", "Japanese", spaced=False),
        Language("ka", "Georgian", "Georgian"),
        Language("ko", "Korean", "Hangul"),
        Language("ru", "Russian", "Cyrillic"),
        Language("th", "Thai", "Thai", spaced=False),
        Language("vi", "Vietnamese", "Latin"),
        Language("zh", "Chinese", "Han", spaced=False),
    ],
)
def test_knows_how_a_language_is_written(entry: Language) -> None:
    assert language(entry.code) == entry


def test_names_may_end_inside_a_word_where_blanks_do_not_bound_them() -> None:
    assert [code for code in PAPER if language(code).by_characters] == ["ja", "ko", "zh"]


def test_the_languages_of_the_paper_are_known() -> None:
    assert set(PAPER) <= LANGUAGES.keys()


def test_the_table_has_no_code_and_no_name_twice() -> None:
    assert len(LANGUAGES) == 108
    assert len({entry.name for entry in LANGUAGES.values()}) == 108
    assert all(code.isascii() and code.islower() and len(code) == 2 for code in LANGUAGES)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        LANGUAGES["xx"] = language("de")  # type: ignore[index]  # the point of the test


@pytest.mark.parametrize("code", ["", "KO", "zh-CN", "korean", "xx", "deu"])
def test_only_plain_codes_are_codes(code: str) -> None:
    assert code not in LANGUAGES


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("KO", "did you mean ko (Korean)?"),
        ("zh-Hans", "did you mean zh (Chinese)?"),
        ("pt_BR", "did you mean pt (Portuguese)?"),
        ("jp", "did you mean ja (Japanese)?"),
        ("kor", "did you mean ko (Korean)?"),
        ("russian", "did you mean ru (Russian)?"),
        ("Grman", "did you mean de (German)?"),
        ("ddee", "use an ISO 639-1 code such as ko, ru or ar"),
        ("xx", "use an ISO 639-1 code such as ko, ru or ar"),
        ("", "use an ISO 639-1 code such as ko, ru or ar"),
        ("dea", "did you mean de (German) or da (Danish)?"),
    ],
)
def test_advises_on_a_wrong_code(code: str, told: str) -> None:
    assert advice(code) == told


def test_an_unknown_code_is_an_error_that_advises() -> None:
    with pytest.raises(ConfigurationError) as caught:
        language("cn")
    assert str(caught.value) == "unknown language code 'cn'; did you mean zh (Chinese)?"
    assert caught.value.exit_code == 78


def test_a_long_wrong_code_does_not_flood_the_message() -> None:
    with pytest.raises(ConfigurationError) as caught:
        language("x" * 100_000)
    assert len(str(caught.value)) < 120
