"""Damaged folders, full disks and unreadable files: one clear line, nothing lost that was finished."""

import errno
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import run
from sim import ensemble, results
from sim.locale import LANGUAGES

COMPARE = (
    *("compare", "leisure_jobs", "--against", "baseline", "--no-sensitivity", "--replicates", "4"),
    *("-s", "population.residents=400", "-s", "horizon.months=24"),
)
NAMES = ("differences.csv", "outcomes.csv", "outcomes.parquet", "participants.parquet", "queues.csv")
DAMAGE = {
    "nothing": "",
    "cut short": '{"jobveje": "source", "job": {"sc',
    "no text": "\0\ufffd",
    "a list": "[]",
    "without a job": '{"status": "running"}',
    "without a status": '{"job": {}}',
    "with half a job": '{"job": {"seed": 1}, "status": "running", "code": CODE}',
    "with more than a job": '{"job": {"scenarios": [], "sead": 1}, "status": "running", "code": CODE}',
    "with no map as job": '{"job": 3, "status": "running", "code": CODE}',
}
"""Contents of manifest.json that no run writes."""

Door = Callable[..., list[str]]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Run a command in an empty folder, expect its exit code and return what it says; reports are not drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBVEJE_LANG", raising=False)
    monkeypatch.setattr("sim.report.write_report", lambda folder, lang: (folder / "report.html").write_text(lang))

    def call(*arguments: str, code: int) -> list[str]:
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", said)
            patch.setattr(sys, "argv", ["jobveje", *arguments])
            assert run.main(arguments) == code, said.getvalue()
        return [line for line in said.getvalue().split("\n") if line and "\r" not in line]

    return call


