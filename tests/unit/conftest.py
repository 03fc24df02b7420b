"""What tests of `runs` and `cli` share: settings in an empty folder, and a database with one finished run in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import (
    TAGS,
    Alignment,
    Document,
    EnglishEntity,
    GoldEntity,
    Outcome,
    RoundOutput,
    Span,
    Stage,
)
from eat_worker.method.prompts import prompt_set
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import RunSpec, Scores, StageResult

KOREAN = Document("서울에 갔다", "ko", ext_id="k1", dataset="klue", gold=(GoldEntity(0, 2, "LOC"),))
ARABIC = Document("زار أحمد القاهرة", "ar", ext_id="a1", dataset="aqmar", gold=(GoldEntity(4, 8, "PER"),))
FAILING = Document("壊れた文", "ja", ext_id="j1", dataset="stockmark")
WAITING = Document("待つ文", "ja", ext_id="j2", dataset="stockmark")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder and no EAT_ variables."""
    for name in [name for name in os.environ if name.startswith("EAT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def eat(clean_environment: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs `eat` with the words given, in this process."""
    from eat_worker.cli import main

    def call(*words: str) -> Ended:
        code = main(words)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Defaults, with the state in a folder of the test's own."""
    return load_settings({}, directory=tmp_path, environ={"HOME": str(tmp_path / "home")})


@pytest.fixture
def finished(settings: Settings) -> Settings:
    """A database with the run `demo`: a Korean and an Arabic document done, a Japanese one failed, one queued."""
    config = MethodConfig()
    spec = RunSpec(
        name="demo",
        lang="",
        dataset="",
        config=config,
        fingerprint="f" * 64,
        model={"engine": "scripted", "weights": "none"},
        queues={"forward": "chat.f", "backward": "chat.f", "extract": "chat.f", "back_translation": "chat.f"},
    )
    with open_store(settings.database, create=True) as store:
        run = store.runs.add_run(spec)
        store.runs.add_prompts(prompt_set(config.prompts).listed(config.rounds))
        store.runs.add_documents(run.id, [KOREAN, ARABIC, FAILING, WAITING])
        _work_through(store, config)
    return settings


def _work_through(store: Store, config: MethodConfig) -> None:
    for document_id, text in ((1, KOREAN.text), (2, ARABIC.text)):
        claim = store.queue.claim(document_id, Stage.FORWARD, "w1", 60)
        assert claim is not None
        prompt = prompt_set(config.prompts).prompt(Stage.FORWARD, "think", language="Korean", text=text)
        output = RoundOutput(
            Stage.FORWARD, -1, 1, prompt.id, prompt.variables, "A thought.", 100, 60, 5, 2.0, flags=("long",)
        )
        following = store.queue.commit_stage(
            claim, _result(document_id), Stage.SCORE, keep=True, lease_seconds=60, rounds=[output]
        )
        assert following is not None
        scored = StageResult(scores=_scores(document_id))
        store.queue.commit_stage(following, scored, Stage.DONE, keep=False, lease_seconds=60)
    claim = store.queue.claim(3, Stage.FORWARD, "w1", 60)
    assert claim is not None
    store.queue.fail(claim, "too_long", "9,000 tokens", retryable=False, max_faults=1, not_before_seconds=0)


def _result(document_id: int) -> StageResult:
    words, tag, start, end = [("Seoul", "LOC", 0, 2), ("Ahmed", "PER", 4, 8)][document_id - 1]
    entity = EnglishEntity(0, words, tag, Span(0, 5))
    lost = EnglishEntity(1, "Nowhere", "LOC", None, Outcome.NOT_IN_TRANSLATION)
    aligned = Alignment(entity, Outcome.EXACT, Span(start, end), via="copy", answer="answer", confidence=0.75)
    return StageResult(
        english=f"{words} was there",
        english_entities=(entity, lost),
        alignments=(aligned, Alignment(lost, Outcome.NOT_IN_TRANSLATION)),
        back_translation="되돌린 문장이다",
    )


def _scores(document_id: int) -> Scores:
    counts = [(1, 0, 0), (0, 1, 1)][document_id - 1]
    tag = ["LOC", "PER"][document_id - 1]
    return Scores(
        strict=counts,
        official=counts,
        span=counts,
        per_tag={f"strict/{tag}": counts},
        bleu=25.0,
        bleu_signature="signature",
        bleu_stats=(3, 2, 1, 1, 6, 5, 4, 3, 6, 6),
        entropy_loss=0.5,
    )


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A fast tokenizer that knows a few English words; all others fall into letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>", "<s>"]
    letters = [chr(code) for code in range(33, 127)]
    words = ["Ann", "Lee", "left", "Oslo", "is", "cold", "Bo", "saw", "Ulm", "no", "one", "came", "none", *TAGS]
    pieces = [*special, *letters, *[f"##{letter}" for letter in letters], *words]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """A folder with a BERT of random weights and seven BIO labels: a few milliseconds a sentence."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tiny_tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    return _saved(BertForTokenClassification(config), tiny_tokenizer, tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """A folder with a T5 of random weights."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(5)
    config = T5Config(
        vocab_size=len(tiny_tokenizer),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=tiny_tokenizer.pad_token_id,
        eos_token_id=tiny_tokenizer.eos_token_id,
        decoder_start_token_id=tiny_tokenizer.pad_token_id,
    )
    return _saved(T5ForConditionalGeneration(config), tiny_tokenizer, tmp_path_factory.mktemp("t5"))


def _saved(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
