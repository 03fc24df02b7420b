"""The tables of docs/reference.md are what the program says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_of_the_program(reference: ModuleType) -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert reference.filled(page) == page, "run: python docs/reference.py"
    assert "| `eat status` | [RUN] | Show how far the runs are. | `--watch`, `--timeout` S, `--workers` |\n" in page
    assert "| `lease_seconds` | `60` | run, worker, config | Seconds without a heartbeat " in page


def test_a_table_that_is_out_of_date_is_written_anew_and_prose_is_kept(reference: ModuleType) -> None:
    page = "# A\n<!-- generated: settings -->\nold\n<!-- end -->\nB\n"
    assert reference.filled(page) == f"# A\n<!-- generated: settings -->\n{reference.settings_table()}<!-- end -->\nB\n"
