"""Documents annotated without queue and database, one by one or a whole file. Nothing is stored.

`annotate` and `open_engine` are the library's face (docs/library.md); `eat annotate` uses the same functions.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack

from eat_worker.corpora.reading import read_documents
from eat_worker.corpora.records import Rejected, Tally
from eat_worker.errors import ConfigurationError, EatError
from eat_worker.jobs.document.stages import Tools, open_tools
from eat_worker.method.annotate import Annotation
from eat_worker.method.annotate import annotate as annotate_document
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document
from eat_worker.method.identity import content_hash
from eat_worker.runs.corpus import Corpus, demand_clean, resolved
from eat_worker.runs.records import Record, entities_and_ledger
from eat_worker.settings import Settings, load_settings


def open_engine(**settings: Any) -> Tools:
    """A loaded engine, by the settings that commands take: `open_engine(engine="scripted", slots=2)`.

    What is not given comes from EAT_ variables, eat.toml in the current folder and the defaults, as for commands.
    Close it to give its memory back. Raises ConfigurationError, ModelMissing or EngineUnavailable.
    """
    return open_tools(load_settings(settings, directory=Path.cwd(), environ=os.environ))


def annotate(document: Document, engine: Tools, config: MethodConfig | None = None, *, session: str = "") -> Annotation:
    """The entities of one document, with everything on the way there. May be called from many threads.

    `config` says what the method does; by default, what commands do without options. `session` names the document
    towards the engine; it need not be given unless equal documents are annotated at the same time.

    Raises ConfigurationError when the engine cannot do what `config` asks or the language is not known, TooLong, and
    other errors of `eat_worker.errors` that the engine raises.
    """
    config = config or MethodConfig()
    return annotate_document(document, engine.ask_for(config), config, session=session or content_hash(document))


def annotate_file(
    settings: Settings,
    path: Path,
    *,
    with_rounds: bool = False,
    when_read: Callable[[Tally], None] = lambda _: None,
    **corpus: Unpack[Corpus],
) -> Iterator[Record]:
    """The records of a file, in its order, with their entities. One that fails has `error` and stops nothing.

    `error` has code and message; `seconds` is time in the engine, `wall_seconds` from beginning to end. `with_rounds`
    adds every round: prompt id, variables, answer and cost. `when_read` hears at the end what the reader met.

    Raises CorpusError when the file cannot be read at all, or a record is refused and `on_error` is "fail",
    ModelMissing without weights, ConfigurationError when the engine cannot do what is asked, and a retryable error when
    it is away: no record could succeed then.
    """
    on_error, how = resolved(corpus)
    if on_error == "fail":
        demand_clean(path, how)
    with ExitStack() as stack:
        reading = stack.enter_context(read_documents(path, **how))
        tools = open_tools(settings)
        stack.callback(tools.close)
        config, at_once = settings.method_config, settings.documents_at_once
        tools.ask_for(config)  # what this engine cannot do is refused before the first document
        pool = stack.enter_context(ThreadPoolExecutor(at_once, thread_name_prefix="annotate"))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        waiting: deque[Future[Record]] = deque()
        for number, item in enumerate(reading):
            waiting.append(pool.submit(_record, item, tools, config, f"annotate-{number}"))
            if len(waiting) >= 2 * at_once:
                yield _kept(waiting.popleft().result(), with_rounds=with_rounds)
        while waiting:
            yield _kept(waiting.popleft().result(), with_rounds=with_rounds)
        when_read(reading.tally)


def _kept(record: Record, *, with_rounds: bool) -> Record:
    return record if with_rounds else {name: value for name, value in record.items() if name != "rounds"}


def _record(item: Document | Rejected, tools: Tools, config: MethodConfig, session: str) -> Record:
    if isinstance(item, Rejected):
        return {"error": {"code": item.code, "message": f"{item.where}: {item.message}"}}
    known = {"id": item.ext_id, "text": item.text, "lang": item.lang, "dataset": item.dataset}
    began = time.monotonic()
    try:
        found = annotate(item, tools, config, session=session)
    except EatError as error:
        if error.retryable or isinstance(error, ConfigurationError):
            raise
        return {**known, "error": {"code": error.code, "message": str(error)}}
    return {**known, **_found(item, found), "wall_seconds": round(time.monotonic() - began, 3)}


def _found(document: Document, found: Annotation) -> Record:
    entities, ledger = entities_and_ledger(document.text, found.alignments)
    return {
        "entities": entities,
        "english": found.english,
        "back_translation": found.back_translation,
        "skipped": found.skipped,
        "ledger": ledger,
        "rounds": [asdict(output) for output in found.rounds],
        "seconds": round(sum(output.seconds for output in found.rounds), 3),
    }
