"""The sheet of seven steps: what was asked, what with, how well, and what for, filled in from a calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim.locale import number, percent, text

from .blocks import COUNTING
from .calibration import CORRELATION, ENSEMBLES, FLOWS, Calibration
from .structures import STRUCTURES
from .targets import ROLES

if TYPE_CHECKING:
    import pandas as pd


def write_sheet(found: Calibration, folder: Path, lang: str) -> Path:
    """Write the sheet of a calibration in ``lang`` into ``folder`` and return the file."""
    path = folder / f"{found.structure}.sheet.{lang}.md"
    path.write_text(sheet(found, lang), encoding="utf-8")
    return path


def sheet(found: Calibration, lang: str) -> str:
    """Return the seven steps of a calibration in ``lang``, as Markdown."""

    def say(key: str, **values: object) -> str:
        return text(f"calibration.{key}", lang, **values)

    summary, origin, fit = found.summary(), found.draws.origin, found.fit
    blocks, rules = summary["blocks"], found.rules
    free = sum(len(posterior.problem.ids) for posterior in found.posteriors.values())
    names = {name: say(f"block_{name}") for name in blocks}
    structure = STRUCTURES[found.structure]
    discrepancy = found.posteriors[FLOWS].problem.discrepancy
    verdict = say("sheet_met" if found.converged else "sheet_not_met")
    determined = sum(posterior.determined for posterior in found.posteriors.values())
    parts = [
        say("sheet_title", structure=structure.label(lang)),
        say("sheet_intro", date=origin.date, version=origin.version, seed=origin.seed),
        say("sheet_1"),
        say("sheet_1_text", story=structure.story(lang), free=free, base=origin.base),
        say("sheet_2"),
        say("sheet_2_text", digest=origin.targets, given=", ".join(found.targets.given) or say("none")),
        _roles(fit, lang),
        say("sheet_3"),
        say("sheet_3_text", digest=origin.priors),
        say("sheet_4"),
        say("sheet_4_text", discrepancy=number(100 * discrepancy, lang, 1)),
        _countings(fit, lang),
        say("sheet_5"),
        say(
            "sheet_5_text",
            ensembles=ENSEMBLES,
            lengths=number(rules.lengths, lang),
            r_hat=number(rules.r_hat, lang, 2),
            effective=number(rules.effective, lang),
            verdict=verdict,
        ),
        _table(
            ("block", "steps", "autocorrelation", "r_hat", "effective", "exact"),
            (
                (
                    names[name],
                    number(block["steps"], lang),
                    number(block["autocorrelation"], lang),
                    number(block["r_hat"], lang, 4),
                    number(block["effective"], lang),
                    number(block["exact"], lang, 3),
                )
                for name, block in blocks.items()
            ),
            lang,
        ),
        say("sheet_6"),
        say(
            "sheet_6_text",
            determined=number(determined, lang, 1),
            free=free,
            dominated=", ".join(summary["prior_dominated"]) or say("none"),
            correlation=number(CORRELATION, lang, 1),
            met=percent(found.effects_met, lang, 0),
        ),
        say("sheet_7"),
        say(
            "sheet_7_text",
            within=summary["within"],
            fitted=summary["fitted"],
            inside=summary["inside"],
            four_state=number(found.four_state, lang, 1),
        ),
        _table(
            ("block", "chi_square", "degrees", "within_rounding"),
            (
                (names[name], *("–" if total is None else number(total, lang, 1) for total in found.totals[name]))
                for name in blocks
            ),
            lang,
        ),
        *_misses(fit, lang),
        say("sheet_7_limits"),
    ]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], lang: str) -> str:
    heads = [text(f"calibration.col_{name}", lang) for name in columns]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _roles(fit: pd.DataFrame, lang: str) -> str:
    counted = fit.groupby(["block", "role"], sort=False).size().unstack(fill_value=0).reindex(columns=list(ROLES))
    rows = (
        [text(f"calibration.block_{block}", lang), *(number(row[role], lang) for role in ROLES)]
        for block, row in counted.fillna(0).iterrows()
    )
    return _table(("block", *ROLES), rows, lang)


def _countings(fit: pd.DataFrame, lang: str) -> str:
    used = [key for key in COUNTING if key in set(fit.loc[fit["role"] == "fit", "counting"].dropna())]
    lines = []
    for key in used:
        points = text("calibration.points", lang, points=number(100 * COUNTING[key].discrepancy, lang, 1))
        words = COUNTING[key].label_da if lang == "da" else COUNTING[key].label_en
        lines.append(f"- *{key}* ({points}): {words}")
    return "\n".join(lines)


def _misses(fit: pd.DataFrame, lang: str) -> list[str]:
    """Return the fitted shares that are missed, with the reason where there is one; nothing when there are none."""
    missed = fit[(fit["role"] == "fit") & (fit["within"] == False)]  # noqa: E712  (what has no posterior is neither)
    if not len(missed):
        return []
    columns = (missed[name] for name in ("target", "published", "fitted", f"note_{lang}"))
    rows = (
        (str(target), percent(float(published), lang), percent(float(fitted), lang), str(note))
        for target, published, fitted, note in zip(*columns, strict=True)
    )
    table = _table(("target", "published", "fitted", "note"), rows, lang)
    return [text("calibration.sheet_7_misses", lang), table]
