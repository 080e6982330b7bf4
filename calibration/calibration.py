"""One structure from end to end: every block's posterior and the measured effects, joined row by row.

The blocks share no parameter and no published share, so their posteriors are independent and their draws are joined
side by side. :func:`calibrate` makes the draws that ``run`` and ``compare`` use, with the fit of every target and what
the data say of every parameter. ``python -m calibration.calibration`` renews the shipped draws of all structures, or of
those named, and prints how long each took.
"""

from __future__ import annotations

from .threads import one_thread

if __name__ == "__main__":
    one_thread()  # before numpy loads

import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sim.draws import Draws, Origin, own_version, write_draws
from sim.errors import EvidenceError, InputError, ParameterError, nearest
from sim.errors import Problem as Fault
from sim.locale import LANGUAGES
from sim.parameters import ParameterSet
from sim.results import write_json
from sim.sources import COHORT_SIZES, PARAMETER_SETS, Target, rows

from . import effect_draws
from .blocks import COUNTING, Block, BlockTarget, SharesLikelihood, with_roles
from .effects import EFFECTS
from .flows import flows_problem
from .four_state import problem as four_state_problem
from .likelihood import Likelihood, Problem
from .posterior import DRAWS, NOTES, Posterior, TotalFit, best_chi_square, find_optima, fit_posterior, fit_rows
from .priors import PRIORS, read_priors, values_of
from .samplers.ensemble import Rules, forget, remove_if_empty
from .samplers.seeds import generators
from .structures import STRUCTURES
from .surrogate import fit_with_surrogate
from .targets import ROLES, Targets
from .work import employment_block, employment_targets, leisure_block, leisure_targets, placed
from .youths import youth_block, youth_targets

if TYPE_CHECKING:
    import pandas as pd

