"""Words that tell what kind of name stands beside or inside them: titles, kinds of bodies and places, dates, peoples.

Common words of English, no names: a short closed list each, written down here once.
"""

from __future__ import annotations

from functools import lru_cache

_PERSON = """
mr mr. mrs mrs. ms ms. miss madam dr dr. prof prof. professor sir lord lady president premier vice deputy former late
minister king queen prince princess emperor pope saint st. captain general gen. colonel col. lieutenant major admiral
marshal sergeant private pilot senator sen. governor gov. judge chancellor sultan sheikh baron director producer actor
actress singer rapper musician guitarist composer author writer novelist poet painter journalist historian philosopher
scientist mathematician physicist architect lawyer player footballer striker goalkeeper midfielder defender coach
manager champion politician activist leader bishop archbishop duke count mayor ambassador secretary spokesman
spokeswoman chairman ceo founder businessman brother sister father mother son daughter wife husband uncle aunt
grandfather
"""
_BODY = """
university college school institute academy faculty laboratory observatory company corporation corp corp. inc inc. ltd
ltd. co co. plc llc gmbh ag holding holdings partners group bank fund trust charity insurance ministry department
agency administration authority bureau office secretariat treasury committee commission council party union alliance
coalition front movement brotherhood league club fc association society foundation organization organisation
federation nations congress assembly parliament senate government court embassy police army navy force forces staff
command brigade division regiment squadron fleet battalion militia intelligence security defense defence education
health agriculture finance justice interior museum library theatre theater centre center cathedral hospital church
team band orchestra records entertainment studios pictures films productions publishing publishers books airlines
motors industries technologies software systems services foods electric electronics oil gas energy exchange stock
shares stocks times post news press daily weekly herald tribune gazette journal magazine newspaper television network
channel radio board conference championship united
"""
_PLACE = """
river lake mount mountain mountains volcano sea ocean island islands archipelago continent bay gulf peninsula delta
desert valley plateau plain waterfall falls cape beach hill hills forest canal strait coast harbor harbour port street
streets road avenue lane drive boulevard highway freeway square plaza park bridge tower castle palace fort dam airport
station capital city town village suburb neighborhood neighbourhood borough commune canton county district province
prefecture oblast governorate municipality state region republic kingdom border north south east west northern
southern eastern western central resident residents population located situated lies inhabitants visited
"""
_DATE = """
january february march april may june july august september october november december monday tuesday wednesday
thursday friday saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun
"""
_PEOPLE = """
american americans british english french german italian spanish russian russians chinese japanese korean indian
pakistani turkish greek dutch swedish norwegian danish finnish polish ukrainian hungarian czech romanian bulgarian
serbian croatian portuguese brazilian mexican canadian australian iranian persian iraqi israeli palestinian egyptian
syrian lebanese saudi arab arabs arabic afghan kurdish african asian european latin irish scottish welsh austrian
swiss belgian vietnamese thai indonesian filipino malaysian mongolian tamil hebrew cuban argentine colombian armenian
georgian jewish jews muslim muslims islamic christian christians catholic protestant buddhist hindu soviet roman
ottoman byzantine nazi communist democratic republican
"""
_GROUPS = {
    letter: frozenset(text.split())
    for letter, text in {"P": _PERSON, "B": _BODY, "L": _PLACE, "D": _DATE, "N": _PEOPLE}.items()
}


@lru_cache(100_000)
def clues_of(word: str) -> tuple[str, ...]:
    """Which of P (person), B (body), L (place), D (date), N (people or faith) a word in small letters tells, if any."""
    return tuple(letter for letter, words in _GROUPS.items() if word in words)
