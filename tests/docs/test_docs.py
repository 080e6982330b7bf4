"""What the documents and docstrings show is run: doctests, and every block of every README."""

import contextlib
import doctest
import importlib
import io
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import run
from sim.locale import LANGUAGES, messages
from sim.scenario import Scenario

ROOT = Path(run.__file__).parent
MODULES = [
    "run",
    *(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("sim", "calibration")
        for path in sorted((ROOT / package).rglob("*.py"))
    ),
]
READMES = [
    name
    for name in (
        "README.md",
        "sim/README.md",
        "scenarios/README.md",
        "calibration/README.md",
        "calibration/panel/README.md",
        "calibration/panel/example/README.md",
    )
    if (ROOT / name).is_file()
]
ELSEWHERE = "<!-- run by .ci/run -->"
"""Stands right above a block that needs a fresh environment, which `.ci/run` makes."""
SHELL = ("sh", "console")


class Block(NamedTuple):
    """A fenced block of a document."""

    kind: str
    text: str
    line: int
    elsewhere: bool


def blocks_of(document: str) -> list[Block]:
    """Return the fenced blocks of a document in order; a fence that is never closed is a fault."""
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    inside: list[str] = []
    above = ""
    for number, line in enumerate(document.splitlines(), start=1):
        if opened is None and line.lstrip().startswith("```"):
            opened, inside = (line.strip().removeprefix("```").strip(), number), []
        elif opened is not None and line.strip() == "```":
            found.append(Block(opened[0], "\n".join(inside) + "\n", opened[1], above == ELSEWHERE))
            opened, above = None, ""
        elif opened is not None:
            inside.append(line)
        elif line.strip():
            above = line.strip()
    assert opened is None, f"line {opened and opened[1]}: the block is never closed"
    return found


def commands_of(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a shell block with the output shown for each.

    In a console block commands begin with ``$`` and the rest is output; in a shell block every line is a command.
    """
    text = re.sub(r"\\\n\s*", "", block.text)
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if block.kind == "console" and not line.startswith("$ "):
            assert found, f"line {block.line}: output without a command"
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
        elif line.strip() and not line.startswith("#"):
            found.append((line.removeprefix("$ "), ""))
    return found


def run_command(command: str, expected: str) -> None:
    """Run a command of ours in this process; it must end well and print what is shown (``...`` for anything)."""
    words = shlex.split(command, comments=True)
    own = 1 if words[:1] == ["jobveje"] else 2 if words[:2] == ["python", "run.py"] else 0
    assert own, f"not a command of ours: {command}"
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", words[own - 1 :])
        assert run.main(words[own:]) == 0, f"{command}\n{err.getvalue()}"
    if expected.strip():
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(expected, out.getvalue(), flags), out.getvalue()


def run_block(block: Block, names: dict[str, Any], document: str) -> None:
    """Run one block, or read it when it is a scenario file."""
    if block.elsewhere:
        assert block.kind in SHELL
    elif block.kind == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile("\n" * block.line + block.text, document, "exec"), names)
    elif block.kind in SHELL:
        for command, expected in commands_of(block):
            run_command(command, expected)
    elif block.kind == "yaml":
        file = Path(f"block_{block.line}.yaml")
        file.write_text(block.text, encoding="utf-8")
        assert Scenario.read(file).title.keys() == set(LANGUAGES)
    else:
        pytest.fail(f"{document}:{block.line}: no test knows what to do with a block of kind {block.kind!r}")


def run_document(document: str, name: str) -> None:
    """Run the blocks of a document in order; its Python blocks share their names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(document):
        run_block(block, names, name)


# --- documents


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBVEJE_LANG", raising=False)
    return tmp_path


def test_there_are_documents_with_blocks_of_every_kind():
    assert {"README.md", "scenarios/README.md"} <= set(READMES)
    kinds = {block.kind for name in READMES for block in blocks_of((ROOT / name).read_text(encoding="utf-8"))}
    assert {"python", "sh", "yaml"} <= kinds


@pytest.mark.parametrize("name", READMES)
def test_every_block_of_a_document_runs(name: str, empty: Path):
    run_document((ROOT / name).read_text(encoding="utf-8"), name)


@pytest.mark.parametrize("name", READMES)
def test_every_link_of_a_document_leads_somewhere(name: str):
    document = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / name).parent / target).exists(), target


