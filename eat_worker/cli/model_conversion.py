"""`eat model convert|merge|export-gguf-lora`: weights in the form that another engine loads."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import setting
from eat_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eat_worker.models.partial import Progress

_models_dir = setting("models_dir", "Where weights and their digests are kept.")
_allow_mixed = setting("allow_mixed", "Merge an adapter whose card does not match the base, and record that.")


def _out(help_: str, *, required: bool = True, metavar: str = "DIR") -> Callable[..., Any]:
    return click.option("--out", type=click.Path(path_type=Path), required=required, metavar=metavar, help=help_)


@eat_command("convert", short_help="Write a GGUF model as a safetensors folder.")
@click.argument("name_or_file")
@_out("The new folder.  [default: NAME-hf in the models folder]", required=False)
@_models_dir
def convert_command(call: Call, name_or_file: str, out: Path | None) -> None:
    """Write a GGUF model (catalog name or file) once as bf16 safetensors, which the engine qwen and training load.

    Nothing is quantised again, and nothing is regained: the weights are those llama.cpp computes with. With --json:
    {"path", "size", "seconds", "made"}.
    """
    from eat_worker.models.conversion.convert import convert
    from eat_worker.models.installed import locate

    folder = call.settings.models_dir
    gguf = locate(name_or_file, folder)
    if gguf.is_dir():
        raise ConfigurationError(f"{gguf} is a folder of safetensors weights already; only a GGUF file is converted")
    new = out or folder / f"{gguf.name.removesuffix('.gguf')}-hf"
    with _told(call, "bytes") as (progress, told):
        told(convert(gguf, new, models_dir=folder, progress=progress))


@eat_command("merge", short_help="Add an adapter into its base model.")
@click.argument("base")
@click.argument("lora", metavar="ADAPTER", type=click.Path(path_type=Path))
@_out("The new folder.")
@_allow_mixed
@_models_dir
def merge_command(call: Call, base: str, lora: Path, out: Path) -> None:
    """Write BASE (name or folder, bf16) with the LoRA in the folder ADAPTER added, for servers that know no adapters.

    Refuses an adapter whose card names another base, r or alpha. With --json: {"path", "size", "seconds", "made"}.
    """
    from eat_worker.models.conversion.merge import merge
    from eat_worker.models.installed import locate

    models_dir = call.settings.models_dir
    found = locate(base, models_dir)
    if not found.is_dir():
        raise ConfigurationError(f"{found} is a GGUF file; merge into a safetensors folder: eat model convert {base}")
    with _told(call, "bytes") as (progress, told):
        told(merge(found, lora, out, models_dir=models_dir, allow_mixed=call.settings.allow_mixed, progress=progress))


@eat_command("export-gguf-lora", short_help="Write an adapter for llama.cpp.")
@click.argument("lora", metavar="ADAPTER", type=click.Path(path_type=Path))
@_out("The new file.", metavar="FILE")
@_models_dir
def export_command(call: Call, lora: Path, out: Path) -> None:
    """Write the LoRA in the folder ADAPTER as a GGUF file: the setting `adapter` of the engine llamacpp.

    With --json: {"path", "size", "seconds"}.
    """
    from eat_worker.models.conversion.gguf_lora import export_gguf_lora

    with _told(call, "matrices") as (progress, told):
        told(export_gguf_lora(lora, out, models_dir=call.settings.models_dir, progress=progress))


@contextmanager
def _told(call: Call, unit: str) -> Iterator[tuple[Progress, Callable[[Path], None]]]:
    """A progress to hear how far it is, and what to call with the path of what was made."""
    from eat_worker.cli.progress import Progress as Bar

    started = time.monotonic()
    made: list[Path] = []
    with Bar("", silent=call.quiet or call.as_json, unit=unit) as bar:
        yield bar.step, made.append
    path = made[0]
    if call.as_json:
        call.emit(_described(path, time.monotonic() - started))
    else:
        click.echo(str(path))


def _described(path: Path, seconds: float) -> dict[str, Any]:
    from eat_worker.models.manifest import read_manifest

    files = [path] if path.is_file() else sorted(path.iterdir())
    described = {"path": str(path), "size": sum(file.stat().st_size for file in files), "seconds": round(seconds, 1)}
    manifest = read_manifest(path) if path.is_dir() else None
    return described | ({"made": dict(manifest.made)} if manifest else {})
