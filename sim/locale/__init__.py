"""Danish and English texts, numbers and dates.

Texts live in the TOML files of this folder, one table a message with a ``da`` and an ``en`` entry. Numbers are written
by Babel (``1.234,5`` in Danish), never by swapping characters.
"""

from __future__ import annotations

import math
import os
import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = ("da", "en")
"""Languages every user-facing text exists in; the first is the default."""

_BABEL = {"da": "da_DK", "en": "en_GB"}
_HERE = Path(__file__).parent


def default_language() -> str:
    """Return the language named by the environment variable JOBVEJE_LANG, else Danish."""
    named = os.environ.get("JOBVEJE_LANG", "")
    return named if named in LANGUAGES else LANGUAGES[0]


@cache
def messages(file: str) -> dict[str, dict[str, str]]:
    """Return all messages of ``sim/locale/<file>.toml`` by key."""
    return tomllib.loads((_HERE / f"{file}.toml").read_text(encoding="utf-8"))


def text(key: str, lang: str, /, **values: object) -> str:
    """Return the message ``file.key`` in ``lang``, filled with ``values``.

    Raises ``KeyError`` when the message or the language is not there: a missing text is a fault, never a blank.
    """
    file, name = key.split(".", 1)
    message = messages(file)[name][lang]
    return message.format(**values) if values else message


def number(value: float, lang: str, digits: int = 0) -> str:
    """Write ``value`` with ``digits`` decimals in the style of ``lang``; a missing value is a dash."""
    from babel.numbers import format_decimal

    if math.isnan(value):
        return "–"
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    rounded = round(float(value), digits) + 0.0
    return format_decimal(rounded, format=pattern, locale=_BABEL[lang])


def percent(share: float, lang: str, digits: int = 1) -> str:
    """Write a share (0-1) as per cent in the style of ``lang``."""
    return "–" if math.isnan(share) else number(100 * share, lang, digits) + " %"


def month_name(month: str, lang: str) -> str:
    """Write ``2013-12`` as a month's name and year, ``dec. 2013`` or ``Dec 2013``."""
    import datetime

    from babel.dates import format_date

    year, number_ = (int(part) for part in month.split("-"))
    return format_date(datetime.date(year, number_, 1), format="MMM y", locale=_BABEL[lang])