@pytest.mark.parametrize("name", READMES)
def test_the_commands_and_options_a_document_names_exist(name: str):
    document = (ROOT / name).read_text(encoding="utf-8")
    commands = {
        command.name or command.callback.__name__ for command in run.app.registered_commands if command.callback
    }
    named = re.findall(r"`(?:jobveje|python run\.py) ([a-z]+)\b", document)
    assert set(named) <= commands


def test_ci_runs_the_blocks_that_are_left_to_it():
    marked = {name: (ROOT / name).read_text(encoding="utf-8").count(ELSEWHERE) for name in READMES}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {name for name, count in marked.items() if count} == {"README.md"}
    for number in range(1, marked["README.md"] + 1):
        assert f'"$(line {number})"' in script


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("```python\nassert False\n```\n", AssertionError),
        ("```python\nimport nothing_of_the_kind\n```\n", ImportError),
        ("```sh\njobveje list nothing\n```\n", AssertionError),
        ("```sh\nls\n```\n", AssertionError),
        ("```console\n$ jobveje check baseline\nbaseline: forkert\n```\n", AssertionError),
        ("```console\nbaseline: i orden\n```\n", AssertionError),
        ("```yaml\nschema: scenario/1\n```\n", Exception),
        ("```ruby\nputs 1\n```\n", pytest.fail.Exception),
        ("```\nplain\n```\n", pytest.fail.Exception),
        ("```python\n1\n", AssertionError),
        (f"{ELSEWHERE}\nwords between\n```sh\nls\n```\n", AssertionError),
        (f"{ELSEWHERE}\n```python\n1\n```\n", AssertionError),
    ],
)
def test_a_wrong_block_is_found(document: str, fault: type[BaseException], empty: Path):
    with pytest.raises(fault):
        run_document(document, "wrong.md")


def test_right_blocks_run(empty: Path):
    document = (
        "```python\nx = 2\n```\nwords\n```python\nassert x == 2\n```\n"
        "```console\n$ jobveje check \\\n    baseline   # a comment\nbaseline: i orden\n"
        "$ python run.py list scenarios --lang en\nid ...\n```\n"
        f"{ELSEWHERE}\n\n```sh\npip install .\n```\n"
    )
    assert [block.kind for block in blocks_of(document)] == ["python", "python", "console", "sh"]
    run_document(document, "right.md")


# --- docstrings and texts


def modules() -> list[ModuleType]:
    return [importlib.import_module(name) for name in MODULES]


def test_the_examples_in_docstrings_are_true(empty: Path):
    tried = 0
    with contextlib.redirect_stderr(io.StringIO()):
        for module in modules():
            result = doctest.testmod(module)
            assert result.failed == 0, module.__name__
            tried += result.attempted
    assert tried >= 10


def test_every_module_says_what_it_is_for():
    for module in modules():
        assert module.__doc__, module.__name__


def test_every_text_of_the_command_line_exists_in_both_languages_and_is_used():
    door = (ROOT / "run.py").read_text(encoding="utf-8")
    used = set(re.findall(r"""(?:_t\("|text\("cli\.)(\w+)""", door))
    used |= {f"help_{word}" for word in ("Usage", "Options", "Commands", "Arguments")}
    columns = set(re.findall(r'"(\w+)"', door))
    for key, words in messages("cli").items():
        assert set(words) == set(LANGUAGES), key
        assert all(words[lang].strip() for lang in LANGUAGES), key
        fields = [set(re.findall(r"{(\w+)}", words[lang])) for lang in LANGUAGES]
        assert fields[0] == fields[1], key
        assert key in used or key.removeprefix("col_") in columns, key
