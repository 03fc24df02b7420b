from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eat_worker.method.constraint import (
    NO_NAMES,
    Automaton,
    Graph,
    gbnf,
    graph_of,
    list_of,
    places_of,
    span_of,
    units_of,
)
from eat_worker.method.document import Span
from eat_worker.method.rounds import REFUSAL, Constraint, EnglishConstraint, ListConstraint, SpanConstraint

NAME_BEGINNERS = "\"'“„«「『《(（"
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                unicodedata.normalize("NFD", "서울"),
                "\u0301",
                "दिल्ली ",
                "मे",
                "e\u0301a",
                "❤\ufe0f",
                "น้ำ",
                '"',
                "\\",
                "\n",
                "\t",
                "[x]",
                "=",
                " ",
                "a",
                "b",
                "(",
                "a_b",
                "\u200f",
            ]
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=6,
).map("".join)


def accepts(constraint: Constraint, answer: str) -> bool:
    automaton = Automaton(constraint)
    return automaton.accepts(automaton.advance(automaton.start(), answer))


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("", True, ()),
        ("", False, ()),
        ("서울에서", True, ("서", "울", "에", "서")),
        (unicodedata.normalize("NFD", "서울"), True, ("\u1109\u1165", "\u110b\u116e\u11af")),
        ("น้ำใจ", True, ("น้ำ", "ใ", "จ")),
        ("葛\U000e0100城", True, ("葛\U000e0100", "城")),
        # Latin words and numbers stay whole among characters.
        ("KBS는 2024년 10월", True, ("KBS", "는", " ", "2024", "년", " ", "10", "월")),
        ("東京でBeyoncéとABBA", True, ("東", "京", "で", "Beyoncé", "と", "ABBA")),
        ("在Łódź的iPhone15", True, ("在", "Łódź", "的", "iPhone15")),
        ("가Jose\u0301나", True, ("가", "Jose\u0301", "나")),
        ("Jean-Paul은", True, ("Jean", "-", "Paul", "은")),
        ("서  울", True, ("서", " ", " ", "울")),
        ("ＮＨＫのＪ", True, ("Ｎ", "Ｈ", "Ｋ", "の", "Ｊ")),
        ("Ann  lives, there.", False, ("Ann", "  ", "lives", ",", " ", "there", ".")),
        ("दिल्ली में हिन्दी", False, ("दिल्ली", " ", "में", " ", "हिन्दी")),  # marks belong to their word
        ("Jose\u0301 y", False, ("Jose\u0301", " ", "y")),
        ("مُحَمَّد هنا", False, ("مُحَمَّد", " ", "هنا")),
        ("می\u200cخواهم", False, ("می\u200cخواهم",)),
        ("Jean-Paul", False, ("Jean", "-", "Paul")),
        ("a_b", False, ("a_b",)),
        ("!!", False, ("!", "!")),
        ("\u0301a", False, ("\u0301", "a")),
        ("a \n b", False, ("a", " \n ", "b")),
    ],
)
def test_a_text_is_cut_into_characters_or_words(text: str, characters: bool, expected: tuple[str, ...]) -> None:
    assert units_of(text, characters=characters) == expected


@settings(deadline=None)
@given(TEXTS, st.booleans())
def test_units_joined_are_the_text(text: str, characters: bool) -> None:
    units = units_of(text, characters=characters)
    assert "".join(units) == text
    assert all(units)


def test_a_run_of_units_is_found_only_at_whole_units() -> None:
    units = units_of("Poland, Po and Po", characters=False)
    assert list(places_of("Po", units)) == [Span(8, 10), Span(15, 17)]
    assert list(places_of("Po and Po", units)) == [Span(8, 17)]
    assert list(places_of("and P", units)) == []
    assert list(places_of("", units)) == []
    assert list(places_of("aa", ("a", "a", "a"))) == [Span(0, 2), Span(1, 3)]


def test_constraints_are_made_from_the_units_of_a_text() -> None:
    assert span_of("서울 a", characters=True) == SpanConstraint(("서", "울", " ", "a"), "NONE")
    assert span_of("a b", characters=False, refusal=None) == SpanConstraint(("a", " ", "b"), None)
    assert list_of("a b", ("PER",), characters=False) == ListConstraint(("a", " ", "b"), ("PER",), "none")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Kim", True),
        ("Kim Min", True),
        ("in Seoul.", True),
        ("NONE", True),
        ("", False),
        ("Ki", False),  # no half of a unit
        (" Min", False),  # no name begins with a blank
        (".", False),
        ("Min Kim", False),
        ("Kim Seoul", False),
        ("none", False),
        ("NONEKim", False),
        ("Kim Min in Seoul. ", False),
    ],
)
def test_a_span_is_a_run_of_units_or_the_refusal(answer: str, expected: bool) -> None:
    assert accepts(span_of("Kim Min in Seoul.", characters=False), answer) is expected


