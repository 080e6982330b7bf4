"""Declared data: YAML files of the package, which are read once and kept as JSON in the user's cache folder.

Reading the catalogue's YAML takes most of a second, its JSON some milliseconds. What is kept is named by a digest of
the file, so a changed line is read anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any


def read_declared(path: Path) -> Any:
    """Return the content of a YAML file of ours, from the cache when it holds exactly this file."""
    text = path.read_bytes()
    kept = _kept(path.stem, hashlib.sha256(text).hexdigest()[:32])
    if kept is not None:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(kept.read_bytes())
    from ruamel.yaml import YAML

    found = YAML(typ="safe", pure=True).load(text)
    if kept is not None:
        with contextlib.suppress(OSError):
            part = kept.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(found), encoding="utf-8")
            part.replace(kept)
    return found


def _kept(name: str, digest: str) -> Path | None:
    """Return where the content of a file is kept; None where nothing can be written."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobveje" / "declared"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder / f"{name}-{digest}.json"
