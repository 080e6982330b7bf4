"""The door to Jobveje: parses the command line, calls the library, prints.

``python run.py COMMAND`` and ``jobveje COMMAND`` are the same. Results go to stdout, progress and problems to stderr.
Exit codes: 0 fine, 1 our fault, 2 bad input or usage, 3 partial, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.errors import InputError, ParameterError, Problem, ResultError, ScenarioError, nearest
from sim.locale import LANGUAGES, default_language, number, percent, text

if TYPE_CHECKING:
    import pandas as pd

    from calibration import Validation
    from calibration.calibration import Calibration
    from sim.ensemble import Job
    from sim.evaluation import Evaluation
    from sim.results import Result
    from sim.scenario import Scenario


def spoken(arguments: Sequence[str]) -> str:
    """Return the language asked for on the command line, else that of JOBVEJE_LANG, else Danish."""
    for i, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--lang":
            asked = value or (arguments[i + 1] if i + 1 < len(arguments) else "")
            return asked if asked in LANGUAGES else default_language()
    return default_language()


_HELP_LANG = spoken(sys.argv[1:])


def _t(key: str, **values: object) -> str:
    return text(f"cli.{key}", _HELP_LANG, **values)


app = typer.Typer(
    help=_t("app"), add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)

What = Annotated[str, typer.Argument(metavar="WHAT", help=_t("arg_what"), show_default=False)]
Files = Annotated[list[str], typer.Argument(metavar="FILE", help=_t("arg_files"), show_default=False)]
File = Annotated[str, typer.Argument(metavar="FILE", help=_t("arg_file"), show_default=False)]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help=_t("arg_folder"), show_default=False)]
Against = Annotated[str, typer.Option("--against", metavar="BASE", help=_t("opt_against"), show_default=False)]
Diff = Annotated[str | None, typer.Option("--diff", metavar="OTHER", help=_t("opt_diff"))]
Set = Annotated[list[str] | None, typer.Option("-s", "--set", metavar="KEY=VALUE", help=_t("opt_set"))]
SetCompared = Annotated[list[str] | None, typer.Option("-s", "--set", metavar="KEY=VALUE", help=_t("opt_set_compare"))]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_t("opt_out"))]
EvaluationOut = Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_t("opt_out_evaluate"))]
Force = Annotated[bool, typer.Option("--force", help=_t("opt_force"))]
Replicates = Annotated[int, typer.Option("--replicates", metavar="N", help=_t("opt_replicates"))]
Draws = Annotated[int, typer.Option("--draws", metavar="N", help=_t("opt_draws"))]
DrawsCompared = Annotated[
    int | None, typer.Option("--draws", metavar="N", help=_t("opt_draws_compare"), show_default=False)
]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", help=_t("opt_workers"))]
Participants = Annotated[
    int, typer.Option("--participants", metavar="N", help=_t("opt_participants"), show_default=False)
]
Studies = Annotated[int, typer.Option("--studies", metavar="N", help=_t("opt_studies"))]
Design = Annotated[str, typer.Option("--design", metavar="did", help=_t("opt_design"))]
SetName = Annotated[str | None, typer.Argument(metavar="SET", help=_t("arg_set"), show_default=False)]
Parts = Annotated[list[str] | None, typer.Option("--part", metavar="PART", help=_t("opt_part"))]
ValidationOut = Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_t("opt_out_validate"))]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help=_t("opt_seed"))]
Lang = Annotated[str | None, typer.Option("--lang", metavar="da|en", help=_t("opt_lang"))]
CalibrationOut = Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_t("opt_out_calibrate"))]
Structures = Annotated[list[str] | None, typer.Option("--structure", metavar="NAME", help=_t("opt_structure"))]
Evidence = Annotated[Path | None, typer.Option("--targets", metavar="CSV", help=_t("opt_targets"))]
NetCdf = Annotated[bool, typer.Option("--netcdf", help=_t("opt_netcdf"))]
PanelFile = Annotated[Path | None, typer.Option("--panel", metavar="FILE", help=_t("opt_panel"))]
MovesFile = Annotated[Path | None, typer.Option("--moves", metavar="CSV", help=_t("opt_moves"))]
Covariates = Annotated[list[str] | None, typer.Option("--covariate", metavar="NAME", help=_t("opt_covariate"))]
Cuts = Annotated[list[float] | None, typer.Option("--cut", metavar="T", help=_t("opt_cut"))]
Exact = Annotated[list[str] | None, typer.Option("--exact", metavar="STATE", help=_t("opt_exact"))]
PersonColumn = Annotated[str | None, typer.Option("--person", metavar="NAME", help=_t("opt_person"))]
TimeColumn = Annotated[str | None, typer.Option("--time", metavar="NAME", help=_t("opt_time"))]
StateColumn = Annotated[str | None, typer.Option("--state", metavar="NAME", help=_t("opt_state"))]
TimeUnit = Annotated[str | None, typer.Option("--unit", metavar="UNIT", help=_t("opt_unit"))]
Sensitivity = Annotated[bool, typer.Option("--sensitivity/--no-sensitivity", help=_t("opt_sensitivity"))]
TryPeople = Annotated[bool, typer.Option("--people-sensitivity", help=_t("opt_people_sensitivity"))]
Json = Annotated[bool, typer.Option("--json", help=_t("opt_json"))]


@app.command("list", help=_t("list"))
def list_(what: What, lang: Lang = None, as_json: Json = False) -> None:
    """Print one part of the catalogue."""
    from sim.catalogue_rows import ROWS, on_screen

    lang = _language(lang)
    if what not in ROWS:
        raise InputError([_wrong_choice("WHAT", what, list(ROWS))])
    rows = ROWS[what](lang)
    _print_rows(rows if as_json else on_screen(what, rows), as_json)


@app.command(help=_t("check"))
def check(files: Files, lang: Lang = None, as_json: Json = False) -> None:
    """Validate scenario files; every problem of every file is named."""
    from sim.scenario import Scenario

    lang = _language(lang)
    problems: list[Problem] = []
    fine = []
    for file in files:
        with _noting(problems):
            fine.append({"file": file, "id": Scenario.read(file).id})
    if as_json:
        _print_json({"fine": fine, "problems": [problem.render(lang) for problem in problems]})
    else:
        for found in fine:
            print(text("cli.fine", lang, file=found["file"]))
    if problems:
        raise ScenarioError(problems)


@app.command(help=_t("schema"))
def schema() -> None:
    """Print the JSON Schema of scenario files."""
    from sim.scenario import json_schema

    _print_json(json_schema())


@app.command(help=_t("show"))
def show(file: File, diff: Diff = None, set_: Set = None, lang: Lang = None, as_json: Json = False) -> None:
    """Print a resolved scenario, or what differs from another."""
    from sim.scenario import Scenario

    lang = _language(lang)
    scenario = Scenario.read(file, set_ or ())
    if diff is not None:
        other = Scenario.read(diff)
        same = scenario.id == other.id
        here, there = (f"{s.id} ({n})" if same else s.id for n, s in enumerate((scenario, other), start=1))
        absent = None if as_json else "–"
        rows = [
            {"key": key, **{id: absent if value is None else _whole(value) for id, value in ((here, a), (there, b))}}
            for key, a, b in scenario.diff(other)
        ]
        if not rows and not as_json:
            print(text("cli.same", lang))
            return
    else:
        origins = {"default": text("cli.origin_default", lang), "card": text("cli.origin_card", lang)}
        rows = [
            {
                "key": key,
                "value": _whole(value),
                "origin": re.sub(r"^(default|card)\b", lambda m: origins[m[0]], origin),
            }
            for key, value, origin in scenario.rows()
        ]
    names = {name: text(f"cli.col_{name}", lang) for name in ("key", "value", "origin")}
    _print_rows(rows, as_json, names)


@app.command(help=_t("run"))
def run(
    file: File,
    set_: Set = None,
    out: Out = None,
    force: Force = False,
    replicates: Replicates = 20,
    draws: Draws = 1,
    workers: Workers = None,
    seed: Seed = 1,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Run one scenario."""
    from sim.ensemble import Job
    from sim.scenario import Scenario

    lang = _language(lang)
    scenario = Scenario.read(file, set_ or ())
    _numbers_fine(replicates, draws, workers, seed, scenario.parameters)
    job = Job.plan([scenario], None, seed, replicates, draws=draws)
    _carry_out(job, _folder(out, scenario.id, force), workers, lang, as_json, {"scenario": set_ or []})


