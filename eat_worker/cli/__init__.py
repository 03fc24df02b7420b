"""The command line `eat`: which commands there are, and how a command ends.

A command's module is imported only when it runs: `eat --help` loads click and nothing else.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence

import click

from eat_worker import __version__
from eat_worker.cli.options import common_options
from eat_worker.cli.outcome import ReaderGone, ended

# Name: the module that has NAME_command, and what --help says.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("working", "Annotate a corpus from start to end, then report."),
    "submit": ("working", "Put a corpus into the queue."),
    "validate": ("validate", "Read a corpus file and say what is wrong with it."),
    "worker": ("working", "Work on the queue until stopped."),
    "status": ("status", "Show how far the runs are."),
    "report": ("report", "Show F1, BLEU and entropy of scored documents."),
    "compare": ("scoring", "Compare two runs on the same documents."),
    "eval": ("scoring", "Score a file of any system against a gold file."),
    "show": ("show", "Show everything stored about one document."),
    "export": ("export", "Write the annotations of a run for another tool."),
    "import-review": ("import_review", "Bring corrected annotations of a run back."),
    "dead": ("dead", "List, show, export and retry documents that failed for good."),
    "retry": ("dead", "Work on failed or doubtful documents of a run again."),
    "pause": ("steering", "Pause a run until it is resumed."),
    "resume": ("steering", "Continue a paused run."),
    "cancel": ("steering", "Cancel a run for good."),
    "priority": ("steering", "Change the priority of a run."),
    "annotate": ("annotate", "Annotate a file without queue or database."),
    "model": ("model", "List, pull, verify and convert model weights."),
    "eacl": ("eacl", "Collect and prepare the corpus that adapters are trained on."),
    "train": ("train", "Train an extractor or an adapter."),
    "db": ("db", "Upgrade, check and back up the database."),
    "config": ("machine", "Show every setting and where it came from."),
    "doctor": ("machine", "Check this machine and say what to fix."),
    "completion": ("machine", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and one line of help, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The commands in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name. Raises UsageError with close names when there is none."""
        if cmd_name not in COMMANDS:
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=2)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise click.UsageError(f"no such command: {cmd_name}{hint}", ctx)
        module, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"eat_worker.cli.{module}"), f"{cmd_name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Raises ReaderGone, where click would end the process by itself with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands in --help, from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="eat")
@common_options
@click.pass_context
def cli(ctx: click.Context, /, **options: object) -> None:
    """Annotate named entities in any language by Entity-Aligned Translation, through a queue that keeps everything.

    Options below may come before or after the command. Settings: option > EAT_... variable > eat.toml > default;
    `eat config` shows each value and its origin.
    """
    ctx.obj = options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; the console script and `python -m eat_worker` call this."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return ended(lambda: cli.main(words, prog_name="eat", standalone_mode=False), words, os.environ)
