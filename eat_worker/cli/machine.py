"""`eat config`, `doctor` and `completion`: what this machine has, is set to, and lacks."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import engine_options, method_options, worker_options
from eat_worker.settings import NAMES


@eat_command("config", short_help="Show every setting and where it came from.")
@method_options
@engine_options
@worker_options
def config_command(call: Call) -> None:
    """Show every setting, its value and its origin: an option, a variable, eat.toml or default.

    Passwords are hidden. With --json: {"settings": [{"name", "value", "origin"}]}.
    """
    settings = call.settings
    shown = [{"name": name, "value": settings.shown(name), "origin": settings.origin(name)} for name in NAMES]
    if call.as_json:
        call.emit({"settings": shown})
    elif call.quiet:
        click.echo("\n".join(NAMES))
    else:
        from eat_worker.cli.terminal import table

        rows = [[str(item["name"]), _plain(item["value"]), str(item["origin"])] for item in shown]
        output = call.console()
        columns = {"setting": "left", "value": "left", "origin": "left"}
        output.print(table(columns, rows, terminal=output.is_terminal))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@eat_command("doctor", short_help="Check this machine and say what to fix.")
@engine_options
def doctor_command(call: Call) -> None:
    """Check database, broker, model, tokenizers, CPUs, GPU and disk; exit 1 when something needs fixing.

    With --json: {"ok", "checks": [{"name", "ok", "detail", "fix"}]}.
    """
    from eat_worker.runs.checking import doctor

    checks = doctor(call.settings)
    healthy = all(check.ok for check in checks)
    if call.as_json:
        call.emit({"ok": healthy, "checks": [check.to_json() for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            if call.quiet and check.ok:
                continue
            fix = "" if check.ok or not check.fix else f"\n{'':{width + 8}}fix: {check.fix}"
            click.echo(f"{'ok' if check.ok else 'FAILED':6}  {check.name:{width}}  {check.detail}{fix}")
    if not healthy:
        click.get_current_context().exit(1)


@eat_command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(call: Call, shell: str) -> None:
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
