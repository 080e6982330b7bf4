"""Real kills: a run or one of its workers dies at any moment, and what resumes gives the same bytes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import run

ROOT = Path(run.__file__).parent
REPLICATES = 10
COMPARE = (
    *(
        "compare",
        "leisure_jobs",
        "--against",
        "baseline",
        "--no-sensitivity",
        "--draws",
        "1",
        "--seed",
        "5",
        "--replicates",
        str(REPLICATES),
    ),
    *("-s", "population.residents=1000", "-s", "horizon.months=36", "--lang", "en"),
)
NAMES = ("differences.csv", "outcomes.csv", "outcomes.parquet", "participants.parquet", "queues.csv", "flows.csv")
DOOR = f"""
import signal
# Whoever starts the tests in the background hands down that the interrupt key is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
sys.path.insert(0, {str(ROOT)!r})
import run
import sim.ensemble
sim.ensemble.SHARD_RESIDENT_MONTHS = 1
sim.ensemble.WORKERS_FROM = int(sys.argv.pop(1))
sys.exit(run.main(sys.argv[1:]))
"""
"""The command line with one replicate a shard, so that a small comparison has many; first argument: WORKERS_FROM."""
ALONE, WITH_WORKERS = str(10**18), "1"


def door(*arguments: str) -> int:
    """Run a command in this process, without drawing a report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.report.write_report", lambda folder, lang: (folder / "report.html").write_text(lang))
        return run.main(arguments)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same comparison, never interrupted and in one shard."""
    folder = tmp_path_factory.mktemp("whole") / "result"
    assert door(*COMPARE, "--out", str(folder)) == 0
    return folder


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own; whatever is left of it at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", DOOR, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finished(folder: Path) -> list[str]:
    shards = folder / "shards"
    return sorted(path.name for path in shards.iterdir() if path.suffix != ".part") if shards.is_dir() else []


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until ``what`` holds; a process that ends first, or a minute, is a failure."""
    end = time.monotonic() + 60
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def status(folder: Path) -> str:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["status"]


def assert_same(folder: Path, whole: Path) -> None:
    assert status(folder) == "complete"
    assert not (folder / "shards").exists()
    for name in NAMES:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_comparison_killed_twice_resumes_to_the_same_bytes(tmp_path: Path, whole: Path):
    folder = tmp_path / "killed"
    done = 0
    for command in ((*COMPARE, "--out", str(folder)), ("resume", str(folder))):
        with started(ALONE, *command) as process:
            wait_for(lambda before=done: len(finished(folder)) >= before + 2, process)
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert done + 2 <= len(finished(folder)) < REPLICATES
        assert status(folder) == "running"
        done = len(finished(folder))
    half_written = folder / "shards" / "000009-000010.1.part"
    half_written.mkdir()
    (half_written / "outcomes.parquet").write_bytes(b"PAR1 cut short")
    assert door("resume", str(folder)) == 0
    assert_same(folder, whole)


DEADLY = f"""
import os, pathlib, shutil, signal, sys
sys.path.insert(0, {str(ROOT)!r})
home = {{"os": os, "Path": pathlib.Path, "shutil": shutil}}[sys.argv.pop(1)]
name, left = sys.argv.pop(1), int(sys.argv.pop(1))
original = getattr(home, name)


def deadly(*arguments, **options):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)


import run
import sim.ensemble
sim.ensemble.SHARD_RESIDENT_MONTHS = 1
setattr(home, name, deadly)
run.main(sys.argv[1:])
"""
"""The same, but the process kills itself at the n-th call of a function."""


@pytest.mark.parametrize(
    ("moment", "shards", "state"),
    [
        (("Path", "rename", "3"), 2, "running"),
        pytest.param(("os", "replace", "7"), REPLICATES, "running", marks=pytest.mark.slow),
        pytest.param(("os", "replace", "12"), REPLICATES, "running", marks=pytest.mark.slow),
        (("shutil", "rmtree", "1"), REPLICATES, "complete"),
    ],
    ids=["a shard not yet in place", "half of the tables", "all but the manifest", "all but the report"],
)
def test_a_kill_at_the_worst_moment_loses_nothing_finished(
    tmp_path: Path, whole: Path, moment: tuple[str, str, str], shards: int, state: str
):
    folder = tmp_path / "worst"
    command = [sys.executable, "-c", DEADLY, *moment, *COMPARE, "--out", str(folder)]
    killed = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(finished(folder)) == shards
    assert status(folder) == state
    assert not (folder / "report.html").exists()
    assert door("resume", str(folder)) == 0
    assert_same(folder, whole)
    assert (folder / "report.html").is_file()


def children(pid: int) -> list[int]:
    """Return the processes that any thread of ``pid`` started and that run shards."""
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            if "LokyProcess" in Path(f"/proc/{child}/cmdline").read_bytes().decode():
                found.append(int(child))
    return found


def test_a_killed_worker_ends_the_run_with_how_to_go_on(tmp_path: Path, whole: Path):
    """Finds the workers in /proc, as Linux has it."""
    folder = tmp_path / "worker"
    with started(WITH_WORKERS, *COMPARE, "--workers", "2", "--out", str(folder)) as process:
        wait_for(lambda: len(finished(folder)) >= 2, process)
        workers = children(process.pid)
        assert workers
        os.kill(workers[0], signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
    done = len(finished(folder))
    assert 2 <= done < REPLICATES
    assert "Traceback" not in err
    said = re.findall(r"^only (\d+) of (\d+) .*; resume with: (.*)$", err, re.MULTILINE)
    assert [(int(n) <= done, total, command) for n, total, command in said] == [
        (True, str(REPLICATES), f"jobveje resume {folder}")
    ]
    assert out == ""
    assert status(folder) == "running"
    assert door("resume", str(folder), "--workers", "1") == 0
    assert_same(folder, whole)


def test_the_interrupt_key_prints_how_to_go_on(tmp_path: Path, whole: Path):
    folder = tmp_path / "interrupted"
    with started(ALONE, *COMPARE, "--out", str(folder)) as process:
        wait_for(lambda: len(finished(folder)) >= 2, process)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"interrupted; resume with: jobveje resume {folder}"
    assert out == ""
    assert door("resume", str(folder)) == 0
    assert_same(folder, whole)