def test_the_states_narrow_with_every_character_said() -> None:
    automaton = Automaton(span_of("ab ac", characters=False))
    states = automaton.advance(automaton.start(), "a")
    assert not automaton.accepts(states)
    assert automaton.accepts(automaton.advance(states, "c"))
    assert automaton.advance(states, "x") == frozenset()


def test_without_a_unit_to_begin_with_only_silence_is_left() -> None:
    nothing = span_of("...", characters=False, refusal=None)
    assert accepts(nothing, "")
    assert not accepts(nothing, ".")
    assert gbnf(nothing) == 'root ::= ""\n'


LISTED = list_of("Kim = in Seoul\nand Oslo", ("PER", "LOC"), characters=False)


@pytest.mark.parametrize(
    "answer",
    [
        "none",
        "Kim = Kim (PER)",
        "Seoul = Seoul, the capital (LOC)",
        "Kim = Kim (PER)\nSeoul = Seoul (LOC)\nOslo = Oslo (LOC)",
        "Kim = Kim (PER)\nOslo = Oslo (LOC)",
        "in Seoul = Seoul (LOC)",
        f"Oslo = {'x' * 40} (LOC)",
        "Oslo = Łódź, O’Slo & “Søns” – 3rd (LOC)",
        "Oslo = Nguyễn (PER)",
    ],
)
def test_a_list_is_lines_of_words_name_and_tag(answer: str) -> None:
    assert accepts(LISTED, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "NONE",
        "Kim = Kim",
        "Kim = Kim (ORG)",
        "Kim = Kim (PER)\n",
        "Kim = (PER)",
        "Kim = K=m (PER)",
        "Kim = K(m (PER)",
        "Kim  = Kim (PER)",
        "Kim  in = Kim (PER)",
        "Kim = in = Kim (PER)",  # words across the text's own equals sign
        "Seoul\nand = Seoul (LOC)",  # or across a line break
        "Oslo = Oslo (LOC)\nKim = Kim (PER)",  # not in the order of the text
        "Kim = Kim (PER)\nKim = Kim (PER)",  # not twice
        "Paris = Paris (LOC)",
        "none\nKim = Kim (PER)",
        f"Oslo = {'x' * 41} (LOC)",
        "Oslo = 오슬로 (LOC)",  # no name in another script
        "Oslo = Осло (LOC)",
        "Oslo = Osаlo (LOC)",  # nor one letter of it: the second vowel is Cyrillic
        "Oslo = Os\tlo (LOC)",
    ],
)
def test_a_list_is_nothing_else(answer: str) -> None:
    assert not accepts(LISTED, answer)


def test_a_text_without_words_lists_nothing() -> None:
    assert accepts(list_of("", ("PER",), characters=True), "none")
    assert gbnf(list_of("... ", ("PER",), characters=True)) == 'root ::= n29\nn29 ::= "none"\n'


def test_the_grammar_of_a_span() -> None:
    assert gbnf(span_of("서울!", characters=True)) == (
        'root ::= n1 | n2 | n4\nn1 ::= "서" (n2)?\nn2 ::= "울" (n3)?\nn3 ::= "!"\nn4 ::= "NONE"\n'
    )


NAME = (
    r"[\u0020-\u0027\u002A-\u003C\u003E-\u007E\u00A0-\u024F\u02BB-\u02BF\u0300-\u036F\u1E00-\u1EFF"
    r"\u2010-\u2027\u2030-\u2033\u20AC-\u20AC\u2122-\u2122]"  # no = ( )
)


