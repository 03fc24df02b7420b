"""What `make demo` runs once everything is installed: fetch weights, annotate the quickstart corpus, show a sentence.

Every step is a plain `eat` command, printed before it runs, so that each can be repeated by hand.
"""

from __future__ import annotations

import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
EAT = Path(sys.executable).parent / "eat"
STATE = Path(".eat") / "demo"
QWEN = "qwen2.5-coder-1.5b-instruct-q4_k_m"
LAST_RESORT = "smollm2-135m-instruct"


def main() -> int:
    """Run the demo; the exit code of its main job."""
    started = time.monotonic()
    model = fetch_weights()
    if model is None:
        return 1
    corpus = HERE / "quickstart.jsonl"
    code = eat("run", str(corpus), "--model", model, "--state", str(STATE), "--run", "quickstart")
    if code not in (0, 3):
        return code
    print("\nOne sentence with everything the model said about it:")
    eat("show", "ko-klue-ner-v1_dev_00194-wikitree", "--state", str(STATE), quiet_failure=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"\nThe demo took {time.monotonic() - started:.0f} s; peak memory of its largest process {peak:.1f} GiB.")
    print(f"Look further:  {EAT} report --dataset klue --state {STATE}    {EAT} show ID --state {STATE}")
    return code


def fetch_weights() -> str | None:
    """The model to use; the English-only one, with a warning, when no Qwen can be had."""
    if eat("model", "pull", QWEN) == 0:
        return QWEN
    print(
        f"\nWARNING: {QWEN} could not be fetched. Going on with {LAST_RESORT}, which knows English only: the queue, "
        "the audit trail and the report are real, the annotations will be worthless.\n",
        file=sys.stderr,
    )
    return LAST_RESORT if eat("model", "pull", LAST_RESORT) == 0 else None


def eat(*arguments: str, quiet_failure: bool = False) -> int:
    """Run one eat command and show what was run; its exit code."""
    print(f"\n$ eat {shlex.join(arguments)}", flush=True)
    code = subprocess.run([EAT, *arguments], check=False).returncode
    if code == 130:
        raise SystemExit(130)
    return 0 if quiet_failure else code


if __name__ == "__main__":
    sys.exit(main())
