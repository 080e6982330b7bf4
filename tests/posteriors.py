"""Small posteriors for tests, made up from the cards' ranges: nobody fitted them, and none is shipped."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim.activities import catalogue
from sim.draws import Draws, Origin, write_draws
from sim.parameters import ParameterSet
from sim.sources import PARAMETER_SETS

EFFECT = "leisure_job.effect_start_during"
"""A number of an activity that varies in the made-up posteriors."""


def copied_sets(folder: Path, structures: Sequence[str]) -> Path:
    """Copy the shipped parameter sets into ``folder``; a structure that is not shipped is *history* under its name."""
    folder.mkdir(parents=True)
    for path in PARAMETER_SETS.glob("*.yaml"):
        shutil.copy(path, folder)
    for structure in structures:
        if not (folder / f"{structure}.yaml").is_file():
            text = (folder / "history.yaml").read_text(encoding="utf-8")
            text = text.replace("structure: history\n", f"structure: {structure}\n")
            (folder / f"{structure}.yaml").write_text(text, encoding="utf-8")
    return folder


def made_up(folder: Path, structure: str, number: int) -> Draws:
    """Return draws of the rates and of one effect, uniform over the ranges of their cards."""
    parameters = ParameterSet.read(structure, folder)
    luck = np.random.default_rng(len(structure))
    cards = {id: card for id, card in parameters.items() if id.startswith("rate_")}
    cards[EFFECT] = catalogue()["leisure_job"].parameters[EFFECT.partition(".")[2]]
    values = {id: luck.uniform(*card.range, number) for id, card in cards.items()}
    return Draws(origin(structure, parameters.digest, number, tuple(values)), values)


def origin(structure: str, base: str, number: int, parameters: tuple[str, ...]) -> Origin:
    return Origin(structure, base, 7, "targets", "priors", number, "2026-11-21", "0.3.0", parameters)


def write_posteriors(folder: Path, structures: Sequence[str], number: int) -> Path:
    """Make a folder of parameter sets with draws for ``structures``."""
    copied_sets(folder, structures)
    for structure in structures:
        write_draws(folder, made_up(folder, structure, number))
    return folder
