from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eat_worker.corpora.quarantine import Quarantine
from eat_worker.corpora.records import Rejected

BAD = Rejected("in.jsonl", 3, 17, "E_UTF8", "not UTF-8", b'{"text": "\xfc"}\n', 5)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line.startswith(b"{")]


def test_a_row_holds_the_record_and_its_raw_bytes(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    with Quarantine(path) as quarantine:
        quarantine.add(BAD)
    (row,) = rows(path)
    assert base64.b64decode(str(row.pop("raw_base64"))) == b'{"text": "\xfc"}\n'
    assert row == {
        "file": "in.jsonl",
        "line": 3,
        "byte": 17,
        "code": "E_UTF8",
        "message": "not UTF-8",
        "dropped": 5,
    }


def test_counts_by_code(tmp_path: Path) -> None:
    with Quarantine(tmp_path / "q.jsonl") as quarantine:
        quarantine.add(BAD)
        quarantine.add(BAD)
    assert quarantine.counts == {"E_UTF8": 2}


def test_nothing_refused_leaves_no_file(tmp_path: Path) -> None:
    with Quarantine(tmp_path / "sub" / "q.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_readable_to_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "q.jsonl"
    with Quarantine(path) as quarantine:
        quarantine.add(BAD)
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_row_is_in_the_file_before_the_next_record_is_read(tmp_path: Path) -> None:
    with Quarantine(tmp_path / "q.jsonl") as quarantine:
        quarantine.add(BAD)
        assert len(rows(quarantine.path)) == 1


def test_a_second_run_appends(tmp_path: Path) -> None:
    for _ in range(2):
        with Quarantine(tmp_path / "q.jsonl") as quarantine:
            quarantine.add(BAD)
    assert len(rows(tmp_path / "q.jsonl")) == 2


def test_a_torn_last_line_spoils_no_row(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"file": "a", "li')
    with Quarantine(path) as quarantine:
        quarantine.add(BAD)
    assert path.read_bytes().split(b"\n")[0] == b'{"file": "a", "li'
    assert json.loads(path.read_bytes().split(b"\n")[1])["code"] == "E_UTF8"


def test_rows_outlive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from eat_worker.corpora.quarantine import Quarantine\n"
        "from eat_worker.corpora.records import Rejected\n"
        "quarantine = Quarantine(Path(sys.argv[1]))\n"
        "for line in range(100):\n"
        "    quarantine.add(Rejected('x', line, 0, 'E_JSON', 'm', b'raw'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [row["line"] for row in rows(path)] == list(range(100))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_not_passed_over_in_silence() -> None:
    quarantine = Quarantine(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left on device"):
        quarantine.add(BAD)
    with pytest.raises(OSError, match="Invalid argument"):
        quarantine.close()  # a device cannot be synced
    assert not quarantine.counts


def test_the_umask_does_not_widen_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Quarantine(tmp_path / "q.jsonl") as quarantine:
            quarantine.add(BAD)
    finally:
        os.umask(before)
    assert (tmp_path / "q.jsonl").stat().st_mode & 0o777 == 0o600
