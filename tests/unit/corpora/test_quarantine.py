from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.corpora.quarantine import Quarantine
from eat_worker.corpora.records import Rejected

BAD = Rejected("in.jsonl", 3, 17, "E_UTF8", "not UTF-8", b'{"text": "\xfc"}\n', 5)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def kept(folder: Path, *refused: Rejected) -> Quarantine:
    with Quarantine(folder, "news") as quarantine:
        for rejected in refused:
            quarantine.add(rejected)
    return quarantine


def test_a_row_holds_the_record_and_its_raw_bytes(tmp_path: Path) -> None:
    path = kept(tmp_path, BAD).path
    assert path is not None
    (row,) = rows(path)
    assert base64.b64decode(str(row.pop("raw_base64"))) == b'{"text": "\xfc"}\n'
    assert row == {
        "file": "in.jsonl",
        "line": 3,
        "byte": 17,
        "code": "E_UTF8",
        "message": "not UTF-8",
        "dropped": 5,
        "raw": None,
    }


def test_counts_by_code(tmp_path: Path) -> None:
    assert kept(tmp_path, BAD, BAD).counts == {"E_UTF8": 2}


def test_nothing_refused_leaves_no_file(tmp_path: Path) -> None:
    assert kept(tmp_path / "sub").path is None
    assert list(tmp_path.iterdir()) == []


def test_the_same_records_refused_again_are_kept_once(tmp_path: Path) -> None:
    first, second = kept(tmp_path, BAD), kept(tmp_path, BAD)
    assert first.path == second.path
    assert list(tmp_path.iterdir()) == [first.path]
    assert [len(rows(path)) for path in tmp_path.iterdir()] == [1]


def test_other_records_of_the_same_run_are_kept_beside_them(tmp_path: Path) -> None:
    found = kept(tmp_path, BAD).path, kept(tmp_path, replace(BAD, line=4)).path
    assert sorted(tmp_path.iterdir()) == sorted(path for path in found if path)
    assert len(set(found)) == 2
    assert all(path.name.startswith("news.") and path.suffix == ".jsonl" for path in tmp_path.iterdir())


def test_folder_and_file_are_readable_to_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = kept(tmp_path / "sub", BAD).path
    finally:
        os.umask(before)
    assert path is not None
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_row_is_on_its_way_before_the_next_record_is_read(tmp_path: Path) -> None:
    with Quarantine(tmp_path, "news") as quarantine:
        quarantine.add(BAD)
        (partial,) = tmp_path.iterdir()
        assert partial.name.endswith(".partial")
        assert len(rows(partial)) == 1


def test_a_submit_that_breaks_off_leaves_the_whole_file_and_a_partial_one(tmp_path: Path) -> None:
    whole = kept(tmp_path, BAD, replace(BAD, line=9)).path
    quarantine = Quarantine(tmp_path, "news")

    def broken_off() -> None:
        with quarantine:
            quarantine.add(BAD)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert quarantine.path is None
    (partial,) = set(tmp_path.iterdir()) - {whole}
    assert partial.name.endswith(".partial")
    assert whole is not None
    assert (len(rows(whole)), len(rows(partial))) == (2, 1)


def test_rows_outlive_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from eat_worker.corpora.quarantine import Quarantine\n"
        "from eat_worker.corpora.records import Rejected\n"
        "quarantine = Quarantine(Path(sys.argv[1]), 'news')\n"
        "for line in range(100):\n"
        "    quarantine.add(Rejected('x', line, 0, 'E_JSON', 'm', b'raw'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=root, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (partial,) = tmp_path.iterdir()
    assert [row["line"] for row in rows(partial)] == list(range(100))


def test_a_file_that_cannot_grow_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            kept(tmp_path, BAD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
