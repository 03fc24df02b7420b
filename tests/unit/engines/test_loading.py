"""From settings to an engine and its identity. The weights here are files of a few bytes: nothing may load them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.endpoint import Endpoint
from eat_worker.engines.identity import engine_identity, fingerprint_in, fingerprints_of, served_queues
from eat_worker.engines.loading import open_engine, open_extractor
from eat_worker.engines.scripted import Scripted
from eat_worker.errors import ConfigurationError, ModelMissing, NotFound
from eat_worker.settings import Settings, load_settings

MODEL = "qwen2.5-coder-0.5b-instruct-q4_k_m"
SCRIPT = '{"text": "서울", "english": "Seoul", "entities": [["Seoul", "LOC", "서울"]]}\n'
ENDPOINT = {"engine": "endpoint", "endpoint_url": "http://127.0.0.1:9", "endpoint_model": "qwen"}
BINDING = {**ENDPOINT, "endpoint_grammar": "vllm"}
SETS = ("restated", "official", "tuned")

Make = Callable[..., Settings]


@pytest.fixture
def settings_of(tmp_path: Path) -> Make:
    """Settings with a models folder in which one model of the catalog seems to lie."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / f"{MODEL}.gguf").write_bytes(b"weights")

    def make(**overrides: Any) -> Settings:
        known = {"models_dir": str(folder), "model": MODEL, **overrides}
        return load_settings(known, directory=tmp_path, environ={"HOME": str(tmp_path)})

    return make


def print_of(settings: Settings) -> str:
    return engine_identity(settings).fingerprint


