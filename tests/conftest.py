"""The one model small enough for tests, as it is installed on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from eat_worker.errors import ModelMissing
from eat_worker.models.installed import locate

# A shell that starts the tests in the background has them ignore Ctrl-C, and every command they start inherits that.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

SMALL_MODEL = "smollm2-135m-instruct"


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The weights of smollm2-135m-instruct. Skips where they are missing, fails in CI."""
    folder = os.environ.get("EAT_MODELS_DIR") or os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/eat_worker/models"
    try:
        return locate(SMALL_MODEL, Path(folder).expanduser())
    except ModelMissing:
        message = f"no weights to test with; run: eat model pull {SMALL_MODEL}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
