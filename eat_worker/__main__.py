"""`python -m eat_worker` is `eat`. Ctrl-C ends it quietly from the first moment on, also while it is being loaded."""

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from eat_worker.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