@app.command(help=_t("compare"))
def compare(
    files: Files,
    against: Against,
    set_: SetCompared = None,
    out: Out = None,
    force: Force = False,
    replicates: Replicates = 10,
    draws: DrawsCompared = None,
    sensitivity: Sensitivity = True,
    people_sensitivity: TryPeople = False,
    workers: Workers = None,
    seed: Seed = 1,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Compare scenarios with a base."""
    from sim.ensemble import Job, check_shared, usual_draws
    from sim.scenario import Scenario

    lang = _language(lang)
    shared = [s for s in set_ or [] if re.match(r"\s*(population|horizon|parameters)\b", s)]
    read: list[Scenario] = []
    problems: list[Problem] = []
    for file, overrides in [(against, shared), *((file, set_ or []) for file in files)]:
        with _noting(problems):
            read.append(Scenario.read(file, overrides))
    if problems:
        raise ScenarioError(problems)
    base, *compared = read
    check_shared(compared, base)
    _numbers_fine(replicates, 1 if draws is None else draws, workers, seed, base.parameters)
    job = Job.plan(
        read,
        base.id,
        seed,
        replicates,
        sensitivity=sensitivity or people_sensitivity,
        try_people=people_sensitivity,
        draws=usual_draws(base) if draws is None else draws,
    )
    changed = {"compared": set_ or [], "base": shared}
    _carry_out(job, _folder(out, compared[0].id, force), workers, lang, as_json, changed)


@app.command(help=_t("resume"))
def resume(folder: Folder, workers: Workers = None, lang: Lang = None, as_json: Json = False) -> None:
    """Finish an interrupted run or comparison."""
    from sim.ensemble import job_of

    lang = _language(lang)
    _numbers_fine(1, 1, workers)
    job, manifest = job_of(folder)
    _finish(job, folder, manifest, workers, lang, as_json)


@app.command("evaluate", help=_t("evaluate"))
def evaluate_(
    file: File,
    participants: Participants,
    design: Design = "did",
    set_: Set = None,
    replicates: Replicates = 20,
    studies: Studies = 400,
    out: EvaluationOut = None,
    force: Force = False,
    workers: Workers = None,
    seed: Seed = 1,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Evaluate a scenario as the source evaluated real areas."""
    from sim.evaluation import EVALUATION, evaluate
    from sim.scenario import Scenario

    lang = _language(lang)
    scenario = Scenario.read(file, set_ or ())
    if out is not None and out.exists() and not (force and (out / EVALUATION).is_file()):
        raise ResultError([Problem("folder_exists", values={"folder": out})])
    options = {name.lstrip("-"): name for name in _EVALUATE_OPTIONS}
    with _bar(text("cli.progress", lang), text("cli.unit_part", lang)) as advance, _named_as(options):
        found = evaluate(scenario, participants, replicates, seed, workers, studies, design, advance)
    if out is not None:
        found.save(out, lang)
    if as_json:
        _print_json(found.to_dict())
    else:
        _print_evaluation(found, lang)


@app.command("validate", help=_t("validate"))
def validate_(
    set_name: SetName = None,
    targets: Evidence = None,
    part: Parts = None,
    out: ValidationOut = None,
    force: Force = False,
    workers: Workers = None,
    seed: Seed = 1,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Score what each structure says of published shares it was not fitted to."""
    from calibration.threads import one_thread

    one_thread()
    from calibration import Targets, validate
    from calibration.holdouts import PARTS

    lang = _language(lang)
    if out is not None and out.exists() and not (force and (out / "scores.csv").is_file()):
        raise ResultError([Problem("folder_exists", values={"folder": out})])
    structures = None if set_name in (None, "default") else [str(set_name)]
    used = workers if workers is not None else os.cpu_count() or 1
    options = {"seed": "--seed", "workers": "--workers", "part": "--part"}
    with _bar(text("cli.progress_fits", lang), text("cli.unit_fit", lang)) as advance, _named_as(options):
        evidence = Targets.read(targets)
        found = validate(structures, targets=evidence, seed=seed, workers=used, parts=part or PARTS, progress=advance)
    if out is not None:
        found.save(out, lang)
    if as_json:
        _print_json(found.to_dict())
        return
    _print_validation(found, lang)
    if out is not None:
        print(text("cli.written_scores", lang, folder=out))


@app.command("calibrate", help=_t("calibrate"))
def calibrate_(
    structure: Structures = None,
    targets: Evidence = None,
    out: CalibrationOut = None,
    force: Force = False,
    netcdf: NetCdf = False,
    workers: Workers = None,
    panel: PanelFile = None,
    moves: MovesFile = None,
    covariate: Covariates = None,
    cut: Cuts = None,
    exact: Exact = None,
    person: PersonColumn = None,
    time: TimeColumn = None,
    state: StateColumn = None,
    unit: TimeUnit = None,
    seed: Seed = 1,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Make the posterior of one structure, or of all; or fit panel data."""
    from calibration.threads import one_thread

    one_thread()
    of_panel: dict[str, Any] = {"moves": moves, "covariates": covariate, "cuts": cut, "exact": exact}
    of_panel |= {"person": person, "time": time, "state": state, "unit": unit}
    given = {name: value for name, value in of_panel.items() if value is not None}
    if panel is not None:
        others = {"--structure": structure, "--targets": targets, "--netcdf": netcdf or None, "--workers": workers}
        wrong = [Problem("panel_together", key=option) for option, value in others.items() if value is not None]
        _calibrate_panel({"panel": panel, "moves": None, **given}, wrong, out, force, seed, _language(lang), as_json)
        return
    if given:
        raise InputError([Problem("panel_without", key=f"--{_PANEL_OPTIONS.get(name, name)}") for name in given])
    from calibration import calibration, export, figures, sheet
    from calibration.structures import STRUCTURES
    from calibration.targets import Targets

    options = {"--targets": targets, "--workers": workers, "--seed": seed, "--lang": lang}
    again = [f"--structure={name}" for name in structure or ()]
    again += [f"{option}={value}" for option, value in options.items() if value is not None]
    again += [option for option, chosen in (("--netcdf", netcdf), ("--json", as_json)) if chosen]
    lang = _language(lang)
    names = list(dict.fromkeys(structure or STRUCTURES))
    problems = [_wrong_choice("--structure", name, list(STRUCTURES)) for name in names if name not in STRUCTURES]
    with _noting(problems):
        _numbers_fine(1, 1, workers, seed)
    if netcdf:
        with _noting(problems):
            export.installed()
    with _noting(problems):
        evidence = Targets.read(targets)
        calibration.check(evidence)
    if problems:
        raise InputError(problems)
    folder = _calibration_folder(out, calibration.settings_of(names, evidence, seed), force)

    def write(one: Calibration) -> None:
        sheet.write_sheet(one, folder, lang)
        figures.write_figures(one, folder / calibration.FIGURES, lang)
        if netcdf:
            export.write_netcdf(one, folder)

    try:
        found = calibration.calibrate_into(
            folder,
            names,
            targets=evidence,
            seed=seed,
            workers=workers or os.cpu_count() or 1,
            bars=lambda name: [f"{name}: {text(f'calibration.block_{block}', lang)}" for block in calibration.BLOCKS],
            done=write,
        )
    except KeyboardInterrupt:
        command = shlex.join([*_door(), "calibrate", *again, "--out", str(folder)])
        print("\n" + Problem("interrupted", values={"command": command}).render(lang), file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        _print_json({"folder": str(folder), "structures": [one.summary() for one in found]})
    else:
        _print_calibrations(found, folder, lang)
    if not all(one.converged for one in found):
        print(text("cli.rules_not_met", lang), file=sys.stderr)
        raise typer.Exit(3)


_PANEL_OPTIONS = {"covariates": "covariate", "cuts": "cut"}
"""Options that may be repeated, by what the library calls them."""


def _calibrate_panel(
    asked: dict[str, Any],
    problems: list[Problem],
    out: Path | None,
    force: bool,
    seed: int,
    lang: str,
    as_json: bool,
) -> None:
    """Fit a multi-state model to panel data and write its folder; nothing is written before it is fitted."""
    import warnings

    from calibration.panel import command
    from calibration.panel.identification import PanelWarning

    with _noting(problems):
        _numbers_fine(1, 1, None, seed)
    if out is not None:
        command.usable(out, force)
    wanted = command.Asked(**asked, seed=seed)
    options = {"exact": "--exact", "cuts": "--cut"}
    bar = _bar(text("panel.progress", lang), text("panel.unit_start", lang))
    with bar as advance, _named_as(options), warnings.catch_warnings():
        # The summary says the same in the language asked for.
        warnings.simplefilter("ignore", PanelWarning)
        fit = command.fit_file(wanted, advance, problems)
    folder = _folder(None, "panel", force) if out is None else out
    draws = command.write_folder(fit, wanted, folder, lang, shlex.join(["jobveje", *sys.argv[1:]]))
    if as_json:
        _print_json({"folder": str(folder), "draws": draws} | command.as_plain(fit, lang))
        return
    print(fit.summary(lang))
    kind = "draws_plain" if draws["structure"] is None else "draws_written"
    print(text(f"panel.{kind}", lang, folder=folder, **{**draws, "number": number(draws["number"], lang)}))
    print(text("panel.written", lang, folder=folder, lang=lang))


def _calibration_folder(out: Path | None, settings: dict[str, Any], force: bool) -> Path:
    """Return the folder of a calibration: a new one, one that was killed, or with force one that is replaced."""
    from calibration.calibration import clear, is_calibration, unfinished

    if out is None or not out.exists():
        return _folder(out, "calibration", force)
    if unfinished(out, settings):
        return out
    if not force:
        raise ResultError([Problem("folder_exists", values={"folder": out})])
    if not out.is_dir() or (any(out.iterdir()) and not is_calibration(out)):
        raise ResultError([Problem("not_a_calibration", values={"folder": out})])
    clear(out)
    return out


def _print_calibrations(found: Sequence[Calibration], folder: Path, lang: str) -> None:
    """Print how each structure fits, block by block, how the sampler did, and what the data do not tell."""
    rows = []
    for one in found:
        for name, block in one.summary()["blocks"].items():
            label = text(f"calibration.block_{name}", lang)
            row = {"structure": one.structure, "block": label}
            row |= {"chi_square": number(block["chi_square"], lang, 1)}
            row |= {"degrees": number(block["degrees"], lang, 1)}
            alone = block["within_rounding"]
            row |= {"within_rounding": "–" if alone is None else number(alone, lang, 1)}
            four = block.get("four_state")
            row |= {"four_state": "" if four is None else number(four, lang, 1)}
            row |= {"r_hat": number(block["r_hat"], lang, 3), "effective": number(block["effective"], lang)}
            rows.append(row)
    _print_rows(rows, False, _headings(list(rows[0]), lang))
    print()
    print(text("cli.note_chi_square", lang))
    for one in found:
        summary = one.summary()
        inside = {"inside": summary["within"], "fitted": summary["fitted"]}
        print(text("cli.note_within", lang, structure=one.structure, **inside))
        print(text("cli.note_prior_dominated", lang, ids=", ".join(summary["prior_dominated"]) or "–"))
    print(text("cli.note_use_draws", lang, folder=folder))


_EVALUATE_OPTIONS = ("--participants", "--replicates", "--seed", "--workers", "--studies", "--design")
"""Options of ``evaluate`` that the library checks, which names them without dashes."""


@contextlib.contextmanager
def _noting(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of bad input to ``problems`` instead of stopping, so that all of them are told at once."""
    try:
        yield
    except InputError as error:
        problems += [problem for problem in error.problems if problem not in problems]


@contextlib.contextmanager
def _named_as(options: Mapping[str, str]) -> Iterator[None]:
    """Name settings that the library checks as the command line does."""
    try:
        yield
    except InputError as error:
        raise InputError([replace(p, key=options.get(p.key, p.key)) for p in error.problems]) from error


@contextlib.contextmanager
def _bar(words: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows (done, of all) as a progress bar, from its first call on."""
    from tqdm import tqdm

    with contextlib.ExitStack() as shown:
        bars: list[tqdm] = []

        def advance(done: int, of_all: int) -> None:
            if not bars:
                bars.append(shown.enter_context(tqdm(total=of_all, desc=words, unit=unit, file=sys.stderr)))
            bars[0].total = of_all
            bars[0].update(done - bars[0].n)

        yield advance


def _language(lang: str | None) -> str:
    if lang is not None and lang not in LANGUAGES:
        raise InputError([_wrong_choice("--lang", lang, LANGUAGES)])
    return lang or default_language()


def _wrong_choice(key: str, value: str, allowed: Sequence[str]) -> Problem:
    values = {"value": value, "allowed": ", ".join(allowed)}
    return Problem("choice", key=key, values=values, nearest=nearest(value, allowed))


def _numbers_fine(
    replicates: int, draws: int, workers: int | None, seed: int = 0, parameters: str | None = None
) -> None:
    """Refuse numbers that cannot be used, all at once; ``parameters`` names the set that is drawn from."""
    from sim.parameters import deal

    given = {
        "--replicates": (replicates, 1),
        "--draws": (draws, 1),
        "--workers": (1 if workers is None else workers, 1),
        "--seed": (seed, 0),
    }
    problems = [
        Problem("whole_at_least", key=key, values={"value": value, "low": low})
        for key, (value, low) in given.items()
        if value < low
    ]
    if draws > 1 and parameters is not None:
        try:
            deal(parameters, draws)
        except ParameterError as error:
            problems += [replace(p, key="--draws") if p.key == "draw" else p for p in error.problems]
    if problems:
        raise InputError(problems)


def _folder(out: Path | None, id: str, force: bool) -> Path:
    """Return the new folder of the result; an existing one only with force, and only if empty or a result."""
    from sim.results import MANIFEST, OWN_FILES, PLOTS

    if out is None:
        for n in range(1, 10_000):
            folder = Path("results") / f"{id}-{n:02d}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                return folder
        raise ResultError([Problem("folder_exists", values={"folder": folder})])
    if out.exists():
        if not force or not out.is_dir():
            raise ResultError([Problem("folder_exists", values={"folder": out})])
        if not (out / MANIFEST).is_file() and any(out.iterdir()):
            raise ResultError([Problem("not_a_result", values={"folder": out})])
        figure = re.compile(rf"({'|'.join(PLOTS)})(-[a-z0-9_]+)?[.](svg|csv)")
        figures = [path for path in (out / "figures").glob("*") if figure.fullmatch(path.name)]
        for path in (*figures, *(out / name for name in OWN_FILES)):
            path.unlink(missing_ok=True)
        shutil.rmtree(out / "shards", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    return out


def _carry_out(
    job: Job, folder: Path, workers: int | None, lang: str, as_json: bool, overrides: dict[str, list[str]]
) -> None:
    from sim.ensemble import start

    manifest = start(job, folder, shlex.join(["jobveje", *sys.argv[1:]]), overrides)
    _finish(job, folder, manifest, workers, lang, as_json)


def _door() -> list[str]:
    """Return the words the program was started with, for the command that goes on."""
    return ["python", sys.argv[0]] if Path(sys.argv[0]).name == "run.py" else ["jobveje"]


def _finish(job: Job, folder: Path, manifest: dict[str, Any], workers: int | None, lang: str, as_json: bool) -> None:
    from tqdm import tqdm

    from sim.ensemble import Unfinished, execute
    from sim.report import write_report

    again = shlex.join([*_door(), "resume", str(folder)])
    bar = tqdm(
        total=job.resident_months,
        desc=text("cli.progress", lang),
        unit=text("cli.unit", lang),
        unit_scale=True,
        file=sys.stderr,
    )

    def advance(resident_months: int) -> None:
        bar.update(resident_months)

    try:
        with bar, _bar(text("cli.progress_tried", lang), text("cli.unit_tried", lang)) as show_tried:

            def tried(done: int, total: int) -> None:
                bar.close()
                show_tried(done, total)

            result = execute(job, folder, manifest, workers, advance, tried)
        write_report(folder, lang)
    except KeyboardInterrupt:
        print("\n" + Problem("interrupted", values={"command": again}).render(lang), file=sys.stderr)
        raise typer.Exit(130) from None
    except Unfinished as error:
        values = {"done": error.done, "total": error.total, "command": again}
        print(Problem("partial", values=values).render(lang), file=sys.stderr)
        raise typer.Exit(3) from error
    except OSError as error:
        error.filename = error.filename or str(folder)
        print(_file_trouble(error, lang), text("cli.kept", lang, command=again), file=sys.stderr)
        raise typer.Exit(1) from error
    if job.against is None:
        _print_run(result, folder, lang, as_json)
    else:
        _print_comparison(result, folder, lang, as_json)


def _print_comparison(result: Result, folder: Path, lang: str, as_json: bool) -> None:
    from sim.comparison import headlines
    from sim.report import pairing_words

    table = headlines(result)
    same = result.pairing["untouched_identical"]
    if as_json:
        pairing = {k: v for k, v in result.pairing.items() if k != "pairs"}
        found = {"folder": str(folder), "pairing": pairing, "differences": _records(table)}
        _print_json(found | _uncertainty(result))
    else:
        manifest = result.manifest
        for scenario in table["scenario"].unique():
            pair = {"scenario": scenario, "against": manifest["against"]}
            heading = "heading_compare_draws" if manifest["draws"] > 1 else "heading_compare"
            print(text(f"cli.{heading}", lang, **pair, **_size(manifest, lang)))
            _print_differences(_records(table[table["scenario"] == scenario]), lang)
            print()
        _print_places(result, lang)
        several = "note_compare_draws" if manifest["draws"] > 1 else "note_compare"
        kind = "note_single" if manifest["replicates"] == 1 else several
        print(text(f"cli.{kind}", lang), text("cli.note_points", lang))
        print(text("cli.note_assumed", lang, assumed=_assumed(result)))
        _print_parameters(result, table["month"].max(), lang)
        if same:
            print(pairing_words(result.pairing, {s["id"]: s["id"] for s in manifest["scenarios"]}, lang))
        print(text("cli.written", lang, folder=folder))
    if not same:
        print(text("cli.pairing_broken", lang), file=sys.stderr)
        raise typer.Exit(1)


def _print_differences(found: list[dict[Any, Any]], lang: str) -> None:
    """Print the measures that differ as a table, the intervals only where there are any, and name the others."""
    from sim.headline import computing_error
    from sim.measures import MEASURES

    rows, same = [], []
    intervals = {(row["measure"], row["interval"]): row for row in found}
    several = any(row["interval"] != "luck" for row in found)
    for row in (row for row in found if row["interval"] == "luck"):
        unit, label = MEASURES[row["measure"]].unit, MEASURES[row["measure"]].label(lang)
        among = _among(row["measure"], lang)
        if not any(row[name] for name in ("estimate", "low", "high")):
            same.append(f"{label}, {among}" if among else label)
            continue
        shown = {"measure": label, "month": row["month"], "against": _value(row["base"], unit, lang)}
        shown |= {"scenario": _value(row["mean"], unit, lang), "difference": _change(row["estimate"], unit, lang)}
        if row["se"] is not None:
            error = computing_error(row["se"], row["replicates"])
            shown["difference"] += " ± " + _change(error, unit, lang).lstrip("+")
            for name in ("parameters", "both") if several else ("luck",):
                limits = (intervals[row["measure"], name][end] for end in ("low", "high"))
                shown[name] = " … ".join(_change(limit, unit, lang) for limit in limits)
            shown["above"] = number(row["p_above_zero"], lang, 2)
        rows += _with_among(shown, among)
    if rows:
        ids = {name: found[0][name] for name in ("against", "scenario")}
        _print_rows(rows, False, _headings([name for name in rows[0] if name not in ids], lang) | ids)
    if same:
        print(text("cli.unchanged", lang, measures="; ".join(same)))


def _print_evaluation(found: Evaluation, lang: str) -> None:
    """Print the two odds ratios and the shares by year beside the published ones, and what they mean."""
    from sim.study import EVENT_YEARS

    size = {"scenario": found.scenario, "replicates": number(found.replicates, lang), "seed": found.seed}
    size |= {"pairs": number(found.pairs, lang), "residents": number(found.residents, lang)}
    print(text("cli.heading_evaluate", lang, **size))
    rows = []
    for key, effect in found.effects.items():
        row = {
            "effect": text("cli.effect_start", lang) if key == "start_year" else text("cli.effect_after", lang),
            "adjusted": number(effect.adjusted, lang, 2),
        }
        row["one_study"] = " … ".join(number(limit, lang, 2) for limit in (effect.low, effect.high))
        row |= {"published": number(effect.published_adjusted, lang, 2)}
        row |= {"unadjusted": number(effect.unadjusted, lang, 2)}
        rows.append(row | {"published_raw": number(effect.published_unadjusted, lang, 2)})
    _print_rows(rows, False, _headings(list(rows[0]), lang))
    print()
    simulated, published = found.paths, found.published_paths
    paths = {
        "control": simulated["control"],
        "control_published": published["control"],
        "treated": simulated["treated"],
        "treated_published": published["treated"],
    }
    by_year = [
        {"event_year": f"{event:+d}" if event else "0"}
        | {name: percent(path[at], lang) for name, path in paths.items()}
        for at, event in enumerate(EVENT_YEARS)
    ]
    _print_rows(by_year, False, _headings(list(by_year[0]), lang))
    print()
    start = found.effects["start_year"]
    limits = {"low": number(start.low, lang, 1), "high": number(start.high, lang, 1)}
    power = {"power": percent(start.power, lang, 0), "adjusted": number(start.adjusted, lang, 1)}
    print(text("cli.note_evaluate", lang, pairs=size["pairs"], **limits, **power))
    if found.false_positive_rate is not None:
        rate = percent(found.false_positive_rate, lang)
        print(text("cli.note_null", lang, rate=rate, studies=number(found.studies, lang)))
    print(text("cli.note_published", lang))


def _print_validation(found: Validation, lang: str) -> None:
    """Print the scores of every part side by side, what 2013 says of 2016 share by share, and who did best."""
    scores, cells, fits = (found.table(name) for name in ("scores", "cells", "fits"))
    for part in found.parts:
        table = scores[scores["part"] == part]
        if part == "temporal":
            print(text("cli.heading_temporal", lang, seed=found.seed))
        elif part == "by_origin":
            print(text("cli.heading_by_origin", lang))
        else:
            print(text("cli.heading_others", lang))
        _print_rows([_score_row(row, lang) for row in _records(table)], False, _headings(_SCORE_COLUMNS, lang))
        print()
        if part == "temporal":
            _print_temporal(cells[cells["part"] == part], lang)
            _print_winner(table, lang)
            for row in _records(fits[fits["part"] == part]):
                sampled = {"r_hat": number(row["r_hat"], lang, 3), "effective": number(row["effective"], lang)}
                fit = {"forecast": _forecast(row["forecast"], lang), "lost": row["prior_dominated"] or "–", **sampled}
                fit["told"] = len(row["prior_dominated"].split())
                print(text("cli.fit_of_2013", lang, **fit, parameters=number(row["parameters"], lang)))
                if not row["converged"]:
                    print(text("cli.not_converged", lang, forecast=fit["forecast"]))
            print()
    if "by_origin" in found.parts:
        print(text("cli.note_by_origin", lang))
    if "others" in found.parts:
        print(text("cli.note_others", lang))


_SCORE_COLUMNS = (
    "forecast",
    "cells",
    "log_score",
    "energy_score",
    "coverage_50",
    "coverage_90",
    "largest_miss",
    "skill_no_change",
    "skill_homogeneous",
)


def _forecast(name: str, lang: str) -> str:
    from calibration.structures import STRUCTURES

    if name in STRUCTURES:
        return text(f"report.structure_{name}", lang)
    return text("cli.forecast_no_change", lang) if name == "no_change" else text("cli.forecast_model", lang)


def _score_row(row: dict[Any, Any], lang: str) -> dict[str, str]:
    """Return a row of scores as it is shown; skill is the difference in log score with its standard error."""
    name = _forecast(row["forecast"], lang)
    if row["left_out"] == "danish":
        name = text("cli.without_danish", lang, forecast=name)
    elif row["left_out"] == "counted_otherwise":
        name = text("cli.counted_otherwise", lang, forecast=name)
    elif row["left_out"]:
        name = text("cli.without_non_western", lang, forecast=name)
    shown = {"forecast": name, "cells": number(row["cells"], lang), "log_score": number(row["log_score"], lang, 1)}
    shown["energy_score"] = number(row["energy_score"], lang, 1)
    shown |= {key: percent(row[key], lang, 0) for key in ("coverage_50", "coverage_90")}
    shown["largest_miss"] = number(row["largest_miss_points"], lang, 1)
    for key in ("skill_no_change", "skill_homogeneous"):
        skill, error = row.get(key), row.get(f"{key}_se")
        shown[key] = "–" if skill is None else _signed(skill, lang)
        if error is not None:
            shown[key] += f" ± {number(error, lang, 1)}"
    return shown


def _signed(value: float, lang: str) -> str:
    return ("+" if value > 0 else "") + number(value, lang, 1)


def _print_temporal(cells: pd.DataFrame, lang: str) -> None:
    """Print predicted minus published in points, a row a share and a column a forecast."""
    from sim.measures import MEASURES
    from sim.plots.labels import group_label

    print(text("cli.heading_misses", lang))
    rows = []
    for (group, measure), mine in cells.groupby(["group", "measure"], sort=False):
        first = mine.iloc[0]
        label = f"{group_label('cohort', str(group), lang)}: {MEASURES[str(measure)].label(lang)}"
        row = {"share": label if first["scored"] else label + " *", "published": percent(first["published"], lang, 0)}
        for one in _records(mine):
            outside = "" if one["inside_90"] else " !"
            row[_forecast(one["forecast"], lang)] = _signed(one["miss_points"], lang) + outside
        rows.append(row)
    _print_rows(rows, False, _headings(("share", "published"), lang))
    print(text("cli.note_misses", lang))
    print()


def _print_winner(table: pd.DataFrame, lang: str) -> None:
    """Say which forecast has the best scores, whichever it is, and how little so few shares can tell."""
    best = {key: _forecast(str(table.loc[index, "forecast"]), lang) for key, index in _best_of(table).items()}
    print(text("cli.winner", lang, **best), text("cli.note_few", lang))


def _best_of(table: pd.DataFrame) -> dict[str, Any]:
    return {"by_log": table["log_score"].idxmax(), "by_energy": table["energy_score"].idxmin()}


def _uncertainty(result: Result) -> dict[str, Any]:
    """Return what luck and the parameters do in each structure at the end; nothing with one draw of the parameters."""
    from sim.headline import told_uncertainty
    from sim.measures import MEASURES

    if "uncertainty" not in result.tables:
        return {}
    return {"uncertainty": _records(told_uncertainty(result.table("uncertainty"), list(MEASURES)))}


def _print_parameters(result: Result, last: str, lang: str) -> None:
    """Say which parameters were used, how much they leave open, and what nobody knows after the last data."""
    from sim.demand import YEARS
    from sim.headline import FOR_LEVELS, LAST_FITTED, headline_measures, told, told_band
    from sim.measures import MEASURES
    from sim.uncertainty import beyond_words, parameter_words, split_words

    manifest, uncertainty = result.manifest, result.tables.get("uncertainty")
    ids = {s["id"]: s["id"] for s in manifest["scenarios"]}
    print(parameter_words(manifest, lang))
    measures = list(FOR_LEVELS)
    if manifest["against"] is not None:
        differences = told_band(result.tables["differences"])
        measures = headline_measures(differences)
        for scenario in differences["scenario"].unique():
            shown, hidden = told(differences[differences["scenario"] == scenario])
            if uncertainty is not None and manifest["replicates"] > 1:
                for measure in [*shown, *hidden][:1]:
                    label = {"scenario": scenario, "measure": MEASURES[measure].label(lang)}
                    print(text("cli.split", lang, **label), *split_words(uncertainty, scenario, measure, lang))
    if last > LAST_FITTED:
        print(*beyond_words(uncertainty, manifest["against"] or next(iter(ids)), measures, ids, lang))
    if last > f"{YEARS[-1]}-12":
        print(text("cli.note_demand", lang, year=YEARS[-1]))


def _print_run(result: Result, folder: Path, lang: str, as_json: bool) -> None:
    from sim.headline import pooled
    from sim.measures import MEASURES

    table = result.table("summary", group_by="all")
    if as_json:
        _print_json({"folder": str(folder), "summary": _records(table)} | _uncertainty(result))
        return
    table = pooled(table)
    single = result.manifest["replicates"] == 1
    rows = []
    for key, measure in MEASURES.items():
        found = table[table["measure"] == key].sort_values("month")
        if not len(found):
            continue
        first, last = found.iloc[0], found.iloc[-1]
        shown = {
            "measure": measure.label(lang),
            "start": f"{_value(first['mean'], measure.unit, lang)} ({first['month']})",
            "end": f"{_value(last['mean'], measure.unit, lang)} ({last['month']})",
        }
        if not single:
            shown["spread"] = " … ".join(_value(last[p], measure.unit, lang) for p in ("p5", "p95"))
        rows += _with_among(shown, _among(key, lang))
    size = {"scenario": result.manifest["scenarios"][0]["id"], **_size(result.manifest, lang)}
    drawn = result.manifest["draws"] > 1
    heading = "heading_run_draws" if drawn else "heading_run_single" if single else "heading_run"
    print(text(f"cli.{heading}", lang, **size))
    _print_rows(rows, False, _headings(list(rows[0]), lang))
    print()
    _print_places(result, lang)
    note = "note_run_draws" if drawn else "note_run"
    notes = [] if single else [text(f"cli.{note}", lang)]
    print(*notes, text("cli.note_assumed", lang, assumed=_assumed(result)))
    _print_parameters(result, table["month"].max(), lang)
    print(text("cli.written", lang, folder=folder))


def _print_places(result: Result, lang: str) -> None:
    """Print one line for each activity item of each scenario: places in use, and who waits at the end."""
    from sim.report import occupancy, occupancy_words

    table = result.table("queues")
    if len(table):
        for row in _records(occupancy(table)):
            waiting = text("cli.waiting_left", lang, waiting=number(row["left"], lang, 1))
            print(occupancy_words(row, lang, row["activity"], row["scenario"]), waiting)
        print()


def _among(key: str, lang: str) -> str:
    """Say who is counted in a measure when that is not everybody."""
    from sim.measures import MEASURES

    population = MEASURES[key].population(lang)
    everybody = MEASURES[key].unit != "share" or population == MEASURES["employed"].population(lang)
    return "" if everybody else text("cli.among", lang, population=population)


def _with_among(row: dict[str, Any], among: str) -> list[dict[str, Any]]:
    """Return the row of a measure, with who is counted on a line below."""
    return [row, {**dict.fromkeys(row, ""), "measure": f"  {among}"}] if among else [row]


def _size(manifest: dict[str, Any], lang: str) -> dict[str, str]:
    residents = manifest["scenarios"][0]["population"]["residents"]
    sizes = {key: number(manifest[key], lang) for key in ("replicates", "draws")}
    return {**sizes, "residents": number(residents, lang)}


def _assumed(result: Result) -> int:
    return int(result.table("assumptions")["grade"].isin(["C", "D"]).sum())


def _headings(columns: Sequence[str], lang: str) -> dict[str, str]:
    return {name: text(f"cli.col_{name}", lang) for name in columns}


def _value(value: float, unit: str, lang: str) -> str:
    return percent(value, lang) if unit == "share" else number(value, lang, 1)


def _change(value: float, unit: str, lang: str) -> str:
    shown = number(100 * value if unit == "share" else value, lang, 2)
    return f"+{shown}" if value > 0 else shown


def _whole(value: object) -> object:
    """Return a whole number without decimals, anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _print_rows(rows: list[dict[str, Any]], as_json: bool, names: dict[str, str] | None = None) -> None:
    if as_json:
        _print_json(rows)
        return
    import pandas as pd

    table = pd.DataFrame(rows).rename(columns=names or {})
    print(_plain(table))


def _plain(table: pd.DataFrame) -> str:
    """Return the table as left-aligned columns of plain text."""
    cells = [[str(name) for name in table.columns], *([str(v) for v in row] for row in table.to_numpy(dtype=object))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows as plain data to the last digit; what is missing is None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False))


@contextlib.contextmanager
def _translated_help(lang: str) -> Iterator[None]:
    """Put the framework's own English words of a help page into the language asked for."""
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        try:
            yield
        finally:
            page = caught.getvalue()
    for word in ("Usage", "Options", "Commands", "Arguments"):
        page = re.sub(rf"^{word}:", text(f"cli.help_{word}", lang), page, flags=re.MULTILINE)
    danish = {"Show this message and exit.": "Vis denne hjælp.", "[default:": "[standard:", "[required]": "[kræves]"}
    for english, translated in danish.items() if lang == "da" else ():
        page = page.replace(english, translated)
    print(page, end="")


def _usage(error: typer.TyperException, lang: str) -> str:
    """Return a wrong use of the command line in one line of ``lang``."""
    kind = type(error).__name__
    said = error.format_message()
    parameter = getattr(error, "param", None)
    name = parameter.opts[-1] if parameter is not None and str(parameter.opts[-1]).startswith("-") else None
    if name is None and parameter is not None:
        name = parameter.metavar or parameter.name
    if kind == "MissingParameter":
        return text("cli.usage_missing", lang, name=name)
    if kind == "NoSuchOption":
        option = getattr(error, "option_name", said)
        close = getattr(error, "possibilities", None)
        near = text("cli.usage_near", lang, names=", ".join(close)) if close else ""
        return text("cli.usage_option", lang, name=option, near=near)
    if kind == "BadParameter":
        wanted = "usage_number" if re.search("valid (number|float)", said) else "usage_whole"
        return text("cli.usage_value", lang, name=name, wanted=text(f"cli.{wanted}", lang))
    command = re.match(r"No such command '([^']*)'", said)
    if command:
        commands = ", ".join(c.name or c.callback.__name__ for c in app.registered_commands if c.callback)
        return text("cli.usage_command", lang, name=command[1], commands=commands)
    extra = re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", said)
    if extra:
        return text("cli.usage_extra", lang, names=extra[1])
    alone = re.match(r"Option '([^']*)' requires", said)
    if alone:
        return text("cli.usage_alone", lang, name=alone[1])
    return text("cli.usage_other", lang, reason=said)


def _file_trouble(error: OSError, lang: str) -> str:
    """Return in one line of ``lang`` which file or folder could not be used, and why."""
    kind = "disk_full" if error.errno == errno.ENOSPC else "unreadable"
    values = {"path": error.filename or "?", "reason": error.strerror or error}
    return Problem(kind, values=values).render(lang)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    lang = spoken(given)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    helping = _translated_help(lang) if "--help" in given or not given else contextlib.nullcontext()
    try:
        with helping:
            return int(app(args=given, prog_name="jobveje", standalone_mode=False) or 0)
    except InputError as error:
        print(error.render(lang), file=sys.stderr)
        return 2
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return 2
        print(_usage(error, lang), file=sys.stderr)
        return 2
    except (typer.Exit, SystemExit) as error:
        return int(getattr(error, "exit_code", getattr(error, "code", 0)) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OSError as error:
        print(_file_trouble(error, lang), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