def test_the_grammar_of_a_list() -> None:
    assert gbnf(list_of("A b", ("PER", "LOC"), characters=False)) == (
        "root ::= n1 | n15 | n25\n"
        'n1 ::= "A" (n2 | n8)\n'
        'n2 ::= " = " (n3)\n'
        f"n3 ::= {NAME}{{1,40}} (n4)\n"
        'n4 ::= " (" (n6 | n7)\n'
        'n5 ::= "\\n" (n23)\n'
        'n6 ::= "PER)" (n5)?\n'
        'n7 ::= "LOC)" (n5)?\n'
        'n8 ::= " " (n15)\n'
        'n15 ::= "b" (n16)\n'
        'n16 ::= " = " (n17)\n'
        f"n17 ::= {NAME}{{1,40}} (n18)\n"
        'n18 ::= " (" (n20 | n21)\n'
        'n20 ::= "PER)"\n'
        'n21 ::= "LOC)"\n'
        "n23 ::= n24\n"
        "n24 ::= n15\n"
        'n25 ::= "none"\n'
    )


def test_the_grammar_of_an_english_line() -> None:
    assert gbnf(EnglishConstraint()) == (
        "root ::= n1\n"
        r"n1 ::= [\u0022-\u0024\u0027-\u0028\u0030-\u0039\u0041-\u005B\u00C0-\u00DE\u0100-\u017F"
        r"\u2018-\u2018\u201C-\u201C\u20AC-\u20AC]{1,1} (n2)?"
        "\n"
        r"n2 ::= [\u0020-\u003C\u003E-\u007E\u00A0-\u024F\u02BB-\u02BF\u0300-\u036F\u1E00-\u1EFF"
        r"\u2010-\u2027\u2030-\u2033\u20AC-\u20AC\u2122-\u2122]+"
        "\n"
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("He met Kim in Seoul.", True),
        ("K", True),
        ("3 men (PER) paid €5 – “all” of it…", True),
        ('"Yes," he said.', True),
        ("“Yes”", True),
        ("(Ångström) Nguyễn", True),
        ("Émile Zola", True),
        ("x" * 300, False),
        ("X" * 300, True),
        ("", False),
        ("he met Kim.", False),  # an English sentence begins with a capital, a figure or a quotation mark
        (" He met Kim.", False),
        ("= He", False),
        ("He met 김민지.", False),
        ("서울 is a city.", False),
        ("He met Путин.", False),
        ("He met 王.", False),
        ("He met أحمد.", False),
        ("He left.\n", False),
        ("He left.\nShe stayed.", False),
        ("He left.\u2028She stayed.", False),
        ("He\tleft.", False),
        ("Kim = Kim (PER)", False),
    ],
)
def test_english_is_one_line_in_latin_script(answer: str, expected: bool) -> None:
    assert accepts(EnglishConstraint(), answer) is expected


@given(st.text(st.one_of(st.sampled_from("Aa1 =\n('\"À×à“‘ɐ\u2010\u2026\u2027ᷠḀỿἀ€"), st.characters()), max_size=5))
def test_the_automaton_of_english_is_a_regular_expression(answer: str) -> None:
    opening = r"[\"#$'(0-9A-\[À-Þ\u0100-\u017f‘“€]"
    allowed = opening + r"[ -<>-~\u00a0-\u024f\u02bb-\u02bf\u0300-\u036f\u1e00-\u1eff\u2010-\u2027\u2030-\u2033€™]*"
    assert accepts(EnglishConstraint(), answer) == bool(re.fullmatch(allowed, answer))


def test_what_means_something_in_a_grammar_is_escaped() -> None:
    grammar = gbnf(SpanConstraint(('a"', "\\", "\n", "\r\t", "[b]"), None))
    assert grammar == (
        'root ::= n1\nn1 ::= "a\\"" (n2)?\nn2 ::= "\\\\" (n3)?\n'
        'n3 ::= "\\n" (n4)?\nn4 ::= "\\r\\t" (n5)?\nn5 ::= "[b]"\n'
    )


def test_the_graph_grows_with_the_text_and_not_with_its_square() -> None:
    def size(graph: Graph) -> int:
        return sum(1 + len(node.after) for node in graph.values())

    for characters in (True, False):
        once = size(graph_of(list_of("Kim in Oslo. " * 10, ("PER", "LOC"), characters=characters)))
        tenfold = size(graph_of(list_of("Kim in Oslo. " * 100, ("PER", "LOC"), characters=characters)))
        assert tenfold < 10.5 * once


