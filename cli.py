"""`python cli.py` is `eat` in a checkout that is not installed."""

import sys

from eat_worker.__main__ import main

sys.exit(main())
