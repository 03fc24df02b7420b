"""`eat doctor`: what works on this machine, and for what does not, the line that mends it."""

from __future__ import annotations

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import engine_options


@eat_command("doctor", short_help="Check this machine and say what to fix.")
@engine_options
def command(call: Call) -> None:
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