def write(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


# --- identity


def test_an_identity_says_what_answers(settings_of: Make) -> None:
    identity = engine_identity(settings_of())
    assert len(identity.fingerprint) == 64
    detail = dict(identity.detail)
    assert len(detail.pop("prompts")) == 64
    assert detail == {
        "engine": "llamacpp",
        "model": f"{MODEL}.gguf",
        # printf weights | sha256sum
        "weights": "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
        "adapter": None,
        "decoding": {"temperature": 0},
        "prompt_set": "restated",
    }


def test_every_stage_that_asks_the_model_has_the_queue_of_the_fingerprint(settings_of: Make) -> None:
    identity = engine_identity(settings_of())
    assert identity.queues == dict.fromkeys(
        ("forward", "extract", "backward", "back_translation", "direct"), f"chat.{identity.fingerprint[:12]}"
    )


def test_a_worker_serves_its_model_with_every_prompt_set(settings_of: Make) -> None:
    each = {engine_identity(settings_of(prompts=prompts)).queues["forward"] for prompts in SETS}
    assert len(each) == 3
    assert served_queues(settings_of()) == served_queues(settings_of(prompts="official")) == each
    assert served_queues(settings_of(engine="scripted")).isdisjoint(each)


def test_only_a_queue_that_is_named_after_a_fingerprint_is_read_as_one(settings_of: Make) -> None:
    each = {engine_identity(settings_of(prompts=prompts)).fingerprint[:12] for prompts in SETS}
    assert fingerprints_of(served_queues(settings_of())) == sorted(each)
    assert (fingerprint_in("chat.abc"), fingerprint_in("extract.abc")) == ("abc", "abc")
    assert [fingerprint_in(queue) for queue in ("default", "my.own", "chat", "chat.", "")] == [None] * 5
    assert fingerprints_of(["extract.b", "my.own", "chat.a", "extract.a"]) == ["a", "b"]


def test_a_worker_serves_the_same_whether_its_endpoint_binds_answers_or_not(settings_of: Make) -> None:
    # What the method of a run needs is looked at when it is submitted, and again when a worker meets its document.
    binding = {engine_identity(settings_of(**BINDING, prompts=name)).queues["extract"] for name in SETS}
    assert served_queues(settings_of(**ENDPOINT)) == served_queues(settings_of(**BINDING)) == binding
    assert all(re.fullmatch(r"chat\.[0-9a-f]{12}", queue) for queue in binding)


def test_what_changes_answers_changes_the_fingerprint(settings_of: Make, tmp_path: Path) -> None:
    script = write(tmp_path / "script.jsonl", SCRIPT)
    other = write(tmp_path / "other.jsonl", SCRIPT.replace("LOC", "ORG"))
    adapters = [write(tmp_path / f"{name}.gguf", name) for name in ("one", "two")]
    (tmp_path / "models" / "own.gguf").write_bytes(b"other weights")
    variants = [
        settings_of(),
        settings_of(model="own"),
        settings_of(prompts="official"),
        *(settings_of(adapter=adapter) for adapter in adapters),
        settings_of(engine="scripted"),
        settings_of(engine="scripted", script=script),
        settings_of(engine="scripted", script=other),
        settings_of(**BINDING),
        settings_of(**BINDING, adapter="qwen-tuned"),
        settings_of(**{**BINDING, "endpoint_model": "llama"}),
    ]
    assert len({print_of(settings) for settings in variants}) == len(variants)


def test_an_extractor_of_its_own_has_a_queue_of_its_own(settings_of: Make) -> None:
    chat, crf = engine_identity(settings_of(extractor="chat")), engine_identity(settings_of(extractor="crf"))
    assert crf.fingerprint != chat.fingerprint
    assert crf.queues["backward"] == chat.queues["backward"]
    assert re.fullmatch(r"extract\.[0-9a-f]{12}", crf.queues["extract"])
    assert crf.detail["extractor"] == "crf"
    assert served_queues(settings_of(extractor="crf")) == served_queues(settings_of(extractor="chat")) | {
        crf.queues["extract"]
    }


def test_another_extractor_is_another_fingerprint(settings_of: Make, tmp_path: Path) -> None:
    own = write(tmp_path / "own.crfsuite", "weights")
    prints = {print_of(settings_of(extractor="crf")), print_of(settings_of(extractor="crf", extractor_model=own))}
    assert len(prints) == 2


def test_the_direct_method_extracts_nothing(settings_of: Make) -> None:
    chat = print_of(settings_of(extractor="chat", method="direct"))
    assert print_of(settings_of(extractor="crf", method="direct")) == chat


def test_an_extractor_that_is_not_there_is_named(settings_of: Make, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"missing\.crfsuite: no such file"):
        engine_identity(settings_of(extractor="crf", extractor_model=str(tmp_path / "missing.crfsuite")))


def test_only_an_extractor_of_its_own_is_opened(settings_of: Make) -> None:
    assert open_extractor(settings_of(extractor="chat")) is None
    opened = open_extractor(settings_of(extractor="crf"))
    assert opened is not None
    assert opened.info.kind == "crf"
    opened.close()


def test_what_changes_no_answer_does_not(settings_of: Make, tmp_path: Path) -> None:
    known = print_of(settings_of())
    for same in (settings_of(threads=1), settings_of(slots=9), settings_of(context=512), settings_of(rounds=5)):
        assert print_of(same) == known
    elsewhere = tmp_path / "the-same-under-another-name.gguf"
    elsewhere.write_bytes(b"weights")
    assert print_of(settings_of(model=str(elsewhere))) == known
    here = settings_of(**BINDING)
    for there in ({"endpoint_url": "http://127.0.0.1:10"}, {"endpoint_grammar": "llama"}):
        assert print_of(here) == print_of(settings_of(**{**BINDING, **there}))


def test_new_bytes_in_the_same_file_are_another_model(settings_of: Make, tmp_path: Path) -> None:
    before = print_of(settings_of())
    (tmp_path / "models" / f"{MODEL}.gguf").write_bytes(b"weights, a little longer")
    assert print_of(settings_of()) != before


def test_no_engine_is_loaded_to_know_its_identity(settings_of: Make, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from eat_worker.engines.identity import engine_identity\n"
        "from eat_worker.settings import load_settings\n"
        f"given = {{'models_dir': {str(tmp_path / 'models')!r}, 'model': {MODEL!r}}}\n"
        "engine_identity(load_settings(given, directory=Path(), environ={'HOME': '/'}))\n"
        "print([name for name in ('xllamacpp', 'httpx', 'numpy', 'orjson') if name in sys.modules])\n"
    )
    settings_of()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_every_engine_of_the_settings_is_described_without_its_libraries() -> None:
    program = (
        "import sys\n"
        "from eat_worker.engines.loading import engine_kind\n"
        "from eat_worker.settings import ENGINES\n"
        "print([type(engine_kind(name)).__name__ for name in ENGINES])\n"
        "print([name for name in ('xllamacpp', 'httpx', 'numpy', 'torch', 'transformers') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{['EngineKind'] * 4}\n[]\n", "")


# --- what is missing is named


@pytest.mark.parametrize("call", [engine_identity, served_queues, open_engine])
def test_missing_weights_say_how_they_come(settings_of: Make, call: Callable[[Settings], object]) -> None:
    name = "qwen2.5-coder-1.5b-instruct-q4_k_m"
    with pytest.raises(ModelMissing, match=f"run: eat model pull {name}"):
        call(settings_of(model=name))
    with pytest.raises(ModelMissing, match=r"nowhere/m\.gguf: no such file"):
        call(settings_of(model="/nowhere/m.gguf"))
    with pytest.raises(NotFound):
        call(settings_of(model="qwen9"))


@pytest.mark.parametrize("call", [engine_identity, open_engine])
def test_a_missing_adapter_is_named(settings_of: Make, tmp_path: Path, call: Callable[[Settings], object]) -> None:
    with pytest.raises(ModelMissing, match=rf"adapter = {tmp_path}/lost.gguf: no such file"):
        call(settings_of(adapter="lost.gguf"))
    with pytest.raises(ConfigurationError, match="is a folder; make a GGUF of it: eat model export-gguf-lora"):
        call(settings_of(adapter="models"))


@pytest.mark.parametrize("call", [engine_identity, open_engine])
def test_a_folder_of_weights_is_not_for_llama_cpp(
    settings_of: Make, tmp_path: Path, call: Callable[[Settings], object]
) -> None:
    folder = tmp_path / "safetensors"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="is a folder of weights; the llamacpp engine needs one GGUF file"):
        call(settings_of(model=str(folder)))


