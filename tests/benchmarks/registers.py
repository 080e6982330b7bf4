"""Speed of reading registers, measured and never asserted: ``python tests/benchmarks/registers.py [people]``.

People of the example's kind for ten years (40 quarters), their weeks a row each and as stretches of one code. Making
the people is not counted.
"""

import resource
import sys
import time

import pandas as pd

from calibration.panel.make_example import lives, registers
from calibration.panel.quarters import week_number
from calibration.panel.registers import EXAMPLE, read_registers

MADE = 1000
MOST_LONG = 20_000
"""More people than this are read as stretches only: their weeks one by one would fill the memory while being made."""


def later(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the same five years later."""
    moved = table.copy()
    for name in {"week", "until", "quarter"} & set(table):
        moved[name] = (table[name].str[:4].astype(int) + 5).astype(str) + table[name].str[4:]
    return pd.concat([table, moved], ignore_index=True)


def stretches(weeks: pd.DataFrame) -> pd.DataFrame:
    """Return weeks as stretches of the same code."""
    number = weeks["week"].map({text: week_number(text) for text in weeks["week"].unique()})
    new = (weeks["person"] != weeks["person"].shift()) | (weeks["code"] != weeks["code"].shift()) | (number.diff() != 1)
    return weeks.groupby(new.cumsum()).agg(
        person=("person", "first"), week=("week", "first"), until=("week", "last"), code=("code", "first")
    )


def main(people: int) -> None:
    """Print rows, seconds and memory for each form of the weeks."""
    made = registers(lives(1, MADE), 1)
    weeks = later(made["weeks"][~made["weeks"]["week"].str.endswith("W53")])
    forms = {"stretches": stretches(weeks)} | ({"weeks": weeks} if people <= MOST_LONG else {})
    one = {"quarters": later(made["quarters"]), "people": made["people"].assign(died="", left="")}
    print(
        f"{'form':12s}{'people':>10s}{'rows of weeks':>15s}{'rows of panel':>15s}{'seconds':>9s}{'CPU':>7s}{'GB':>7s}"
    )
    for form, table in forms.items():
        tables = {
            name: pd.concat(
                [rows.assign(person=rows["person"] + f"_{copy}") for copy in range(people // MADE)], ignore_index=True
            )
            for name, rows in (one | {"weeks": table}).items()
        }
        wall, cpu = time.perf_counter(), time.process_time()
        found = read_registers(tables, EXAMPLE / "crosswalk.csv")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        counts = f"{len(tables['people']):10,d}{len(tables['weeks']):15,d}{len(found.frame):15,d}"
        print(f"{form:12s}{counts}{wall:9.1f}{cpu:7.1f}{most:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
