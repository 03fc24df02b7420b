"""`python cli.py` is `eat` in a checkout that is not installed."""

import sys

from eat_worker.cli import main

sys.exit(main())