@settings(deadline=None)
@given(TEXTS, st.booleans(), st.booleans())
def test_the_automaton_accepts_the_runs_that_begin_like_a_name_and_nothing_else(
    text: str, characters: bool, refusing: bool
) -> None:
    constraint = span_of(text, characters=characters, refusal=REFUSAL if refusing else None)
    units = constraint.units
    allowed = {
        "".join(units[first:last])
        for first, unit in enumerate(units)
        for last in range(first + 1, len(units) + 1)
        if unit[0].isalnum() or unit[0] in NAME_BEGINNERS
    }
    if refusing:
        allowed.add("NONE")
    automaton = Automaton(constraint)
    assert language_of(automaton, set(text) | set("NOE"), len(text) + 4) == (allowed or {""})


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["a", "b", " ", "\n", "=", ".", "a\u0301"]), max_size=4).map("".join))
def test_a_list_accepts_exactly_disjoint_runs_in_order(text: str) -> None:
    constraint = list_of(text, ("T",), characters=True)
    lists = disjoint(constraint.units)
    expected = {"\n".join(f"{words} = x (T)" for words in listed) for listed in lists} | {"none"}
    automaton = Automaton(constraint)
    # The free name is pinned to one letter: the language is endless otherwise.
    said = language_of(automaton, set(text) | set("\n =xT()none"), 60, name="x")
    assert said == expected - {""}


def disjoint(units: tuple[str, ...], begin: int = 0) -> Iterator[list[str]]:
    """All lists of runs of units that could be names, in order and without overlap."""
    yield []
    for first in range(begin, len(units)):
        for last in range(first + 1, len(units) + 1):
            words = units[first:last]
            broken = any("\n" in unit or "=" in unit for unit in words[1:])
            if (units[first][0].isalnum() or units[first][0] in NAME_BEGINNERS) and not broken:
                listed = () if words[-1].isspace() else disjoint(units, last)
                yield from (["".join(words), *rest] for rest in listed)


def language_of(automaton: Automaton, alphabet: set[str], longest: int, name: str = "") -> set[str]:
    """Everything the automaton accepts, letter by letter."""
    found: set[str] = set()
    open_ = [("", automaton.start())]
    while open_:
        said, states = open_.pop()
        if automaton.accepts(states):
            found.add(said)
        if len(said) < longest:
            letters = {name} if name and said.endswith(" = ") else alphabet
            if name and said.endswith(f" = {name}"):
                letters = {" "}
            if name and said.endswith(f" = {name} "):
                letters = {"("}
            following = ((said + letter, automaton.advance(states, letter)) for letter in letters)
            open_ += [(more, states) for more, states in following if states]
    return found


@settings(deadline=None)
@given(TEXTS, st.booleans(), st.booleans())
def test_every_rule_that_a_grammar_refers_to_is_there_and_can_end(text: str, characters: bool, listing: bool) -> None:
    constraint: Constraint = (
        list_of(text, ("PER", "LOC"), characters=characters) if listing else span_of(text, characters=characters)
    )
    rules = rules_of(gbnf(constraint))
    assert "root" in rules
    for body in rules.values():
        assert references(body) <= set(rules)
    ending = {name for name, body in rules.items() if not references(body) or body.endswith(")?")}
    while grown := {name for name, body in rules.items() if references(body) & ending} - ending:
        ending |= grown
    assert ending == set(rules)


@settings(deadline=None)
@given(TEXTS, st.booleans(), st.booleans())
def test_a_grammar_says_what_the_graph_says(text: str, characters: bool, listing: bool) -> None:
    constraint: Constraint = (
        list_of(text, ("PER", "LOC"), characters=characters) if listing else span_of(text, characters=characters)
    )
    graph, rules = graph_of(constraint), rules_of(gbnf(constraint))
    for name, body in rules.items():
        node = graph[0 if name == "root" else int(name[1:])]
        assert references(body) == {f"n{number}" for number in node.after if f"n{number}" in rules}
        literal = re.match(r'"(?:[^"\\]|\\.)*"', body)
        if node.words:
            assert literal is not None
            assert unescaped(literal.group()) == node.words
            assert node.ends == (body.endswith("?") or body == literal.group())


def rules_of(grammar: str) -> dict[str, str]:
    """The rules of a grammar by name; a rule is a line, whatever the text holds."""
    assert grammar.endswith("\n")
    lines = grammar[:-1].split("\n")
    rules = dict(line.split(" ::= ", 1) for line in lines)
    assert len(rules) == len(lines)
    return rules


def references(body: str) -> set[str]:
    return set(re.findall(r"n\d+", re.sub(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]', "", body)))


def unescaped(literal: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), literal[1:-1])


def test_the_words_for_nothing_are_fixed() -> None:
    assert (REFUSAL, NO_NAMES) == ("NONE", "none")