@pytest.fixture
def unfinished(door: Door, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A comparison of four shards, interrupted when two were finished."""
    count = itertools.count()

    def pressed(bar: object, n: int) -> None:
        if next(count) == 2 * 2 * 24 + 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "SHARD_RESIDENT_MONTHS", 1)
        patch.setattr("tqdm.tqdm.update", pressed)
        door(*COMPARE, "--out", "mine", code=130)
    return Path("mine")


def finished(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "shards").iterdir() if path.suffix != ".part")


def assert_same(folder: Path, whole: Path) -> None:
    for name in NAMES:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_manifest_is_named_and_kept(door: Door, damage: str):
    manifest = Path("mine") / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text(DAMAGE[damage].replace("CODE", json.dumps(ensemble.code_digest())), encoding="utf-8")
    before = manifest.read_bytes()
    words = {
        "da": "manifest.json i mine er beskadiget og kan ikke læses; kør scenariet igen.",
        "en": "manifest.json in mine is damaged and cannot be read; run the scenario again.",
    }
    for lang in LANGUAGES:
        assert door("resume", "mine", "--lang", lang, code=2) == [words[lang]]
    assert manifest.read_bytes() == before
    assert list(manifest.parent.iterdir()) == [manifest]


def test_a_manifest_in_another_encoding_is_damaged(door: Door):
    Path("mine").mkdir()
    Path("mine/manifest.json").write_bytes('{"title": "Område"}'.encode("latin-1"))
    assert door("resume", "mine", "--lang", "en", code=2) == [
        "manifest.json in mine is damaged and cannot be read; run the scenario again."
    ]


def test_a_folder_without_a_result_is_named(door: Door):
    Path("photos").mkdir()
    assert door("resume", "photos", "--lang", "en", code=2) == [
        "photos is not a result folder: it has no manifest.json."
    ]
    Path("file").write_text("no folder", encoding="utf-8")
    assert door("resume", "file", "--lang", "en", code=2) == [
        "there is no folder file; name a result folder, such as results/leisure_jobs-01."
    ]


def test_a_finished_result_has_nothing_to_resume(door: Door):
    door(*COMPARE, "--out", "mine", code=0)
    before = {path: path.read_bytes() for path in Path("mine").iterdir() if path.is_file()}
    assert door("resume", "mine", "--lang", "en", code=2) == [
        "the run in mine is already complete; there is nothing to resume."
    ]
    assert {path: path.read_bytes() for path in Path("mine").iterdir() if path.is_file()} == before


def test_a_run_begun_with_other_code_is_not_resumed(door: Door, unfinished: Path, monkeypatch: pytest.MonkeyPatch):
    kept = finished(unfinished)
    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "code_digest", lambda: "another version")
        said = door("resume", "mine", "--lang", "en", code=2)
    assert said == [
        "the code or the parameters changed since the run in mine began; "
        "resuming it would mix versions. Start a new run."
    ]
    assert finished(unfinished) == kept == ["0000-000000-000001", "0000-000001-000002"]
    door("resume", "mine", code=0)


def test_the_digest_of_the_code_covers_code_activities_and_parameters(monkeypatch: pytest.MonkeyPatch):
    read = Path.read_bytes
    seen: list[Path] = []

    def recorded(path: Path) -> bytes:
        seen.append(path)
        return read(path)

    before = ensemble.code_digest()
    monkeypatch.setattr(Path, "read_bytes", recorded)
    assert ensemble.code_digest() == before
    names = {path.name for path in seen}
    assert {"kernels.py", "base.py", "early_job_experience.yaml", "common.yaml", "history.yaml"} <= names
    for changed in seen:
        monkeypatch.setattr(Path, "read_bytes", lambda p, c=changed: read(p) + b" " * (p == c))
        assert ensemble.code_digest() != before, changed


def test_half_written_shards_are_ignored_and_cleared_away(
    door: Door, unfinished: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("0000-000002-000003.77.part", "0000-000003-000004.77.part"):
        part = unfinished / "shards" / name
        part.mkdir()
        (part / "outcomes.parquet").write_bytes(b"PAR1 cut short")
    (unfinished / "outcomes.parquet.part").write_bytes(b"PAR1 cut short")
    run_shard, ran = ensemble.run_shard, []

    def recorded(job: ensemble.Job, shard: ensemble.Shard, progress: ensemble.Progress) -> dict[str, pd.DataFrame]:
        ran.append(shard.replicates)
        return run_shard(job, shard, progress)

    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "run_shard", recorded)
        door("resume", "mine", code=0)
    assert ran == [range(2, 3), range(3, 4)]
    door(*COMPARE, "--out", "whole", code=0)
    assert_same(unfinished, Path("whole"))
    assert not (unfinished / "shards").exists()


# --- full disks


def test_a_disk_that_is_full_at_a_shard_keeps_the_finished_ones(door: Door, monkeypatch: pytest.MonkeyPatch):
    to_parquet = pd.DataFrame.to_parquet
    count = itertools.count()

    def full(table: pd.DataFrame, path: Path, **options: Any) -> None:
        if next(count) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        to_parquet(table, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "SHARD_RESIDENT_MONTHS", 1)
        patch.setattr(pd.DataFrame, "to_parquet", full)
        said = door(*COMPARE, "--out", "mine", "--lang", "en", code=1)
    assert said == [
        "the disk is too full to write mine; make room, or choose another folder with --out. "
        "What is finished is kept; resume with: jobveje resume mine"
    ]
    kept = finished(Path("mine"))
    assert kept
    assert len(kept) < 4
    door("resume", "mine", code=0)
    door(*COMPARE, "--out", "whole", code=0)
    assert_same(Path("mine"), Path("whole"))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", ["outcomes.parquet", "differences.csv", "pairing.json", "manifest.json"])
def test_a_disk_that_is_full_at_the_end_loses_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch, name: str, lang: str
):
    write = results.write_atomically

    def full(path: Path, fill: Callable[[Path], object]) -> None:
        if path.name == name and (path.parent / "shards").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, fill)

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_atomically", full)
        said = door(*COMPARE, "--out", "mine", "--lang", lang, code=1)
    assert len(said) == 1
    assert re.search(rf"\bmine/{name}\b", said[0])
    assert said[0].startswith("der er ikke plads på disken" if lang == "da" else "the disk is too full")
    assert said[0].endswith("jobveje resume mine")
    assert json.loads(Path("mine/manifest.json").read_text(encoding="utf-8"))["status"] == "running"
    assert finished(Path("mine")) == ["0000-000000-000004"]
    door("resume", "mine", code=0)
    door(*COMPARE, "--out", "whole", code=0)
    assert_same(Path("mine"), Path("whole"))


def test_a_folder_that_cannot_be_made_gets_one_line(door: Door):
    Path("file").write_text("in the way", encoding="utf-8")
    said = door(*COMPARE, "--out", "file/below", "--lang", "en", code=1)
    assert len(said) == 1
    assert said[0].startswith("file/below cannot be ")


# --- unreadable scenario files


def test_a_scenario_file_that_cannot_be_read_gets_one_line(door: Door):
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    for name in ("loop.yaml", "folder.yaml", "pipe.yaml"):
        for command in ("check", "run", "show"):
            said = door(command, name, "--lang", "en", code=2)
            assert len(said) == 1
            assert said[0].startswith(name)
    assert not Path("results").exists()


def test_a_file_that_turns_unreadable_gets_one_line(door: Door, monkeypatch: pytest.MonkeyPatch):
    Path("mine.yaml").write_text("schema: scenario/1\n", encoding="utf-8")
    opened = Path.open

    def refused(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "mine.yaml":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refused)
    assert door("run", "mine.yaml", "--lang", "en", code=2) == ["mine.yaml cannot be read: Permission denied."]
