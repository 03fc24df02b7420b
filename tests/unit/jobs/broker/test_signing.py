"""Signed messages: ours are taken, others are not, and without a key all are."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery

from eat_worker.errors import ConfigurationError
from eat_worker.jobs.broker.messages import TASK, register
from eat_worker.jobs.broker.signing import Signer, open_signer
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.values import Hint

KEY = "0123456789abcdef0123456789abcdef"
WORDS = [7, "backward", 3]
# printf '[7, "backward", 3]' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
SIGNATURE = "8a383dbf2dcfc3e32a1b8128b98c5b73d585612e92fab75559bb705ebb5bb952"


def settings(tmp_path: Path, key: str | None) -> Settings:
    if key is not None:
        (tmp_path / "key").write_text(key + "\n")
    given = {} if key is None else {"message_key_file": "key"}
    return load_settings(given, directory=tmp_path, environ={"HOME": str(tmp_path)})


def test_a_signature_is_hmac_sha256_of_the_arguments() -> None:
    assert Signer(KEY).sign(WORDS) == SIGNATURE
    assert Signer(KEY).accepts(WORDS, SIGNATURE)


@pytest.mark.parametrize("signature", ["", "00" * 32, SIGNATURE.upper(), None, 7, ["x"], "é"])
def test_any_other_signature_is_refused(signature: object) -> None:
    assert not Signer(KEY).accepts(WORDS, signature)


@pytest.mark.parametrize("words", [[8, "backward", 3], [7, "forward", 3], [7, "backward", 4], ["7", "backward", 3]])
def test_a_signature_belongs_to_its_arguments(words: list[object]) -> None:
    assert not Signer(KEY).accepts(words, SIGNATURE)


def test_without_a_key_nothing_is_signed_and_everything_taken() -> None:
    assert Signer().sign(WORDS) == ""
    assert Signer().accepts(WORDS, "anything")


def test_the_key_comes_from_a_file(tmp_path: Path) -> None:
    assert open_signer(settings(tmp_path, KEY)).sign(WORDS) == SIGNATURE
    assert open_signer(settings(tmp_path, None)).sign(WORDS) == ""


def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="shorter than 16 characters; make one with"):
        open_signer(settings(tmp_path, "short"))
    with pytest.raises(ConfigurationError, match="is empty"):
        open_signer(settings(tmp_path, ""))


def test_the_task_drops_what_is_not_signed_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    app, taken, refused = Celery("test", set_as_current=False), list[Hint](), list[str]()
    register(app, taken.append, Signer(KEY), refused.append)
    task = app.tasks[TASK]
    task(*WORDS, SIGNATURE)
    task(*WORDS)
    task(*WORDS, "00" * 32)
    task(7, "nonsense", 3, SIGNATURE)
    assert [hint.document_id for hint in taken] == [7]
    assert refused == ["not_signed", "not_signed", "no_hint"]
    assert "do all workers have the same key?" in caplog.text
