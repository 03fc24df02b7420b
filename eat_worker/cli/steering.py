"""What `eat pause`, `resume`, `cancel` and `priority` share: how a steered run is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eat_worker.cli.call import Call

if TYPE_CHECKING:
    from eat_worker.runs.steering import Steered


def tell_steered(call: Call, done: Steered, words: str) -> None:
    """The run as JSON, as its name, or in `words`."""
    if call.as_json:
        call.emit(done.to_json())
    else:
        click.echo(done.run if call.quiet else f"run {done.run}: {words}")
