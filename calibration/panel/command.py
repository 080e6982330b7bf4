"""What ``calibrate --panel`` does: reads a file, fits, and writes a folder of tables, words and figures."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from sim.draws import own_version, path_of
from sim.errors import InputError, Problem, ResultError
from sim.locale import LANGUAGES, text
from sim.results import MANIFEST, write_json

from .estimation import fit_panel
from .files import read_frame, read_moves_file
from .handover import MONTHS, missing_moves
from .results import DRAWS, FIT

if TYPE_CHECKING:
    from .results import PanelFit

KIND: Final = "panel"
"""What the manifest of a folder says it holds."""
STRUCTURE: Final = "homogeneous"
"""The structure whose rates the draws are handed to: one rate a move, like the model fitted."""
CSV_TABLES: Final = ("rates", "ratios", "probabilities", "sojourn", "prevalence", "goodness", "warnings")
PICTURES: Final = ("rates", "prevalence")
DRAWS_FILE: Final = "draws.parquet"


@dataclass(frozen=True)
class Asked:
    """What a command asks for: the files, the names of columns, and the declarations of the model."""

    panel: Path
    moves: Path | None
    covariates: Sequence[str] = ()
    cuts: Sequence[float] = ()
    exact: Sequence[str] = ()
    person: str = "person"
    time: str = "time"
    state: str = "state"
    unit: str = "year"
    seed: int = 1


def fit_file(asked: Asked, progress: Callable[[int, int], None], problems: Sequence[Problem] = ()) -> PanelFit:
    """Return the fit of a file; raises ``InputError`` naming rows as ``file:row`` and everything else that is wrong.

    ``problems`` are those found before, told together with these.
    """
    problems = list(problems)
    if asked.unit not in MONTHS:
        problems.append(Problem("choice", key="--unit", values={"value": asked.unit, "allowed": ", ".join(MONTHS)}))
    frame, moves = pd.DataFrame(), None
    try:
        numbers = (asked.time, *asked.covariates)
        frame = read_frame(asked.panel, numbers)
    except InputError as error:
        problems += error.problems
    try:
        moves = None if asked.moves is None else read_moves_file(asked.moves)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return fit_panel(
        frame,
        moves,
        person=asked.person,
        time=asked.time,
        state=asked.state,
        covariates=list(dict.fromkeys(asked.covariates)),
        cuts=asked.cuts,
        exact=asked.exact,
        seed=asked.seed,
        progress=progress,
        place=str(asked.panel),
    )


# --- the folder


def usable(folder: Path, force: bool) -> None:
    """Refuse a folder that exists; with ``force`` only one that holds something else than a panel fit."""
    if not folder.exists():
        return
    if not force:
        raise ResultError([Problem("folder_exists", values={"folder": folder})])
    if not folder.is_dir() or (any(folder.iterdir()) and not is_panel(folder)):
        raise ResultError([Problem("not_a_panel", values={"folder": folder})])


def is_panel(folder: Path) -> bool:
    """Tell whether ``folder`` holds what this command wrote."""
    path = folder / MANIFEST
    try:
        return path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("kind") == KIND
    except (ValueError, AttributeError):
        return False


def write_folder(fit: PanelFit, asked: Asked, folder: Path, lang: str, command: str) -> dict[str, Any]:
    """Write tables, draws, words and figures of a fit into ``folder`` and return what is said of the draws.

    The manifest comes last, so a folder without one is unfinished. No observation of a single person is written.
    """
    from .figures import write_figures

    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    fit.save(folder)
    for name in CSV_TABLES:
        fit.table(name).to_csv(folder / f"{name}.csv", index=False, float_format="%.10g", lineterminator="\n")
    (folder / f"summary.{lang}.md").write_text(fit.summary(lang), encoding="utf-8")
    write_figures(fit, folder / "figures", lang, PICTURES)
    fit.draws(DRAWS, asked.seed).to_parquet(folder / DRAWS_FILE, index=False)
    draws = _hand_over(fit, folder, asked, lang)
    write_json(folder / MANIFEST, _manifest(fit, asked, lang, command) | {"draws": draws})
    return draws


def _hand_over(fit: PanelFit, folder: Path, asked: Asked, lang: str) -> dict[str, Any]:
    """Write a parameter set when the moves are those of the structure, and return what became of it."""
    lacking = [problem.key for problem in missing_moves(fit, STRUCTURE)]
    if lacking:
        reason = text("panel.no_rates", lang, structure=STRUCTURE, moves="; ".join(lacking))
        return {"number": DRAWS, "structure": None, "reason": reason}
    try:
        fit.parameter_draws(folder, DRAWS, asked.seed, asked.unit, STRUCTURE)
    except InputError as error:
        return {"number": DRAWS, "structure": None, "reason": error.problems[0].render(lang)}
    return {"number": DRAWS, "structure": STRUCTURE, "unit": asked.unit}


def _manifest(fit: PanelFit, asked: Asked, lang: str, command: str) -> dict[str, Any]:
    return {
        "kind": KIND,
        "command": command,
        "version": own_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "panel": asked.panel.name,
        "panel_sha256": hashlib.sha256(asked.panel.read_bytes()).hexdigest(),
        "columns": {"person": asked.person, "time": asked.time, "state": asked.state},
        "moves": [list(move) for move in fit.moves],
        "moves_seen": fit.model.found,
        "covariates": list(fit.model.covariates),
        "cuts": list(fit.model.cuts),
        "exact": list(fit.model.exact),
        "unit": asked.unit,
        "seed": asked.seed,
        "lang": lang,
        "counts": dict(fit.counts),
        "minus2loglik": fit.minus2loglik,
        "goodness": _goodness(fit),
        "warnings": [one.words(lang) for one in fit.warnings],
    }


def _goodness(fit: PanelFit) -> dict[str, Any]:
    """Return the Pearson-type statistic with its degrees of freedom and p-values; ``goodness.csv`` has the cells."""
    found = fit.goodness()
    degrees, p = (found.degrees_low, found.degrees_high), (found.p_low, found.p_high)
    return {"statistic": found.statistic, "degrees": list(degrees), "p": list(p)}


def as_plain(fit: PanelFit, lang: str) -> dict[str, Any]:
    """Return a fit as plain data for other programs; what is not a number is None."""

    def records(name: str) -> list[dict[Any, Any]]:
        found = fit.table(name).replace([np.inf, -np.inf], np.nan)
        return found.astype(object).where(found.notna(), None).to_dict("records")

    return {
        "minus2loglik": fit.minus2loglik,
        "counts": dict(fit.counts),
        **{name: records(name) for name in ("rates", "ratios", "sojourn")},
        "goodness": _goodness(fit),
        "warnings": [one.words(lang) for one in fit.warnings],
    }


def _clear(folder: Path) -> None:
    """Remove what this command wrote before, and nothing else."""
    own = [folder / name for name in (MANIFEST, FIT, DRAWS_FILE)]
    own += [path_of(folder, STRUCTURE), *(folder / f"{name}.csv" for name in CSV_TABLES)]
    own += [folder / f"summary.{lang}.md" for lang in LANGUAGES]
    own += [folder / "figures" / f"{name}.png" for name in PICTURES]
    for path in own:
        path.unlink(missing_ok=True)