@pytest.mark.parametrize("call", [engine_identity, open_engine])
@pytest.mark.parametrize("missing", ["endpoint_url", "endpoint_model"])
def test_an_endpoint_needs_url_and_model(settings_of: Make, call: Callable[[Settings], object], missing: str) -> None:
    with pytest.raises(ConfigurationError, match="needs endpoint_url and endpoint_model"):
        call(settings_of(**{**BINDING, missing: ""}))


@pytest.mark.parametrize("call", [engine_identity, open_engine])
def test_a_script_that_cannot_be_read(settings_of: Make, call: Callable[[Settings], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"lost\.jsonl: the script cannot be read: No such file"):
        call(settings_of(engine="scripted", script="lost.jsonl"))


# --- opening


def test_the_scripted_engine_is_opened(settings_of: Make, tmp_path: Path) -> None:
    script = write(tmp_path / "script.jsonl", SCRIPT)
    engine = open_engine(settings_of(engine="scripted", script=script, slots=3))
    assert isinstance(engine, Scripted)
    assert (engine.info.model, engine.info.slots) == ("script.jsonl", 3)
    engine.close()


def test_an_endpoint_that_cannot_bind_answers_is_refused_where_a_run_needs_it(settings_of: Make) -> None:
    for needing in (
        {},
        {"alignment": "free"},
        {"forward": "free"},
        {"forward": "free", "alignment": "free+constrained"},
        {"prompts": "official", "alignment": "free"},
        {"rounds": 1, "alignment": "free"},
    ):
        with pytest.raises(ConfigurationError, match="set endpoint_grammar to llama or vllm"):
            engine_identity(settings_of(**ENDPOINT, **needing))
    for content in (
        {"forward": "free", "alignment": "free"},
        {"prompts": "official", "forward": "free", "alignment": "free"},
        {"method": "direct"},
        {"endpoint_grammar": "llama"},
        {"endpoint_grammar": "vllm"},
    ):
        assert engine_identity(settings_of(**ENDPOINT, **content)).detail["model"] == "qwen"


def test_an_endpoint_is_opened_whatever_the_method_needs(settings_of: Make) -> None:
    for grammar, binds in (("none", False), ("llama", True)):
        engine = open_engine(settings_of(**{**ENDPOINT, "endpoint_grammar": grammar}))
        assert engine.info.constrained is binds
        engine.close()


def test_an_endpoint_has_the_key_of_its_file(settings_of: Make, tmp_path: Path) -> None:
    key = write(tmp_path / "key", "sk-secret\n")
    engine = open_engine(settings_of(**ENDPOINT, endpoint_key_file=key, slots=5))
    assert isinstance(engine, Endpoint)
    assert (engine._redact("sk-secret"), engine.info.model, engine.info.slots) == ("***", "qwen", 5)
    engine.close()
    with pytest.raises(ConfigurationError, match=r"endpoint_key_file: .* cannot be read"):
        open_engine(settings_of(**ENDPOINT, endpoint_key_file="lost"))


def test_a_file_that_is_no_model_is_refused_by_llama_cpp(settings_of: Make) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(ConfigurationError, match=rf"{MODEL}\.gguf: llama\.cpp cannot load it"):
        open_engine(settings_of(threads=1, slots=1))
