"""Targets with their role in the fit and the covariance of their sampling error."""

from __future__ import annotations

from dataclasses import dataclass

from sim.sources import Target, flow_targets, rows

CONTROL_PATH = (
    "annex7_3_backsolved_share_control_matched_start_minus_3",
    "annex7_3_backsolved_share_control_matched_start_minus_2",
    "annex7_3_backsolved_share_control_matched_start_minus_1",
    "annex7_3_backsolved_share_control_matched_start",
    "annex7_3_backsolved_share_control_matched_start_plus_1",
)
"""Leisure-job shares of the matched controls in the years -3 to +1 around their start year, 2014."""

AGED_15_20 = (
    "fig5_15_leisure_job_women_supported_areas_2015",
    "fig5_15_leisure_job_men_supported_areas_2015",
)
"""Pupils and students aged 15-20 with a leisure job of at least 2,000 DKK a year."""


@dataclass(frozen=True)
class Targets:
    """The published shares, split by role.

    ``fit``: the 12 printed shares of Figure 4.13. ``shown``: the 4 remainders and the readings of section 1.2.1 that
    contradict the figure by a point; they are compared, never fitted.
    """

    fit: tuple[Target, ...]
    shown: tuple[Target, ...]

    @classmethod
    def read(cls) -> Targets:
        """Read the targets of the cash-benefit flows from the evidence book.

        >>> len(Targets.read().fit), len(Targets.read().shown)
        (12, 7)
        """
        fitted = [t for t in flow_targets() if t.reading == "a" and not t.remainder]
        return cls(tuple(fitted), tuple(t for t in flow_targets() if t not in fitted))


def control_path() -> tuple[list[float], list[float]]:
    """Return the mean ages (years) and leisure-job shares of the matched controls in their five event years.

    Their mean age in 2010 is printed, taken as whole years in December, so half a year below the exact age; the start
    year is 2014, so event year k lies 4 + k years later.
    """
    age_2010 = float(rows("targets")["annex7_1_age_in_2010_control_matched"]["value"])
    ages = [age_2010 + 0.5 + 4 + k for k in range(-3, 2)]
    return ages, [float(rows("targets")[id]["value"]) for id in CONTROL_PATH]
