"""Opening a store: what is made, what is refused, what is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError, SchemaError
from eat_worker.storage import schema
from eat_worker.storage.store import Store, open_store


def test_a_missing_file_is_made_only_when_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        open_store(url)
    assert str(caught.value) == f"there is no eat database at {url}; run: eat db upgrade"
    assert list(tmp_path.iterdir()) == []
    with open_store(url, create=True) as store:
        assert store.runs.list_runs() == []
    assert schema.current(url) == schema.head()


def test_an_empty_file_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "eat.db").touch()
    url = f"sqlite:///{tmp_path / 'eat.db'}"
    with pytest.raises(SchemaError, match="there is no eat database"):
        open_store(url)
    with open_store(url, create=True) as store:
        assert store.runs.list_runs() == []


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eat.db").write_text("text: 서울\n" * 100)
    with pytest.raises(SchemaError, match="is not an eat database"):
        open_store(f"sqlite:///{tmp_path / 'eat.db'}", create=True)


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder; name a file in it"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_store_may_be_closed_twice_and_used_again(store: Store) -> None:
    store.close()
    store.close()
    assert store.runs.list_runs() == []


def test_opening_a_store_loads_neither_alembic_nor_the_orm(store: Store, url: str) -> None:
    program = (
        "import sys; from eat_worker.storage.store import open_store; open_store(sys.argv[1]).reading.run_status();"
        "print([name for name in ('alembic', 'sqlalchemy.orm', 'celery', 'psycopg') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, cwd=root)
    assert (done.stdout, done.stderr) == ("[]\n", "")
