"""Declared files: read once, kept, read anew when a line changes, and read all the same when nothing can be kept."""

from pathlib import Path

import pytest

from sim.activities import _declared
from sim.declared import read_declared


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jobveje" / "declared"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.yaml"
    path.write_text('a: [1, 0.5, "x"]\nb: {c: true, d: null}\n', encoding="utf-8")
    return path


def test_what_is_kept_is_what_the_file_says(cache: Path, file: Path) -> None:
    read = read_declared(file)
    assert read == {"a": [1, 0.5, "x"], "b": {"c": True, "d": None}}
    (kept,) = cache.iterdir()
    kept.write_text('{"a": "from the cache"}', encoding="utf-8")
    assert read_declared(file) == {"a": "from the cache"}


def test_a_changed_line_is_read_anew(cache: Path, file: Path) -> None:
    read_declared(file)
    file.write_text("a: 2\n", encoding="utf-8")
    assert read_declared(file) == {"a": 2}
    assert len(list(cache.iterdir())) == 2


def test_damaged_or_forbidden_caches_are_passed_over(
    cache: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_declared(file)
    (kept,) = cache.iterdir()
    kept.write_text("{", encoding="utf-8")
    assert read_declared(file) == whole
    assert kept.read_text(encoding="utf-8") != "{"
    (tmp_path / "occupied").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "occupied"))
    assert read_declared(file) == whole


def test_the_catalogue_is_the_same_from_files_and_from_the_cache(cache: Path) -> None:
    first = _declared.__wrapped__()
    assert len(list(cache.iterdir())) >= 8
    assert _declared.__wrapped__() == first