FLOWS: Final = "cash_benefit"
BLOCKS: Final = (FLOWS, "youths", "leisure_jobs", "employment")
"""What is fitted, each to published shares of its own."""
PLACED: Final = "placed"
"""Published shares that the recipe of the area gives, whatever the parameters."""
EFFECT: Final = "effects"
WITH_EFFECTS: Final = ("leisure_job", "pocket_money_job")
"""Activities that share the measured effect: the source pools them."""
CORRELATION: Final = 0.5
"""Of the two log odds ratios in the shipped draws; the notes try 0, .5 and .9."""
ENSEMBLES: Final = 4
DIGITS: Final = 6
"""Significant digits of a draw: a ten-thousandth of the narrowest posterior, and half the file."""
MANIFEST: Final = "calibration.json"
CHECKPOINTS: Final = "checkpoints"
FIGURES: Final = "figures"
PICTURES: Final = ("fit", "prior", "pairs", "profiles", "checks")
"""What the pictures of a structure end in; :mod:`calibration.figures` draws them."""
OWN_KINDS: Final = ("draws.parquet", "fit.csv", "parameters.csv", "sheet.da.md", "sheet.en.md", "nc")
"""Ends of the files a calibration writes for each structure."""
_STARTS: Final = 4


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate` found for one structure.

    ``posteriors`` by block; ``effects`` are the draws of :mod:`calibration.effect_draws`; ``targets`` hold the flows
    with their roles and the rows a user brought; ``base`` is the digest of the parameter set the draws belong to;
    ``rules`` say when the samplers stopped.
    """

    structure: str
    base: str
    posteriors: Mapping[str, Posterior]
    effects: pd.DataFrame
    targets: Targets
    seed: int
    date: str
    rules: Rules

    @property
    def converged(self) -> bool:
        """Whether every block's ensembles met the rules."""
        return all(posterior.diagnostics.converged for posterior in self.posteriors.values())

    @cached_property
    def draws(self) -> Draws:
        """The joint draws as they are shipped: rates by id, effects by ``activity.parameter``."""
        fitted = {
            id: column
            for posterior in self.posteriors.values()
            for id, column in zip(posterior.problem.ids, posterior.values.T, strict=True)
        }
        values = STRUCTURES[self.structure].with_ties(fitted)
        values |= {f"{key}.{id}": self.effects[id].to_numpy() for key in WITH_EFFECTS for id in EFFECTS}
        number = min(len(column) for column in values.values())
        rounded = {id: significant(column[:number]) for id, column in values.items()}
        origin = Origin(
            structure=self.structure,
            base=self.base,
            seed=self.seed,
            targets=targets_digest(self._everything),
            priors=priors_digest([posterior.problem for posterior in self.posteriors.values()]),
            number=number,
            date=self.date,
            version=own_version(),
            parameters=tuple(rounded),
        )
        return Draws(origin, rounded)

    @property
    def _everything(self) -> list[tuple[str, Target]]:
        """All targets with their role: the flows', then those of the blocks."""
        found = [(role, target) for role in ROLES for target in getattr(self.targets, role)]
        for posterior in self.posteriors.values():
            if isinstance(posterior.problem, Block):
                found += [(target.role, target) for target in posterior.problem.everything]
        return found

    @cached_property
    def fit(self) -> pd.DataFrame:
        """One row a target of any role: how the posterior, and what it predicts, stand to the published share.

        ``fitted`` with ``fitted_low`` and ``fitted_high`` are median and 95 % limits of the model's share;
        ``predicted_low`` and ``predicted_high`` hold 95 % of what would be published (sampling of as many persons,
        rounding and the discrepancy of the counting included), and ``p`` is twice the smaller share of predictions on
        one side of the published one. ``residual_points`` is published middle minus fitted in percentage points,
        ``standardised`` the same over the predictive standard deviation, ``inside`` the rounding interval, ``within``
        2.5 points; notes say why not. Shares of block ``placed`` are made by the recipe and have no posterior.
        """
        import pandas as pd

        flows = self.posteriors[FLOWS]
        tables = [_held_against(flows, FLOWS, role, getattr(self.targets, role), self.seed) for role in ROLES]
        for name, posterior in self.posteriors.items():
            if isinstance(posterior.problem, Block):
                tables.append(_block_against(posterior, name, self.seed))
        tables.append(_placed(ParameterSet.read(self.structure)))
        return pd.concat([table for table in tables if len(table)], ignore_index=True)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """One row a parameter: prior, posterior, contraction, z and how the sampler did; see ``Posterior.table``.

        ``exact`` is what a draw of the fast density is worth as one of the exact posterior. Effects have the published
        distribution in place of a prior that data change.
        """
        import pandas as pd

        tables = []
        for name, posterior in self.posteriors.items():
            table = posterior.table()
            table.insert(0, "block", name)
            tables.append(table.assign(exact=posterior.exact))
        low, middle, high = self.effects[list(EFFECTS)].quantile([0.025, 0.5, 0.975]).to_numpy()
        ids = [f"{key}.{id}" for key in WITH_EFFECTS for id in EFFECTS]
        limits = {
            name: list(found) * len(WITH_EFFECTS)
            for name, found in zip(("median", "low", "high"), (middle, low, high), strict=True)
        }
        tables.append(pd.DataFrame({"block": EFFECT, "parameter": ids, **limits, "label": "published"}))
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def totals(self) -> dict[str, TotalFit]:
        """The chi-square of each block at its posterior mean, with effective degrees of freedom."""
        return {name: posterior.total_fit() for name, posterior in self.posteriors.items()}

    @cached_property
    def profiles(self) -> dict[str, pd.DataFrame]:
        """The profile likelihood of every parameter of the flows, priors left out: columns value, deviance.

        Eleven values a parameter, up to three standard errors either side of the optimum.
        """
        posterior = self.posteriors[FLOWS]
        best, priors = posterior.optima[0], posterior.problem.priors
        grid = values_of(priors, best.z + np.linspace(-3, 3, 11)[:, None] * best.errors)
        return {id: posterior.profile(id, column) for id, column in zip(posterior.problem.ids, grid.T, strict=True)}

    @property
    def effects_met(self) -> float:
        """Share of effect draws in which both published odds ratios can be met."""
        return float(self.effects["met"].mean())

    def summary(self) -> dict[str, Any]:
        """Return what the command prints of a structure, as plain data."""
        fitted = self.fit[(self.fit["role"] == "fit") & (self.fit["block"] != PLACED)]
        blocks = {}
        for name, posterior in self.posteriors.items():
            found, total = posterior.diagnostics, self.totals[name]
            blocks[name] = {
                "chi_square": total.chi_square,
                "degrees": total.degrees,
                "within_rounding": total.within_rounding,
                "targets": len(posterior.problem.targets),
                "r_hat": float(found.r_hat.max()),
                "effective": float(found.effective.min()),
                "autocorrelation": float(found.autocorrelation.max()),
                "steps": posterior.steps,
                "exact": posterior.exact,
                "converged": found.converged,
            }
        blocks[FLOWS]["four_state"] = self.four_state
        dominated = self.parameters.loc[self.parameters["label"] == "prior-dominated", "parameter"]
        return {
            "structure": self.structure,
            "draws": len(self.draws),
            "blocks": blocks,
            "fitted": len(fitted),
            "within": int(fitted["within"].sum()),
            "inside": int(fitted["inside"].sum()),
            "prior_dominated": dominated.tolist(),
            "effects_met": self.effects_met,
        }

    @cached_property
    def four_state(self) -> float:
        """The least chi-square of the structure on the small problem of the notes, with the same targets."""
        small = four_state_problem(self.structure, self.targets)
        return max(0.0, -best_chi_square(small, self.seed, _STARTS).log_density)

    def save(self, folder: Path) -> list[Path]:
        """Write draws, fit and parameters into ``folder`` and return the files; the same calibration, the same
        bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        written = [write_draws(folder, self.draws)]
        for name, table in (("fit", self.fit), ("parameters", self.parameters)):
            path = folder / f"{self.structure}.{name}.csv"
            table.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")
            written.append(path)
        return written


def calibrate(
    structure: str,
    *,
    targets: Targets | None = None,
    priors: Path = PRIORS,
    seed: int = 1,
    draws: int = DRAWS,
    rules: Rules | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: Sequence[str] | None = None,
    date: str | None = None,
) -> Calibration:
    """Return the posterior of ``structure``, every block of it.

    ``targets``: those of :meth:`Targets.read`, with other rows or roles as the user likes; ``priors``: a file like
    ``priors.yaml``. ``workers`` processes change no byte. With a ``folder`` a killed computation continues there to the
    same bytes. ``progress`` names the bars of the blocks on stderr. ``date`` (today's without) is written down with
    the draws.

    Raises ``ParameterError`` for an unknown structure, ``InputError`` for ``draws`` that the ensembles cannot share
    evenly, ``EvidenceError`` for evidence that cannot be fitted, and ``ResultError`` when the folder belongs to another
    computation.
    """
    if structure not in STRUCTURES:
        values = {"value": structure, "allowed": ", ".join(STRUCTURES)}
        raise ParameterError([Fault("choice", key="structure", values=values, nearest=nearest(structure, STRUCTURES))])
    if draws < ENSEMBLES or draws % ENSEMBLES:
        raise InputError([Fault("multiple_of", key="draws", values={"value": draws, "of": ENSEMBLES})])
    targets = targets or Targets.read()
    parameters = ParameterSet.read(structure)
    problems = problems_of(structure, targets, priors)
    found: dict[str, Posterior] = {}
    for at, (name, problem) in enumerate(problems.items()):
        options: dict[str, Any] = {"ensembles": ENSEMBLES, "rules": rules, "workers": workers, "draws": draws}
        here = None if folder is None else folder / name
        bar = progress[at] if progress is not None else ""
        if name == "employment":
            # A spline already: nothing to gain from a polynomial of it.
            whole = fit_posterior(problem, seed, starts=_STARTS, folder=here, progress=bar, **options)
            found[name] = replace(whole, z=_shuffled(whole.z, seed))
            continue
        optima = (
            [problem.optimum(problem.starts(_STARTS))]
            if isinstance(problem, Block)
            else find_optima(problem, seed, _STARTS)
        )
        found[name] = fit_with_surrogate(problem, optima, seed, folder=here, progress=bar, **options)
    effects = effect_draws.draw(effect_draws.read_surface(), CORRELATION, draws, seed)
    return Calibration(structure, parameters.digest, found, effects, targets, seed, date or today(), rules or Rules())


def problems_of(structure: str, targets: Targets, priors: Path = PRIORS) -> dict[str, Problem]:
    """Return the problem of every block, the user's rows and roles in the evidence's place; see :func:`check`."""
    check(targets)
    parameters, book = ParameterSet.read(structure), targets.book
    problems: dict[str, Problem] = {FLOWS: flows_problem(structure, targets)}
    for make in (youth_block, leisure_block, employment_block):
        block = make(parameters, book).with_roles(targets)
        problems[block.name] = block
    return {name: replace(one, priors=read_priors(one.ids, priors)) for name, one in problems.items()}


def check(targets: Targets) -> None:
    """Refuse evidence that cannot be fitted; nothing is computed.

    Raises ``EvidenceError`` naming every row that no block uses, every block without a fitted share, and flows that say
    the same thing twice.
    """
    problems = unused(targets)
    left = {FLOWS: len(targets.fit)}
    for name, everything in _block_targets(targets).items():
        left[name] = sum(target.role == "fit" for target in with_roles(everything, targets))
    problems += [Fault("evidence_nothing_left", key=name) for name, number in left.items() if not number]
    if problems:
        raise EvidenceError(problems)
    Likelihood(targets.fit)


def unused(targets: Targets) -> list[Fault]:
    """Return what is wrong with rows a user brought that change nothing: no block uses them."""
    used = {target.id for role in ROLES for target in getattr(targets, role)} | _USED
    used |= {id for everything in _block_targets(targets).values() for target in everything for id in target.rows}
    return [
        Fault("evidence_unused", row["place"], id, nearest=nearest(id, used))
        for id, row in _changed(targets).items()
        if id not in used
    ]


def _block_targets(targets: Targets) -> dict[str, tuple[BlockTarget, ...]]:
    """Return the targets of each block beside the flows, with the user's rows and the book's roles."""
    book = targets.book
    return {
        "youths": youth_targets(book),
        "leisure_jobs": leisure_targets(book),
        "employment": employment_targets(book),
    }


def _changed(targets: Targets) -> dict[str, Mapping[str, str]]:
    """Return the user's rows that say something else than the book's, or give a role."""
    book = rows("targets")
    return {id: row for id, row in targets.given.items() if row.get("role") or _said(row) != _said(book[id])}


def _said(row: Mapping[str, str]) -> tuple[float | None, float | None, str]:
    """Return what a row says as numbers, so that .30 is .3; a blank cell says nothing."""
    value, n = (float(row[column]) if row[column] else None for column in ("value", "n"))
    return value, n, row["precision"]


_USED: Final = frozenset(
    {
        *COHORT_SIZES.values(),
        "annex7_1_age_in_2010_control_matched",
        "fig4_4_n_all_danish_supported_areas",
        "fig4_4_n_all_non_western_supported_areas",
        "fig4_7_men_16_rest_group",
        "fig4_8_women_16_rest_group",
    }
)
"""Rows that are no targets and enter the fits: numbers of persons, how old the controls are, and who was in the rest
group at 16, where the cohort of Figures 4.7 and 4.8 begins."""


def _shuffled(z: np.ndarray, seed: int) -> np.ndarray:
    """Return draws in random order within each ensemble, as :func:`fit_with_surrogate` does."""
    luck = generators(seed, "thinning", 1)[0]
    each = z.reshape(ENSEMBLES, -1, z.shape[-1])
    return np.concatenate([luck.permutation(one) for one in each])


# --- tables


def _held_against(posterior: Posterior, name: str, role: str, targets: Sequence[Target], seed: int) -> pd.DataFrame:
    """Return the rows of flow targets: the fitted ones together, others one by one, since they may repeat."""
    import pandas as pd

    problem = posterior.problem
    joint = problem.joint(posterior.values)
    groups = [targets] if role == "fit" else [[target] for target in targets]
    luck = generators(seed, "predictive", 1 + len(ROLES))[ROLES.index(role)]
    remarks = dict(posterior.fit_table()[["target", "note"]].itertuples(index=False, name=None))
    tables = []
    for group in groups:
        likelihood = Likelihood(group, problem.discrepancy)
        notes = [NOTES.get(remarks.get(t.id, ""), {"da": "", "en": ""}) for t in group]
        tables.append(_rows(name, [role] * len(group), likelihood, joint, notes, luck))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _block_against(posterior: Posterior, name: str, seed: int) -> pd.DataFrame:
    block = posterior.problem
    assert isinstance(block, Block)
    luck = generators(seed, "predictive", 1 + len(ROLES))[-1]
    notes = [{"da": target.note_da, "en": target.note_en} for target in block.everything]
    roles = [target.role for target in block.everything]
    return _rows(name, roles, SharesLikelihood(block.everything), block.read(posterior.values), notes, luck)


_COLUMNS: Final = (
    *("block", "target", "role", "reading", "group", "month", "measure", "counting", "n"),
    *("published", "low", "high", "fitted", "fitted_low", "fitted_high", "predicted_low", "predicted_high"),
    *("p", "residual_points", "standardised", "inside", "within", "note_da", "note_en"),
)
"""Of the fit table, in order."""


def _rows(
    name: str,
    roles: Sequence[str],
    likelihood: Likelihood,
    joint: np.ndarray,
    notes: Sequence[Mapping[str, str]],
    luck: np.random.Generator,
) -> pd.DataFrame:
    """Return one row a target of ``likelihood``, held against the joint tables of the draws."""
    targets, shares = likelihood.targets, likelihood.shares(joint)
    # Target by target: what repeats another one could not be drawn with it.
    spread = np.sqrt(np.diagonal(likelihood.covariance(joint), axis1=1, axis2=2))
    predicted = shares + spread * luck.standard_normal(shares.shape)
    fitted_low, fitted, fitted_high = np.quantile(shares, [0.025, 0.5, 0.975], axis=0)
    low, high = np.quantile(predicted, [0.025, 0.975], axis=0)
    above = (predicted >= likelihood.observed).mean(axis=0)
    rows = fit_rows(likelihood, fitted).assign(
        block=name,
        role=roles,
        counting=[getattr(t, "counting", "") for t in targets],
        fitted_low=fitted_low,
        fitted_high=fitted_high,
        predicted_low=low,
        predicted_high=high,
        p=2 * np.minimum(above, 1 - above),
        standardised=(likelihood.observed - fitted) / predicted.std(axis=0, ddof=1),
        note_da=[note["da"] for note in notes],
        note_en=[note["en"] for note in notes],
    )
    return rows[list(_COLUMNS)]


def _placed(parameters: ParameterSet) -> pd.DataFrame:
    """Return the rows of what the recipe places: labour-market status of 2011 and who is outside for long."""
    import pandas as pd

    made = placed(parameters)
    return pd.DataFrame(
        {
            "block": PLACED,
            "target": made["target"],
            "role": "fit",
            "reading": "a",
            "month": "2011-12",
            "published": made["published"],
            "fitted": made["made"],
            "predicted_low": made["made"] - 1.96 * made["expected_error"],
            "predicted_high": made["made"] + 1.96 * made["expected_error"],
            "residual_points": 100 * (made["published"] - made["made"]),
            "standardised": (made["published"] - made["made"]) / made["expected_error"],
        }
    )


# --- what a posterior was made from


def significant(values: np.ndarray) -> np.ndarray:
    """Return ``values`` rounded to DIGITS significant digits.

    >>> significant(np.array([0.0123456789, 0.0]))
    array([0.0123457, 0.       ])
    """
    return np.array([float(f"{value:.{DIGITS}g}") for value in values])


def targets_digest(everything: Sequence[tuple[str, Target]]) -> str:
    """Return the fingerprint of targets, each with its role."""
    return _digest([[role, *map(str, astuple(replace_notes(target)))] for role, target in everything])


def replace_notes(target: Target) -> Target:
    """Return the target without its words, which change no number."""
    return replace(target, note_da="", note_en="") if isinstance(target, BlockTarget) else target


def priors_digest(problems: Sequence[Problem]) -> str:
    """Return the fingerprint of the priors of ``problems``, and of the discrepancies fixed beforehand."""
    of_blocks = [
        [_discrepancies(problem), [[p.id, p.kind, repr(p.median), repr(p.sd)] for p in problem.priors]]
        for problem in problems
    ]
    return _digest(of_blocks)


def _discrepancies(problem: Problem) -> list[float]:
    """Return the discrepancy of each fitted share."""
    if isinstance(problem, Block):
        return [COUNTING[target.counting].discrepancy for target in problem.targets]
    return [problem.discrepancy] * len(problem.targets)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


# --- the command's work, and the maintainer's


def calibrate_into(
    folder: Path,
    structures: Sequence[str],
    *,
    targets: Targets | None = None,
    seed: int = 1,
    workers: int = 1,
    bars: Callable[[str], Sequence[str]] | None = None,
    done: Callable[[Calibration], None] | None = None,
) -> list[Calibration]:
    """Calibrate ``structures`` one after the other and save each in ``folder``; killed, it continues there.

    ``bars`` names the progress bars of a structure; ``done`` is called with each, and again when a killed calibration
    continues, so what it writes is there once the folder is finished. What is needed to continue lies in
    ``checkpoints`` until then. Raises as :func:`calibrate` does, before anything is written.
    """
    targets = targets or Targets.read()
    check(targets)
    settings = settings_of(structures, targets, seed)
    if unfinished(folder, settings):
        settings["date"] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["date"]
    checkpoints = folder / CHECKPOINTS
    checkpoints.mkdir(parents=True, exist_ok=True)
    write_json(folder / MANIFEST, settings | {"finished": False})
    found = []
    for structure in structures:
        one = calibrate(
            structure,
            targets=targets,
            seed=seed,
            workers=workers,
            folder=checkpoints / structure,
            progress=None if bars is None else bars(structure),
            date=settings["date"],
        )
        one.save(folder)
        found.append(one)
        if done is not None:
            done(one)
    write_json(folder / MANIFEST, settings | {"finished": True})
    _clear_checkpoints(folder)
    return found


def settings_of(structures: Sequence[str], targets: Targets, seed: int) -> dict[str, Any]:
    """Return what a calibration depends on, as its folder's manifest holds it."""
    return {
        "structures": list(structures),
        "bases": {structure: ParameterSet.read(structure).digest for structure in structures},
        "targets": _digest([sorted((id, *row.values()) for id, row in targets.given.items()), repr(targets)]),
        "priors": hashlib.sha256(PRIORS.read_bytes()).hexdigest()[:16],
        "seed": seed,
        "jobveje": own_version(),
        "date": today(),
    }


def unfinished(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Tell whether ``folder`` holds a killed calibration with the same ``settings``, on whatever day."""
    path = folder / MANIFEST
    if not path.is_file():
        return False
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    same = {key: value for key, value in settings.items() if key != "date"}
    return not held.get("finished", True) and {key: held.get(key) for key in same} == same


def is_calibration(folder: Path) -> bool:
    """Tell whether ``folder`` holds a calibration, finished or not."""
    return (folder / MANIFEST).is_file()


def clear(folder: Path) -> None:
    """Remove what a calibration wrote into ``folder``, and nothing else."""
    own = [folder / MANIFEST, *(folder / f"{name}.{kind}" for name in STRUCTURES for kind in OWN_KINDS)]
    own += [folder / FIGURES / f"{name}-{picture}.png" for name in STRUCTURES for picture in PICTURES]
    for path in own:
        path.unlink(missing_ok=True)
    remove_if_empty(folder / FIGURES)
    _clear_checkpoints(folder)


def _clear_checkpoints(folder: Path) -> None:
    for name in STRUCTURES:
        for block in BLOCKS:
            forget(folder / CHECKPOINTS / name / block)
        remove_if_empty(folder / CHECKPOINTS / name)
    remove_if_empty(folder / CHECKPOINTS)


def today() -> str:
    """Return the date, as it is written down with draws."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def main(arguments: Sequence[str]) -> None:
    """Renew the shipped draws of the structures named, or of all, and print what each took and how it fits."""
    from . import sheet

    workers = int(next((a.partition("=")[2] for a in arguments if a.startswith("--workers=")), "1"))
    names = [argument for argument in arguments if not argument.startswith("--")] or list(STRUCTURES)
    for name in names:
        begun = datetime.datetime.now(datetime.UTC)
        found = calibrate(name, workers=workers, progress=[f"{name} {block}" for block in BLOCKS])
        written = [*found.save(PARAMETER_SETS), *(sheet.write_sheet(found, PARAMETER_SETS, lang) for lang in LANGUAGES)]
        seconds = (datetime.datetime.now(datetime.UTC) - begun).total_seconds()
        sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e3:.0f} kB" for path in written)
        flows = found.totals[FLOWS]
        print(f"{name}: {seconds:.0f} s, rules {'met' if found.converged else 'NOT met'}; {sizes}")
        print(f"  chi-square {flows.chi_square:.1f} ({flows.degrees:.1f} degrees of freedom)", end=", ")
        print(f"within rounding {flows.within_rounding:.1f}, four states {found.four_state:.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
