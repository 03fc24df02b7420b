"""`eat completion`: the script that teaches a shell to complete eat's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command


@eat_command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(call: Call, shell: str) -> None:
    """Print the completion script of SHELL.

    bash: eval "$(eat completion bash)" in ~/.bashrc. zsh: the same in ~/.zshrc.
    fish: eat completion fish > ~/.config/fish/completions/eat.fish
    """
    made = get_completion_class(shell)
    assert made is not None  # click has these three
    script = made(click.get_current_context().find_root().command, {}, "eat", "_EAT_COMPLETE").source()
    if call.as_json:
        call.emit({"shell": shell, "script": script})
    else:
        click.echo(script)
