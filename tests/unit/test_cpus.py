"""CPUs that this process may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from eat_worker.cpus import available_cpus


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("max 100000", 8),
        ("200000 100000\n", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("rubbish", 8),
        ("1 0", 8),
        (None, 8),
    ],
)
@pytest.mark.usefixtures("eight")
def test_a_container_quota_lowers_the_count(tmp_path: Path, quota: str | None, cpus: int) -> None:
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota)
    assert available_cpus(file) == cpus


def test_without_affinity_all_cpus_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert available_cpus(tmp_path / "absent") == 6
