"""The figures of a report: for each its numbers, the drawing, and the words for those who cannot see it.

``<name>_data`` takes a table of a result folder and returns exactly the numbers that are drawn,
``<name>_figure`` draws them and ``<name>_alt`` says them; one file a subject, the look of the house in ``style``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from ..errors import Problem, ResultError
from ..headline import FOR_LEVELS, headline_measures, one_view, told_band
from .capacity import capacity_alt, capacity_data, capacity_figure
from .differences import differences_alt, differences_data, differences_figure, forest_alt, forest_data, forest_figure
from .holdouts import forecast_label, holdouts_figure, scores_figure
from .labels import (
    Row,
    activity_labels,
    amount,
    change,
    group_label,
    points,
    quoted,
    records,
    titles,
)
from .observed import observed_alt, observed_data, observed_figure, published
from .outcomes import (
    GROUPS,
    PARTS,
    flows_alt,
    flows_data,
    flows_figure,
    part_label,
    states_alt,
    states_data,
    states_figure,
)
from .people import (
    ages_heading,
    population_alt,
    population_data,
    population_figure,
    pyramid_alt,
    pyramid_data,
    pyramid_figure,
    target_label,
)
from .queues import FUNNEL, funnel_alt, funnel_data, funnel_figure, queues_alt, queues_data, queues_figure
from .sensitivity import assumed_label, plain, sensitivity_alt, sensitivity_data, sensitivity_figure
from .structures import structure_label, structures_alt, structures_data, structures_figure
from .study import study_alt, study_data, study_figure
from .style import WIDTH, spread, svg

__all__ = [
    "FUNNEL",
    "GROUPS",
    "PARTS",
    "WIDTH",
    "Figure",
    "Row",
    "activity_labels",
    "ages_heading",
    "amount",
    "assumed_label",
    "capacity_alt",
    "capacity_data",
    "capacity_figure",
    "change",
    "differences_alt",
    "differences_data",
    "differences_figure",
    "flows_alt",
    "flows_data",
    "flows_figure",
    "forecast_label",
    "forest_alt",
    "forest_data",
    "forest_figure",
    "funnel_alt",
    "funnel_data",
    "funnel_figure",
    "group_label",
    "holdouts_figure",
    "observed_alt",
    "observed_data",
    "observed_figure",
    "of_result",
    "part_label",
    "plain",
    "points",
    "population_alt",
    "population_data",
    "population_figure",
    "published",
    "pyramid_alt",
    "pyramid_data",
    "pyramid_figure",
    "queues_alt",
    "queues_data",
    "queues_figure",
    "quoted",
    "records",
    "scores_figure",
    "sensitivity_alt",
    "sensitivity_data",
    "sensitivity_figure",
    "spread",
    "states_alt",
    "states_data",
    "states_figure",
    "structure_label",
    "structures_alt",
    "structures_data",
    "structures_figure",
    "study_alt",
    "study_data",
    "study_figure",
    "svg",
    "target_label",
    "titles",
]

SOURCES: Final = {
    "states": "outcomes",
    "flows": "flows",
    "differences": "differences",
    "forest": "differences",
    "observed": "observed",
    "queues": "queues",
    "funnel": "queues",
    "pyramid": "pyramid",
    "population": "population",
    "sensitivity": "sensitivity",
    "structures": "uncertainty",
}
"""The table each figure is drawn from."""


def of_result(name: str, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any], lang: str) -> Figure:
    """Return the figure ``name`` of a result's tables (one of ``SOURCES``; ``flows`` are those of the base).

    Raises ``ResultError`` when the tables do not hold what the figure draws.
    """
    drawable = [figure for figure, source in SOURCES.items() if len(tables.get(source, ()))]
    if "sensitivity" in drawable and sensitivity_data(tables["sensitivity"]).empty:
        drawable.remove("sensitivity")
    if name not in drawable:
        problem = Problem("choice", key="plot", values={"value": name, "allowed": ", ".join(drawable)})
        raise ResultError([problem])
    table, named = tables[SOURCES[name]], titles(manifest, lang)
    if name == "states":
        return states_figure(states_data(one_view(table)), lang, named)
    if name == "flows":
        return flows_figure(flows_data(table[table["scenario"] == table["scenario"].iloc[0]]), lang)
    if name == "differences":
        return differences_figure(differences_data(told_band(table)), lang, named)
    if name == "forest":
        return forest_figure(forest_data(told_band(table)), lang, named)
    if name == "structures":
        told = headline_measures(told_band(tables["differences"])) if "differences" in tables else FOR_LEVELS
        return structures_figure(structures_data(table, told), lang, named)
    if name == "observed":
        return observed_figure(observed_data(table), lang)
    if name == "funnel":
        return funnel_figure(funnel_data(table), lang, named, activity_labels(manifest, lang))
    if name == "pyramid":
        return pyramid_figure(pyramid_data(table), lang)
    if name == "population":
        return population_figure(population_data(table), lang)
    if name == "sensitivity":
        return sensitivity_figure(sensitivity_data(table), lang, named)
    return queues_figure(queues_data(table), lang, named, activity_labels(manifest, lang))
