"""Small scenarios for lessons, examples and tests."""

from __future__ import annotations

from .scenario import Scenario


def toy_area(residents: int = 200, months: int = 24) -> Scenario:
    """Return a class-size area with ten leisure-job places from the first month.

    >>> area = toy_area()
    >>> area.residents, area.months
    (200, 24)
    >>> [(plan.activity, plan.places, plan.start, plan.end) for plan in area.activities]
    [('leisure_job', 10, '2012-01', '2013-12')]
    """
    return Scenario.from_resolved(
        {
            "schema": "scenario/1",
            "id": "toy_area",
            "title": {"da": "Et lille område med fritidsjob", "en": "A small area with leisure jobs"},
            "population": {"recipe": "area", "residents": residents},
            "horizon": {"months": months},
            "activities": [{"id": "leisure_job", "activity": "leisure_job", "places": 10}],
        },
        origin="toy_area",
    )
