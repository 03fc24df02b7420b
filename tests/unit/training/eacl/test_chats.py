"""The chats an adapter is trained on are, word for word, those that backward alignment holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from eat_worker.method.backward import align
from eat_worker.method.chat import Chat
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document, EnglishEntity, Outcome, Span, Stage
from eat_worker.method.prompts import OFFICIAL, RESTATED, PromptSet, prompt_set
from eat_worker.method.rounds import Message, Request, RoundResult
from eat_worker.training.eacl.chats import conversations, is_asked
from eat_worker.training.eacl.mentions import MOST, Mentions
from eat_worker.training.eacl.pairs import EaclPair, read_pairs

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data" / "eacl"
SEOUL = EaclPair("ko", "Seoul", "서울", "서울(영어: Seoul)은 대한민국의 수도이다.", "서울")
KOREA = EaclPair("ko", "South Korea", "대한민국", "대한민국은 동아시아에 있는 나라이다.", "대한민국")
ASIA = EaclPair("ko", "East Asia", "동아시아", "동아시아는 아시아의 동쪽이다.", "동아시아")


@dataclass(frozen=True)
class TrainingChat:
    """What a model is given up to one question, and what it should answer."""

    messages: tuple[Message, ...]
    answer: str
    lang: str
    page: str
    text: str
    final: bool


class Oracle:
    """An engine that answers every request with what a training chat says, and remembers the requests."""

    def __init__(self, chats: list[TrainingChat]) -> None:
        self.answers = {chat.messages: chat.answer for chat in chats}
        self.asked: list[tuple[Message, ...]] = []

    def __call__(self, request: Request) -> RoundResult:
        self.asked.append(request.messages)
        return RoundResult(self.answers[request.messages])


def training_chats(pairs: Iterable[EaclPair], *, prompts: PromptSet, config: MethodConfig) -> Iterator[TrainingChat]:
    """One TrainingChat per round that backward alignment asks with these settings; those of one sentence together."""
    for chat in conversations(pairs, prompts=prompts, config=config):
        history = list(chat.opening)
        for turn in chat.turns:
            history.append(Message("user", turn.question))
            yield TrainingChat(tuple(history), turn.answer, chat.lang, chat.page, chat.text, turn.final)
            history.append(Message("assistant", turn.answer))


def english(*names: str) -> list[EnglishEntity]:
    return [EnglishEntity(number, name, "LOC", Span(0, 1)) for number, name in enumerate(names)]


@pytest.mark.parametrize("prompts", ["restated", "official"])
@pytest.mark.parametrize("alignment", ["constrained", "free", "free+constrained"])
@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_what_is_trained_is_what_is_asked(prompts: str, alignment: str, rounds: int) -> None:
    config = MethodConfig(prompts=prompts, alignment=alignment, rounds=rounds)
    text = KOREA.text
    chats = list(training_chats([KOREA, ASIA], prompts=prompt_set(prompts), config=config))
    chats = [chat for chat in chats if chat.text == text]
    names = [chat for chat in chats if chat.final]
    order = ["South Korea", "East Asia"] if names[0].answer == "대한민국" else ["East Asia", "South Korea"]
    oracle = Oracle(chats)
    ledger = align(Document(text, "ko"), english(*order), "", Chat(Stage.BACKWARD, config, oracle, "s"))
    assert oracle.asked == [chat.messages for chat in chats]
    assert {one.outcome for one in ledger} == {Outcome.EXACT}
    assert {text[one.span.start : one.span.end] for one in ledger if one.span} == {"대한민국", "동아시아"}


def test_the_default_asks_all_names_of_a_sentence_in_one_chat() -> None:
    (chat,) = [
        one for one in conversations([KOREA, ASIA], prompts=RESTATED, config=MethodConfig()) if one.page == KOREA.page
    ]
    assert [message.role for message in chat.opening] == ["system"]
    assert sorted(turn.answer for turn in chat.turns) == ["대한민국", "동아시아"]
    first, second = chat.turns
    assert first.question.startswith("Sentence (Korean): 대한민국은 동아시아에 있는 나라이다.\n")
    assert second.question.startswith('Which words of the same sentence mean "')
    assert first.final
    assert second.final


def test_a_second_question_carries_the_first_one_and_its_answer() -> None:
    chats = [
        one for one in training_chats([KOREA, ASIA], prompts=RESTATED, config=MethodConfig()) if one.text == KOREA.text
    ]
    assert [len(chat.messages) for chat in chats] == [2, 4]
    assert chats[1].messages[:3] == (*chats[0].messages, Message("assistant", chats[0].answer))
    assert {chat.page for chat in chats} == {"ko:대한민국"}


def test_free_rounds_end_in_the_words_and_name_them_on_the_way() -> None:
    config = MethodConfig(alignment="free", prompts="official")
    chats = list(training_chats([SEOUL], prompts=OFFICIAL, config=config))
    assert [chat.answer for chat in chats] == [
        '"Seoul" is called 서울 in Korean. The words of the sentence are: 서울',
        "All of it occurs in the sentence as it is written: 서울",
        "서울",
    ]
    assert [chat.final for chat in chats] == [False, False, True]
    assert chats[2].messages[-1].content == "Give only the Korean phrase, without any other words."


def test_braces_in_a_name_stay_as_they_are() -> None:
    pair = EaclPair("de", "Foo {text}", "Fu {words}", "Fu {words} ist alt.", "Fu {words}")
    (thought, _, final) = training_chats([pair], prompts=RESTATED, config=MethodConfig(alignment="free"))
    assert thought.answer == '"Foo {text}" is called Fu {words} in German. The words of the sentence are: Fu {words}'
    assert final.answer == "Fu {words}"


CONSTRAINED, BOUND, FREE = (MethodConfig(alignment=name) for name in ("constrained", "free+constrained", "free"))


@pytest.mark.parametrize(
    ("pair", "asked"),
    [
        (SEOUL, {"constrained", "bound", "free"}),
        # Copied at work, never asked there; chats of their own do ask.
        (EaclPair("de", "Berlin", "Berlin", "Berlin ist eine Stadt.", "Berlin"), {"bound", "free"}),
        # A bound round cannot say a piece of a word.
        (EaclPair("de", "Rome", "Rom", "Romane sind lang.", "Rom"), {"free"}),
        (EaclPair("de", "Rome", "Rom", "Die Stadt ist alt."), set()),
    ],
)
def test_only_what_the_product_asks_is_trained(pair: EaclPair, asked: set[str]) -> None:
    configs = {"constrained": CONSTRAINED, "bound": BOUND, "free": FREE}
    assert {name for name, config in configs.items() if is_asked(pair, config)} == asked
    made = {name for name, config in configs.items() if list(training_chats([pair], prompts=RESTATED, config=config))}
    assert made == asked


def mentioned(pair: EaclPair, *others: EaclPair) -> list[str]:
    return [f"{one.english}={one.words}" for one in Mentions([pair, *others]).found_in(pair)]


def name(title: str, english: str = "Name", lang: str = "ko") -> EaclPair:
    return EaclPair(lang, english, title, f"{title}.", title)


def test_names_of_other_pages_are_found_in_a_sentence() -> None:
    assert mentioned(KOREA, ASIA, name("아시아", "Asia")) == ["East Asia=동아시아"]


@pytest.mark.parametrize(
    ("text", "title", "lang"),
    [
        ("대한민국과 동아시아권의 나라", "동아시아", "ko"),  # another word than the name with a particle
        ("Der Berliner Fernsehturm", "Berlin", "de"),
        ("Der Turm (Berlin) steht", "Berlin", "de"),  # a gloss
        ("日本ヨーロッパ人の", "ヨーロッパ", "ja"),
    ],
)
def test_pieces_of_words_and_glosses_are_no_names(text: str, title: str, lang: str) -> None:
    pair = EaclPair(lang, "Self", "zz", text, None)
    expected = ["Name=ヨーロッパ"] if lang == "ja" else []
    assert mentioned(pair, name(title, lang=lang)) == expected


def test_common_nouns_letters_and_other_languages_are_no_names() -> None:
    pair = EaclPair("zh", "Self", "甲乙", "人在北京的城市。", None)
    assert mentioned(pair, name("城市", "city", "zh"), name("人", "Human", "zh"), name("北京", "Beijing", "ja")) == []
    assert mentioned(pair, name("北京", "Beijing", "zh")) == ["Beijing=北京"]


def test_few_names_of_a_long_sentence_are_asked() -> None:
    pair = EaclPair("zh", "Self", "甲乙", "北京、上海、广州、深圳。", None)
    others = [name(title, f"City{number}", "zh") for number, title in enumerate(("北京", "上海", "广州", "深圳"))]
    assert len(mentioned(pair, *others)) == MOST == 2


def test_a_name_is_asked_once_though_it_stands_twice() -> None:
    pair = EaclPair("zh", "Self", "甲乙", "北京和北京。", None)
    assert mentioned(pair, name("北京", "Beijing", "zh")) == ["Beijing=北京"]


def answers(lang: str, prompts: PromptSet, config: MethodConfig) -> Iterator[tuple[str, TrainingChat]]:
    file = SHARED / f"{lang}.jsonl"
    if not file.exists():
        pytest.skip("no shared data beside the checkout")
    for chat in training_chats(list(read_pairs(file))[:300], prompts=prompts, config=config):
        yield chat.messages[-1].content, chat


@pytest.mark.parametrize("lang", ["ko", "ja", "ru"])
def test_every_real_final_answer_stands_in_its_sentence(lang: str) -> None:
    chats = list(answers(lang, RESTATED, MethodConfig()))
    assert len(chats) >= 250
    assert all(chat.final and chat.answer in chat.text for _, chat in chats)


def test_real_answers_are_not_always_the_first_words() -> None:
    # 95 % of these titles begin their sentence.
    chats = list(answers("ko", RESTATED, MethodConfig()))
    assert sum(chat.text.startswith(chat.answer) for _, chat in chats) < 0.75 * len(chats)
