"""`eat train`: the group of the commands that train; each lives in a file of its own."""

from __future__ import annotations

import click

from eat_worker.cli.train_adapter import adapter_command
from eat_worker.cli.train_extractor import extractor_command

command = click.Group("train", help="Train an extractor or an adapter.")

for _command in (extractor_command, adapter_command):
    command.add_command(_command)
