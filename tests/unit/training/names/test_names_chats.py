"""What the chats of the phases ask and answer, on sources of a few lines."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from eat_worker.training.eacl.chats import Conversation
from eat_worker.training.eacl.pairs import EaclPair
from eat_worker.training.names.chats import names_chat, words_chat
from eat_worker.training.names.first_phase import Counts, first_chats
from eat_worker.training.names.later_phases import LaterCounts, later_chats
from eat_worker.training.names.sources import Sources, read_sources
from eat_worker.training.tagged import Tagged

NONE = Counts(named=0, unnamed=0, switched=0, made=0, copied=0)
COUNTS = Counts(named=2, unnamed=1, switched=2, made=4, copied=3)


def said(chats: Sequence[Conversation]) -> set[tuple[str, str, str]]:
    return {(chat.lang, chat.turns[0].question, chat.turns[0].answer) for chat in chats}


def test_names_are_asked_with_the_words_of_the_product() -> None:
    chat = names_chat(Tagged("Bo saw Ulm.", ((7, 10, "LOC"), (0, 2, "PER"))), "en")
    assert [(message.role, message.content) for message in chat.opening] == [("system", "Name the PER, LOC and ORG.")]
    (turn,) = chat.turns
    assert (turn.question, turn.answer, turn.ends) == ("Bo saw Ulm.", "Bo (PER)\nUlm (LOC)", True)
    assert names_chat(Tagged("It {rains}.", ()), "en").turns[0].answer == "none"


@pytest.mark.parametrize(("upto", "answer"), [("bracket", "Bo (PER)"), ("tag", "Bo (PER")])
def test_a_list_that_may_go_on_is_not_learnt_to_its_end(upto: Literal["bracket", "tag"], answer: str) -> None:
    (turn,) = names_chat(Tagged("Bo saw Ulm.", ((0, 2, "PER"),)), "en", upto=upto).turns
    assert (turn.answer, turn.ends) == (answer, False)


def test_words_are_asked_as_the_adapter_that_comes_along_was_taught() -> None:
    chat = words_chat(EaclPair("ko", "Seoul", "서울", "서울은 대한민국의 수도이다."))
    assert [message.content for message in chat.opening] == ["Copy the words that mean the English name."]
    assert (chat.turns[0].question, chat.turns[0].answer) == ("서울은 대한민국의 수도이다.\nSeoul", "서울")


def test_the_first_phase_has_english_sentences_as_they_are(sources: Sources) -> None:
    found = said(first_chats(sources, replace(COUNTS, made=0), random.Random(3)))
    anna = "Anna Lee left Oslo for Bergen on Monday ."
    assert ("en", anna, "Anna Lee (PER)\nOslo (LOC)\nBergen (LOC)") in found
    assert ("en", "The river Rhine flows past the works of Bayer .", "Rhine (LOC)\nBayer (ORG)") in found
    assert sum(answer == "none" for _, _, answer in found) == 1


def test_the_first_phase_puts_names_of_one_other_language_into_a_sentence(sources: Sources) -> None:
    chats = first_chats(sources, COUNTS, random.Random(3))
    switched = [chat for chat in chats if chat.text.endswith("on Monday .") and "Anna" not in chat.text]
    (turn,) = switched[0].turns
    names = {line.rpartition(" (")[0]: line.rpartition(" (")[2] for line in turn.answer.split("\n")}
    german = {"Angela Dorothea Merkel": "PER)", "Köln": "LOC)", "München": "LOC)"}
    korean = {"김연아": "PER)", "서울": "LOC)", "부산": "LOC)"}
    assert names.items() <= german.items() or names.items() <= korean.items()
    assert [turn.question.find(name) for name in names] == sorted(turn.question.find(name) for name in names)


def test_two_of_three_copied_names_do_not_begin_their_sentence(sources: Sources) -> None:
    copied = [chat for chat in first_chats(sources, COUNTS, random.Random(3)) if chat.lang == "de"]
    firsts = [chat.text.startswith(chat.turns[0].answer) for chat in copied]
    assert sorted(firsts) == [False, False, True]
    assert "Ford" not in {chat.turns[0].answer for chat in copied}  # the same in English: copied without a model


def test_news_whose_english_names_nobody_answer_none(sources: Sources) -> None:
    counts = LaterCounts(without=9, without_long=1, titles=0, known=0, again=NONE, again_seed=0)
    found = {row for row in said(later_chats(sources, counts, random.Random(3))) if row[0] != "en"}
    assert {row for row in found if row[0] == "ko"} == {
        ("ko", "이유가 무엇이었는지 아무도 모르지만 나는 상관없다.", "none"),
        ("ko", "그리고 마을의 다른 사람들은 집으로 갔다.", "none"),
    }
    assert len([row for row in found if row[0] == "hi"]) == 1  # its script takes more tokens


def test_of_a_title_only_the_first_line_is_learnt(sources: Sources) -> None:
    counts = LaterCounts(without=0, without_long=0, titles=9, known=0, again=NONE, again_seed=0)
    chats = [chat for chat in later_chats(sources, counts, random.Random(3)) if chat.lang != "en"]
    assert said(chats) == {
        ("de", "Köln liegt am Rhein.", "Köln (LOC)"),
        ("de", "Angela Dorothea Merkel war Kanzlerin.", "Angela Dorothea Merkel (PER)"),
        ("ko", "서울은 대한민국의 수도이다.", "서울 (LOC)"),
        ("ko", "김연아는 선수이다.", "김연아 (PER)"),
    }
    assert not any(chat.turns[0].ends for chat in chats)


def test_names_are_projected_where_all_of_them_are_known(sources: Sources) -> None:
    counts = LaterCounts(without=0, without_long=0, titles=0, known=9, again=NONE, again_seed=0)
    chats = [chat for chat in later_chats(sources, counts, random.Random(3)) if chat.lang != "en"]
    # "Reason" is a word of another sentence, so no name; Tuesday and Munich's sentence has a name that is not known.
    assert said(chats) == {
        ("ko", "국제 연합은 다음 주에 서울에서 만날 예정이라고 그들이 말했다.", "국제 연합 (ORG)\n서울 (LOC)"),
        ("ko", "이유는 충분하다고 서울 시장이 말했다고 한다. 정말이다.", "서울 (LOC)"),
    }
    assert all(chat.turns[0].ends for chat in chats)


def test_a_title_goes_on_with_the_known_places_after_it_and_has_no_last_bracket(source_files: dict[str, Any]) -> None:
    rows = [
        ("Cologne", "Köln", "Köln liegt bei Bonn am Rhein, nicht bei Bad Bonn."),
        ("Bad Bonn", "Bad Bonn", "Bad Bonn ist klein."),  # no other place
        ("Bonn", "Bonn", "Bonn (Stadt) bei Köln-Bonn, Kölner Straße, und bei Ulm\n."),  # more than one line
        ("Angela Merkel", "Angela Merkel", "Angela Merkel war in Bonner Kreisen."),  # only a piece of a word
        ("Ford", "Ford", "Ford baut in Bonn."),  # an organization
    ]
    records = [dict(zip(("eng_entity", "tgt_entity", "text"), row, strict=True)) for row in rows]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (source_files["eacl"] / "de.jsonl").write_text(lines, encoding="utf-8")
    (source_files["eacl"] / "ka.jsonl").write_text(lines, encoding="utf-8")  # not used
    with (source_files["eacl"] / "entity_types.tsv").open("a", encoding="utf-8") as types:
        types.write("Bad Bonn\tLOC\nBonn\tLOC\n")
    counts = LaterCounts(without=0, without_long=0, places=9, known=0, again=NONE, again_seed=0)
    chats = later_chats(read_sources(**source_files), counts, random.Random(3))
    assert said(chats) == {("de", rows[0][2], "Köln (LOC)\nBonn (LOC)\nBad Bonn (LOC")}
    assert not any(chat.turns[0].ends for chat in chats)


def test_english_sentences_of_several_names_show_a_list_that_goes_on(sources: Sources) -> None:
    counts = LaterCounts(without=0, without_long=0, known=0, several=1, again=NONE, again_seed=0)
    ((lang, text, answer),) = said(later_chats(sources, counts, random.Random(3)))
    assert lang == "en"
    assert text.startswith(("Anna Lee left", "The river Rhine"))
    assert answer.count("\n") >= 1


def test_the_same_seed_gives_the_same_chats_and_another_seed_another_order(sources: Sources) -> None:
    one, same, other = (first_chats(sources, COUNTS, random.Random(seed)) for seed in (3, 3, 4))
    assert one == same
    assert one != other
