"""What is hidden of a URL, and that nothing of a secret is left in any spelling."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from eat_worker.redaction import Redactor, passwords_in, redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:canary@h:6379/0", "redis://:***@h:6379/0"),
        ("postgresql://u:canary@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:can/ary@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:can@ary@h/d", "postgresql://u:***@h/d"),
        ("redis://:can?ary@h/0", "redis://:***@h/0"),
        ("redis://:can@ary?canary@h/0", "redis://:***@h/0"),
        ("redis://eat:canary?x=canary@h/0", "redis://eat:***@h/0"),
        ("postgresql://h:5432,[::1]:5433/d?x=a@b", "postgresql://h:5432,[::1]:5433/d?x=a@b"),
        ("postgresql://eat@h/db?pwd=canary", "postgresql://eat@h/db?pwd=***"),
        ("postgresql:///d?host=/run&password=canary", "postgresql:///d?host=/run&password=***"),
        ("postgresql://h/d?sslpassword=canary&x=a@b", "postgresql://h/d?sslpassword=***&x=a@b"),
        ("postgresql://h/d?SSLPassword=canary", "postgresql://h/d?SSLPassword=***"),
        ("postgresql://h/d?sslkey=/canary.pem&sslmode=require", "postgresql://h/d?sslkey=***&sslmode=require"),
        ("postgresql://h/d?p%61ssword=canary", "postgresql://h/d?p%61ssword=***"),
        ("https://canary@h/v1", "https://***@h/v1"),
        ("https://h/v1?api_key=canary&max_tokens=5", "https://h/v1?api_key=***&max_tokens=5"),
        ("https://h/v1#access_token=canary&x=1", "https://h/v1#access_token=***&x=1"),
        ("redis://eat@h/0", "redis://eat@h/0"),
        ("sqlite:////data/eat.db", "sqlite:////data/eat.db"),
        ("postgres//eat:canary@h/eat", "postgres//eat:***@h/eat"),
        ("eat:canary@h", "eat:***@h"),
        ("h/eat?my_token=canary&x=1", "h/eat?my_token=***&x=1"),
        ("post gres://eat:can ary@db/eat", "post gres://eat:***@db/eat"),
        ("://eat:can@ary@db/eat?my_token=canary&x=1", "://eat:***@db/eat?my_token=***&x=1"),
        ("someone@example.org", "someone@example.org"),
        ("/a:b/c", "/a:b/c"),
        ("none", "none"),
        ("", ""),
    ],
)
def test_secrets_are_hidden_wherever_they_are_and_nothing_else(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_secrets_are_found_as_written_and_decoded() -> None:
    assert passwords_in("postgresql://u:a%40b@h/d?password=c%20d&x=1") == {"a%40b", "a@b", "c%20d", "c d"}
    assert passwords_in("postgres//eat:s%2Fx@h/eat") == {"s%2Fx", "s/x"}
    assert passwords_in("postgresql://h/d?passwd=a+b") == {"a+b", "a b"}
    for url in ("redis://h/0", "none", "someone@example.org", "/a:b/c"):
        assert passwords_in(url) == frozenset()


NAMES = st.sampled_from(
    [
        *("password", "passwd", "pwd", "pass", "passphrase", "sslpassword", "PGPASSWORD", "Password", "db_password"),
        *("api_key", "api-key", "apikey", "key", "sslkey", "private_key", "aws_secret_access_key", "SharedAccessKey"),
        *("token", "access_token", "auth_token", "secret", "client_secret", "credential", "credentials"),
        *("sig", "signature", "X-Amz-Signature"),
    ]
)
# Upper-case Greek is in no name and no host, so that what is left of a secret is found for sure.
SECRETS = st.text(alphabet="ΓΔΘΛΞΠΣΦΨΩ" + "%@:/?#&=+ ;'\"<>", min_size=1, max_size=12).filter(
    lambda word: any(letter.isalpha() for letter in word)
)
SCHEMES = st.sampled_from(["postgresql", "postgresql+psycopg", "redis", "rediss", "amqp", "amqps", "https", "http"])
OTHERS = st.lists(st.sampled_from(["sslmode=require", "x=a@b", "timeout=5", "host=/run"]), max_size=3)


def leaks(text: str, secret: str) -> bool:
    letters = {letter for letter in secret if letter.isalpha()}
    return any(letter in text or quote(letter) in text for letter in letters)


KEYS = NAMES | NAMES.map(lambda name: "".join(f"%{ord(letter):02X}" for letter in name))


@given(SCHEMES, KEYS, SECRETS, st.tuples(OTHERS, OTHERS), st.sampled_from([quote, quote_plus]))
def test_no_spelling_of_a_secret_in_a_query_is_shown(scheme, key, secret, others, spell) -> None:
    written, (before, after) = spell(secret, safe=""), others
    url = f"{scheme}://eat@h/d?" + "&".join([*before, f"{key}={written}", *after])
    assert not leaks(redact_url(url), secret)
    assert {written, secret} <= passwords_in(url)
    assert all(other in redact_url(url) for other in (*before, *after))


@given(SCHEMES, SECRETS, st.booleans(), OTHERS)
def test_no_password_before_the_host_is_shown(scheme, secret, encoded, others) -> None:
    written = quote(secret, safe="") if encoded else secret.replace("=", "")
    url = f"{scheme}://eat:{written}@h/d" + ("?" + "&".join(others) if others and encoded else "")
    assert not leaks(redact_url(url), secret)
    assert written in passwords_in(url)


@given(st.sampled_from(["postgresql+psycopg", "redis"]), NAMES, SECRETS, SECRETS)
def test_what_a_driver_makes_of_a_url_is_hidden_in_its_own_words(scheme, name, password, option) -> None:
    url = f"{scheme}://eat:{quote(password, safe='')}@h/d?{name}={quote_plus(option)}"
    parsed = make_url(url)
    message = f"cannot reach h as eat with {parsed.password} and {parsed.query}: {url}"
    quoted = f"{parsed.query[name]}"
    assert not leaks(Redactor(passwords_in(url))(message.replace(repr(quoted), quoted)), password + option)


@given(st.text())
def test_any_text_can_be_cleaned_and_cleaning_twice_changes_nothing(text: str) -> None:
    once = Redactor()(text)
    assert Redactor()(once) == once
    assert redact_url(redact_url(text)) == redact_url(text)


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redactor(["ab", "abc", ""])("abc ab") == "*** ***"


def test_secrets_within_a_sentence_are_hidden() -> None:
    said = "tried redis://:canary@h/0 and 'https://h/v1?key=canary', Authorization: Bearer canary-long"
    assert Redactor()(said) == "tried redis://:***@h/0 and 'https://h/v1?key=***', Authorization: Bearer ***"
