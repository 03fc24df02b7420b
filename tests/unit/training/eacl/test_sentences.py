"""The first sentence of an introduction, in the scripts and with the oddities of real Wikipedias."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.training.eacl.sentences import enclosed, first_sentence

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data"


@pytest.mark.parametrize(
    ("lang", "first", "second"),
    [
        ("ru", "Герма́ния (нем. Deutschland) — государство в Центральной Европе.", " Столица — Берлин."),
        ("ru", "Дж. Р. Р. Толкин (англ. J. R. R. Tolkien) — английский писатель.", " Он жил в Оксфорде."),
        ("ru", "Марк Мазовер (Mark Mazower; род. 20 февраля 1958 г.) — историк.", " Он пишет о Греции."),
        ("ru", "Население на 2010 г. составляло 5 тыс. человек.", " Город растёт."),
        ("ka", "გერმანია (გერმ. Deutschland) — ქვეყანა ცენტრალურ ევროპაში.", " დედაქალაქი — ბერლინი."),
        (
            "ka",
            "ბილ კლინტონი (ინგლ. Bill Clinton; დ. 19 აგვისტო, 1946) — ამერიკელი პოლიტიკოსი.",
            " იგი იყო პრეზიდენტი.",
        ),
        ("hy", "Երևան (անգլ.՝ Yerevan), Հայաստանի մայրաքաղաքն է։", " Այն մեծ քաղաք է։"),
        ("hy", "Գյումրին քաղաք է Հայաստանում:", " Այն հին է:"),
        ("ja", "東京（とうきょう、英: Tokyo）は、日本の首都。", "人口は1400万人。"),
        ("ja", "『君の名は。』は、日本の映画である。", "監督は新海誠。"),
        ("ja", "Earth First!（アースファースト!）は、環境団体。", "1980年に設立。"),
        ("zh", "北京（英語：Beijing），是中国的首都。", "人口很多。"),
        ("zh", "RSA Security，Inc.，是一家美国公司。", "总部在美国。"),
        ("ko", "서울(영어: Seoul)은 대한민국의 수도이다.", " 한강이 흐른다."),
        ("ko", "마라톤에서 2.5시간의 벽을 허문 선수이다.", " 은퇴했다."),
        ("ar", "هل القاهرة هي العاصمة؟", " نعم."),
        ("ar", "القاهرة (بالإنجليزية: Cairo) هي عاصمة مصر.", " تقع على النيل."),
        ("ar", "ديسمبر 1991، مع الولايات المتحدة U.S.، انتهى الاتحاد.", " ثم بدأ."),
        ("hi", "दिल्ली (अंग्रेज़ी: Delhi) भारत की राजधानी है।", " यह बड़ा शहर है।"),
        ("de", "Der 1. FC Köln e. V. wurde am 13. Februar 1948 gegründet.", " Er spielt in Köln."),
        ("de", "St. Gallen, franz. Saint-Gall, ist eine Stadt z. B. mit Kloster.", " Sie liegt hoch."),
        ("de", "Jiang Zemin (W.-G. Chiang) war Präsident.", " Er starb 2022."),
        ("nl", "Den Haag (Frans: La Haye) is een stad.", " Zij ligt aan zee."),
        ("es", "El presidente de los EE. UU. vive en la Casa Blanca.", " Es una casa blanca."),
        ("en", "Yahoo! (Nasdaq: YHOO) is a company.", " It is old."),
        ("en", 'He said "yes."', " Then he left."),
        ("am", "አዲስ አበባ የኢትዮጵያ ዋና ከተማ ናት።", " ትልቅ ከተማ ናት።"),
        ("ur", "لاہور پاکستان کا شہر ہے۔", " یہ بڑا ہے۔"),
    ],
)
def test_the_first_of_two_sentences_is_whole(lang: str, first: str, second: str) -> None:
    assert first_sentence(first + second, lang) == first
    assert first_sentence(first, lang) == first


def test_lines_above_the_running_text_are_passed_over() -> None:
    extract = "欧州連合\n\n欧州連合の標語: In varietate concordia\n\n欧州連合は、国家連合である。本部はブリュッセル。"
    assert first_sentence(extract, "ja") == "欧州連合は、国家連合である。"


def test_a_text_without_an_end_is_its_first_line() -> None:
    assert first_sentence("ეს არის წინადადება\nმეორე", "ka") == "ეს არის წინადადება"


def test_nothing_has_no_sentence() -> None:
    assert first_sentence(" \n\u3000", "ja") == ""


def test_a_bracket_that_is_never_closed_encloses_nothing() -> None:
    assert first_sentence("Bonn (deutsch ist eine Stadt. Sie liegt am Rhein.", "de") == "Bonn (deutsch ist eine Stadt."


def test_a_colon_ends_armenian_sentences_only() -> None:
    assert first_sentence("Oslo: Ist eine Stadt. Gut.", "de") == "Oslo: Ist eine Stadt."


def test_enclosed_covers_the_brackets_themselves() -> None:
    assert enclosed("a(b)c[") == [False, True, True, True, False, False]


@pytest.mark.parametrize(("lang", "share"), [("ko", 0.99), ("de", 0.98), ("ka", 0.98), ("zh", 0.98), ("ar", 0.97)])
def test_real_first_sentences_stay_whole(lang: str, share: float) -> None:
    file = SHARED / "eacl" / f"{lang}.jsonl"
    if not file.exists():
        pytest.skip("no shared data beside the checkout")
    texts = [json.loads(line)["text"].strip() for line in file.read_text(encoding="utf-8").split("\n")[:300] if line]
    assert sum(first_sentence(text, lang) == text for text in texts) >= share * len(texts)


@pytest.mark.parametrize("lang", ["ar", "hi", "hy", "ja", "ka", "ko", "zh"])
def test_every_first_sentence_of_wikiann_yields_a_sentence_of_it(lang: str) -> None:
    file = SHARED / "ner" / "wikiann_nsl_first_sentences" / f"{lang}.bio"
    if not file.exists():
        pytest.skip("no shared data beside the checkout")
    joiner = "" if lang in ("ja", "zh") else " "
    for block in file.read_text(encoding="utf-8").strip().split("\n\n"):
        words = [line.split("\t")[0].removeprefix(f"{lang}:") for line in block.split("\n")]
        text = joiner.join(words).replace("#", " ").strip()
        found = first_sentence(text, lang)
        assert found
        assert text.startswith(found)
