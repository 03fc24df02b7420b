"""`python -m eat_worker` is `eat`."""

import sys

from eat_worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
