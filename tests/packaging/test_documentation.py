"""What README and docs say about the program is true: command lines, exit codes, JSON fields, layers, links, words."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import click
import pytest

from eat_worker import errors
from eat_worker.cli import cli, main
from eat_worker.corpora.records import CODES
from eat_worker.method.document import Outcome
from eat_worker.settings import COMMAND_VARIABLES, NAMES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("docker/*.md"))
)
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # a changelog may name what is gone
FORMATS = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Keys of these objects are data (statuses, codes, tags, names of runs), not names that could be documented.
DATA = frozenset(("failures", "statuses", "outcomes", "variables", "meta", "rejected", "dropped", "written"))
# Below these, names are data at the first level and known names or data further down.
MAPS = frozenset(("per_tag", "fingerprints"))


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    yield "eat", cli
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"eat {name} {inner}", found) for inner, found in command.commands.items())
        else:
            yield f"eat {name}", command


def without_options(words: str) -> str:
    """`eat status [--watch]` -> `eat status --watch`."""
    return words.replace("[", "").replace("]", "").replace("...", "")


def spelled(line: str) -> Iterator[list[str]]:
    """The command lines that one line stands for: `eat db upgrade|check` is two of them."""
    words = shlex.split(without_options(line).replace("\\|", "|"), comments=True)
    for choice in product(*(word.split("|") for word in words)):
        yield list(choice)


def command_lines(page: Path) -> Iterator[str]:
    """Every `eat ...` line of a page: behind a prompt in a block, or between backticks in a sentence."""
    text = page.read_text(encoding="utf-8")
    for _, block in FENCE.findall(text):
        yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ eat "))
    yield from re.findall(r"`(eat [^`\n]+)`", FENCE.sub("", text))


def parse(words: list[str]) -> None:
    """Parse a command line and run nothing. Raises click.UsageError."""
    command: click.Command | None = cli
    context: click.Context | None = None
    rest = words[1:]
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context, info_name=command.name)
        _, rest, _ = command.make_parser(context).parse_args(list(rest))
        if not rest:
            return  # `eat model`, `eat --version`: a group is named, or answers by itself
        command, rest = command.get_command(context, rest[0]), rest[1:]
    assert command is not None, f"no such command: {words}"
    try:
        with suppress(click.exceptions.Exit):  # --help
            command.make_context(command.name, list(rest), parent=context)
    except click.MissingParameter:
        if rest:  # `eat show` names the command; `eat show --json` forgets its document
            raise


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EAT_")]:
        monkeypatch.delenv(name)


def test_formats_name_every_variable_of_a_command() -> None:
    variables = {str(param.envvar) for _, command in commands() for param in command.params if param.envvar}
    assert variables <= COMMAND_VARIABLES
    assert sorted(variables - set(re.findall(r"EAT_[A-Z_]+", FORMATS))) == []


def test_formats_have_every_exit_code_and_error_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EatError)]
    table = FORMATS.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {kind.exit_code for kind in kinds} | {0, 2, 3, 130} <= set(
        map(int, re.findall(r"^\| (\d+) \|", table, re.M))
    )
    assert sorted({kind.code for kind in kinds} - set(re.findall(r"`([a-z_]+)`", table))) == []


def test_formats_have_exactly_the_quarantine_codes() -> None:
    assert set(re.findall(r"^\| `(E_[A-Z0-9_]+)` \|", FORMATS, re.MULTILINE)) == set(CODES)


def test_method_page_has_exactly_the_outcomes() -> None:
    ledger = (ROOT / "docs" / "method.md").read_text(encoding="utf-8").partition("## The alignment ledger")[2]
    listed = re.findall(r"^\| `([a-z_]+)` \|", ledger.partition("\n## ")[0], re.MULTILINE)
    assert listed == [str(outcome) for outcome in Outcome]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/decisions/0009-import-order.md"])
def test_picture_of_the_layers_is_the_contract(page: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("exhaustive"))
    (picture,) = re.findall(r"^ *(\w+ -> .+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert picture.split(" -> ") == layers


# Turns of phrase that puzzle a reader who learnt English at school; each has a plain word instead.
TICS = re.compile(
    r"\b(stands|told|goes on|go on|somebody|whoever|those to come|in hand|tells of|(?<![Tt]here )is no (?!longer)\w+)\b"
)


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_in_plain_words(page: Path) -> None:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    assert [found.group() for found in TICS.finditer(prose)] == []


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_parse(page: Path) -> None:
    for line in command_lines(page):
        for words in spelled(line):
            try:
                parse(words)
            except click.UsageError as error:
                pytest.fail(f"{page.relative_to(ROOT)}: {line}: {error.format_message()}")


@pytest.mark.parametrize(
    "line", ["eat frobnicate", "eat status --wach", "eat run FILE --rounds three", "eat model pul", "eat show --json"]
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        parse(line.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def names_in(value: Any, inside: str = "") -> Iterator[str]:
    """Every name in a JSON document that is not data."""
    if isinstance(value, list):
        for item in value:
            yield from names_in(item, inside)
    elif isinstance(value, dict):
        for name, item in value.items():
            if inside not in DATA | MAPS:
                yield name
            if inside not in MAPS:
                yield from names_in(item, name)


def test_formats_have_every_name_of_the_json_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus.jsonl"
    good = {"text": "Ann Dee lebt in Oslo.", "entities": [{"start": 16, "end": 20, "tag": "LOC"}]}
    corpus.write_text(json.dumps(good) + '\n{"text": ""}\n', encoding="utf-8")
    common = ["--json", "--state", str(tmp_path / "state")]
    scripted = ["--lang", "de", "--dataset", "wikiann", "--engine", "scripted"]
    documents = []
    for words in (
        ["run", str(corpus), "--broker", "none", *scripted],
        ["status"],
        ["status", "--workers"],
        ["report"],
        ["show", "1"],
        ["dead", "list"],
        ["dead", "retry", "--run", "corpus"],
        ["retry", "corpus", "--failed"],
        ["priority", "corpus", "1"],
        ["submit", str(corpus), *scripted],
        ["annotate", str(corpus), "--with-rounds", *scripted],
        ["model", "list", "--models-dir", str(tmp_path)],
        ["db", "upgrade"],
        ["db", "check"],
        ["db", "backup"],
        ["config"],
        ["doctor", "--engine", "scripted"],
        ["completion", "bash"],
        ["show", "nobody"],
    ):
        code = main([*words, *common])
        assert code in (0, 1, 3, 4), words
        out = capsys.readouterr().out
        documents += [json.loads(line) for line in out.splitlines()] if words[0] == "annotate" else [json.loads(out)]
    named = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`\n]+)`", FENCE.sub("", FORMATS)))))
    assert sorted(set(names_in(documents)) - named - set(NAMES)) == []  # the reference has the settings
