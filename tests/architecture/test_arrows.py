"""Who may import whom, read from the source: a new arrow is a decision, made in the tables below."""

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import calibration
import run
import sim

ROOT = Path(run.__file__).parent
ENGINE = ("engine.ledger", "engine.months", "engine.streams")
SUBJECTS = (
    "capacity",
    "differences",
    "holdouts",
    "labels",
    "observed",
    "outcomes",
    "people",
    "queues",
    "sensitivity",
    "structures",
    "study",
)
SUBJECTS += ("style",)
PLOTS = tuple(f"plots.{subject}" for subject in SUBJECTS)
SECTIONS = (
    "head",
    "setup",
    "differences",
    "grounds",
    "structures",
    "outcomes",
    "people",
    "queues",
    "observed",
    "sensitivity",
    "sure",
)
REPORT = tuple(f"report.{section}" for section in SECTIONS)

ARROWS: dict[str, set[str]] = {
    "locale": set(),
    "states": set(),
    "engine": set(),
    "engine.growing": set(),
    "engine.streams": {"engine.growing", "engine.kernels"},
    "engine.entries": {"engine.kernels", "engine.streams"},
    "engine.pay": {"engine.kernels"},
    "engine.ledger": set(),
    "engine.kernels": set(),
    "engine.places": {"engine.kernels"},
    "engine.arrivals": {"engine.kernels", "engine.streams"},
    "engine.months": {"engine.streams", "engine.kernels"},
    "errors": {"locale"},
    "sources": {"errors"},
    "declared": set(),
    "draws": {"errors"},
    "parameters": {"draws", "errors", "sources"},
    "eligibility": {"errors", "states"},
    "activities": {
        "activities.base",
        "activities.cards",
        "declared",
        "eligibility",
        "errors",
        "parameters",
        "sources",
        "states",
    },
    "changes": {"activities", "activities.cards", "locale", "parameters", "sources"},
    "capacity": {"sources"},
    "grounds": {"activities", "activities.cards", "capacity", "changes", "scenario"},
    "pages": {
        "activities",
        "activities.base",
        "activities.cards",
        "changes",
        "eligibility",
        "locale",
        "parameters",
        "sources",
        "states",
    },
    "demand": {"parameters"},
    "demography": {"parameters", "states"},
    "fitting": set(),
    "households": {"fitting", "parameters", "states"},
    "recipe": {"engine.arrivals", "fitting", "households", "parameters", "sources", "states"},
    "marginals": {"households", "parameters", "recipe", "sources", "states"},
    "transitions": {"demand", "engine.streams", "parameters", "states"},
    "chain": {"parameters", "states", "transitions"},
    "measures": {"engine.ledger", "states", "transitions"},
    "population": {
        "demography",
        "engine.arrivals",
        "engine.growing",
        "engine.places",
        "engine.streams",
        "households",
        "measures",
        "parameters",
        "recipe",
        "states",
        "transitions",
    },
    "scenario_yaml": {"errors"},
    "scenario_file": {"errors", "scenario_yaml"},
    "scenario_format": {"activities", "activities.base", "locale", "parameters", "scenario_file"},
    "scenario_check": {
        "activities",
        "activities.base",
        "errors",
        "locale",
        "parameters",
        "scenario_file",
        "scenario_format",
        "scenario_yaml",
    },
    "scenario": {
        "activities",
        "errors",
        "parameters",
        "scenario_check",
        "scenario_file",
        "scenario_format",
        "scenario_yaml",
    },
    "catalogue_rows": {
        "activities",
        "activities.cards",
        "changes",
        "locale",
        "measures",
        "parameters",
        "scenario",
        "states",
    },
    "toy": {"scenario"},
    "activities.base": {"states"},
    "activities.cards": {"activities.base", "declared", "errors", "parameters", "sources", "states"},
    "activities.reach": {"activities", "activities.base", "engine.entries", "engine.streams", "states"},
    "activities.acting": {"activities", "activities.base", "engine.entries", "engine.growing"},
    "activities.idle": {"activities", "activities.cards", "scenario"},
    "activities.programme": {
        "activities",
        "activities.acting",
        "activities.base",
        "activities.cards",
        "activities.reach",
        "eligibility",
        "engine.entries",
        "engine.streams",
        "population",
        "scenario",
        "states",
    },
    "shifting": {
        "activities.base",
        "engine.months",
        "engine.streams",
        "parameters",
        "population",
        "states",
        "transitions",
    },
    "model": {
        "activities.programme",
        "chain",
        "demography",
        "errors",
        "measures",
        "parameters",
        "population",
        "recipe",
        "scenario",
        "shifting",
        "states",
        "transitions",
        "engine.pay",
        *ENGINE,
    },
    "variance": set(),
    "runs": {"measures", "variance"},
    "headline": {"measures", "variance"},
    "results": {
        "activities",
        "activities.base",
        "errors",
        "locale",
        "marginals",
        "measures",
        "parameters",
        "plots",
        "runs",
        "scenario",
        "sources",
        "variance",
    },
    "collect": {"activities.base", "measures", "results", "scenario", "states"},
    "comparison": {
        "activities.base",
        "collect",
        "errors",
        "headline",
        "measures",
        "results",
        "runs",
        "scenario",
        "variance",
    },
    "ensemble": {
        "collect",
        "comparison",
        "draws",
        "errors",
        "measures",
        "model",
        "parameters",
        "results",
        "runs",
        "scenario",
        "sensitivity",
        "sources",
    },
    "study": {"engine.streams", "sources"},
    "evaluation": {
        "engine.months",
        "errors",
        "model",
        "plots",
        "results",
        "scenario",
        "scenario_format",
        "sources",
        "states",
        "study",
        "transitions",
    },
    "sensitivity": {
        "activities.idle",
        "errors",
        "headline",
        "measures",
        "model",
        "parameters",
        "recipe",
        "results",
        "scenario",
        "transitions",
    },
    "plots": {"errors", "headline", *PLOTS},
    "plots.style": {"locale", "scenario"},
    "plots.labels": {"activities", "locale", "measures", "plots.style", "states"},
    "plots.outcomes": {"locale", "measures", "plots.labels", "plots.style", "scenario", "states"},
    "plots.differences": {"headline", "locale", "measures", "plots.labels", "plots.style", "scenario"},
    "plots.holdouts": {"locale", "measures", "plots.labels", "plots.structures", "plots.style"},
    "plots.observed": {"locale", "plots.labels", "plots.style"},
    "plots.people": {"locale", "plots.labels", "plots.style", "sources", "states"},
    "plots.queues": {"locale", "plots.labels", "plots.style", "scenario"},
    "plots.capacity": {"capacity", "locale", "plots.style"},
    "plots.sensitivity": {"activities", "changes", "headline", "locale", "measures", "plots.labels", "plots.style"},
    "plots.structures": {"headline", "locale", "measures", "plots.labels", "plots.style", "variance"},
    "plots.study": {"locale", "plots.labels", "plots.style"},
    "uncertainty": {"headline", "locale", "measures", "plots", "variance"},
    "report": {"results", "report.folder", *REPORT},
    "report.folder": {"errors", "headline", "locale", "plots", "results", "uncertainty", "variance"},
    "report.parts": {"plots", "report.folder", "results"},
    "report.words": {"headline", "locale", "measures", "plots", "report.folder", "report.parts"},
    "report.head": {
        "headline",
        "locale",
        "measures",
        "plots",
        "report.folder",
        "report.parts",
        "report.words",
        "uncertainty",
    },
    "report.setup": {"locale", "report.folder", "report.parts"},
    "report.differences": {"measures", "plots", "report.folder", "report.parts", "report.words"},
    "report.grounds": {"changes", "grounds", "locale", "plots", "report.folder", "report.parts", "scenario"},
    "report.structures": {
        "headline",
        "locale",
        "measures",
        "plots",
        "report.folder",
        "report.parts",
        "report.words",
        "uncertainty",
        "variance",
    },
    "report.outcomes": {"headline", "locale", "measures", "plots", "report.folder", "report.parts", "report.words"},
    "report.people": {"locale", "measures", "plots", "report.folder", "report.parts"},
    "report.queues": {"headline", "locale", "plots", "report.folder", "report.parts"},
    "report.observed": {
        "locale",
        "measures",
        "plots",
        "report.folder",
        "report.parts",
        "report.words",
        "sources",
        "uncertainty",
    },
    "report.sensitivity": {
        "headline",
        "locale",
        "measures",
        "plots",
        "report.folder",
        "report.parts",
        "report.words",
        "uncertainty",
    },
    "report.sure": {
        "locale",
        "parameters",
        "plots",
        "report.folder",
        "report.parts",
        "report.words",
        "sources",
        "uncertainty",
    },
    "": {"activities"},
}
"""What each module of ``sim`` imports from ``sim``, wherever in the file, imports for type checking aside.

``""`` is ``sim`` itself, whose public names are found lazily.
"""

CALIBRATION_MAY = {
    "activities",
    "chain",
    "draws",
    "errors",
    "evaluation",
    "locale",
    "marginals",
    "measures",
    "parameters",
    "plots",
    "plots.style",
    "population",
    "recipe",
    "results",
    "scenario",
    "sources",
    "states",
    "transitions",
}
"""What ``calibration`` may import from ``sim``."""

ONLY = {
    "mesa": {"sim.model"},
    "numba": {"sim.engine.kernels"},
    "matplotlib": {
        "sim.plots",
        *(f"sim.{name}" for name in PLOTS if name != "plots.labels"),
        "calibration.figures",
        "calibration.panel.figures",
    },
    "arviz": {"calibration.export"},
    "joblib": {
        "sim.ensemble",
        "sim.evaluation",
        "sim.sensitivity",
        "calibration.holdouts",
        "calibration.samplers.ensemble",
    },
    "emcee": {"calibration.samplers.ensemble"},
    "dynesty": {"calibration.samplers.nested"},
    "typer": {"run"},
    # The sampler cannot know beforehand how long it takes, so it shows itself how far the rules are met.
    "tqdm": {"run", "calibration.panel.estimation", "calibration.samplers.ensemble"},
    "jinja2": {"sim.report"},
    "pyarrow": {"sim.draws"},
    "pydantic": {"sim.scenario_check", "sim.scenario_format"},
    "babel": {"sim.locale"},
}
"""The only modules that may import a library, and do."""

SIM_NAMES = (
    "AreaModel InputError Parameter ParameterError ParameterSet Resident Result Scenario ScenarioError compare "
    "list_activities run toy_area"
)
CALIBRATION_NAMES = (
    "Calibration Fit PanelFit Targets Validation calibrate fit_core_rates fit_panel fit_side_job_starts simulate_panel "
    "validate"
)


class Import(NamedTuple):
    """One import of a module: what it names, and whether only a type checker sees it."""

    module: str
    line: int
    typing_only: bool
    name: str = ""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(path): path for path in [*ROOT.glob("sim/**/*.py"), *ROOT.glob("calibration/**/*.py"), ROOT / "run.py"]
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
MODULES = sorted(TREES)


def imports_of(name: str) -> Iterator[Import]:
    """Yield every import of a module, absolute; ``from . import x`` names the module x where there is one."""
    guarded: set[ast.AST] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            guarded |= {inner for part in node.body for inner in ast.walk(part)}
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, node in guarded)
        if isinstance(node, ast.ImportFrom):
            package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                module = inner if inner in TREES else origin
                yield Import(module, node.lineno, node in guarded, alias.name)


def arrows_of(name: str) -> set[str]:
    """Return the modules of ``sim`` that a module imports when it runs, without ``sim.``."""
    found = {found.module for found in imports_of(name) if not found.typing_only}
    return {module.partition(".")[2] for module in found if module.partition(".")[0] == "sim"}


def test_every_module_is_read():
    assert {"run", "sim", "sim.model", "sim.engine.kernels", "calibration", "calibration.point_fits"} <= set(MODULES)
    assert {f"sim.{name}".rstrip(".") for name in ARROWS} == {name for name in MODULES if name.split(".")[0] == "sim"}
    assert sum(len(list(imports_of(name))) for name in MODULES) > 200


@pytest.mark.parametrize("name", ARROWS, ids=lambda name: name or "sim")
def test_a_module_imports_what_the_table_says(name: str):
    assert arrows_of(f"sim.{name}".rstrip(".")) == ARROWS[name]


def test_the_arrows_run_one_way():
    """Two lazy arrows, and only those, run against the order: a result draws itself, and sim lists its activities."""
    order = {name: arrows - {"plots"} if name == "results" else arrows for name, arrows in ARROWS.items()}
    found = list(graphlib.TopologicalSorter(order).static_order())
    assert sorted(found) == sorted(ARROWS)
    assert "results" not in ARROWS["plots"]


def test_the_engine_knows_nothing_of_ours():
    mine = [name for name in ARROWS if name.startswith("engine")]
    assert len(mine) > 3
    assert all(to.startswith("engine.") for name in mine for to in ARROWS[name])
    assert {found.module.split(".")[0] for found in imports_of("sim.engine.kernels")} == {
        "__future__",
        "collections",
        "hashlib",
        "numba",
        "numpy",
        "os",
        "pathlib",
        "tempfile",
        "typing",
    }


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] == "calibration"])
def test_calibration_imports_only_its_part_of_sim(name: str):
    assert arrows_of(name) <= CALIBRATION_MAY


def test_nobody_but_calibration_itself_and_the_door_imports_calibration():
    importers = {name for name in MODULES for found in imports_of(name) if found.module.split(".")[0] == "calibration"}
    assert {name.split(".")[0] for name in importers} <= {"calibration", "run"}
    assert "calibration.point_fits" in importers
    assert not [name for name in MODULES for found in imports_of(name) if found.module == "run"]


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_imported_where_it_belongs(library: str):
    importers = {
        name
        for name in MODULES
        for found in imports_of(name)
        if found.module.split(".")[0] == library and not found.typing_only
    }
    assert importers == ONLY[library]


def test_kernels_and_the_model_are_loaded_only_when_needed():
    for importer, module in (
        ("sim.engine.arrivals", "sim.engine.kernels"),
        ("sim.engine.months", "sim.engine.kernels"),
        ("sim.engine.places", "sim.engine.kernels"),
        ("sim.ensemble", "sim.model"),
        ("sim.sensitivity", "sim.model"),
    ):
        at_the_top = {
            ast.unparse(node) for node in TREES[importer].body if isinstance(node, ast.Import | ast.ImportFrom)
        }
        name = module.rpartition(".")[2]
        assert at_the_top
        assert not [line for line in at_the_top if f".{name} " in line]
        assert module in {found.module for found in imports_of(importer)}


# --- chance


FORBIDDEN = ("random", "secrets", "uuid", "time")
"""Modules that bring chance or the clock."""


def attributes_of(name: str) -> Iterator[tuple[str, int]]:
    """Yield every dotted name in a module, as in ``np.random.default_rng``, with its line."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node), node.lineno


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] == "sim"])
def test_sim_has_no_chance_but_its_own_draws(name: str):
    for found in imports_of(name):
        assert found.module.split(".")[0] not in FORBIDDEN, f"{name}:{found.line}"
        assert not found.module.startswith("numpy.random"), f"{name}:{found.line}"
        assert (found.module, found.name) != ("numpy", "random"), f"{name}:{found.line}"
    for dotted, line in attributes_of(name):
        assert not dotted.startswith(("np.random", "numpy.random", "os.urandom")), f"{name}:{line}"
        assert not dotted.endswith((".default_rng", ".shuffle", ".shuffle_do", ".sample")), f"{name}:{line}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] == "calibration"])
def test_calibration_makes_its_chance_in_one_place(name: str):
    """Elsewhere a generator is only named as the type of an argument."""
    for found in imports_of(name):
        assert found.module.split(".")[0] not in FORBIDDEN, f"{name}:{found.line}"
        assert not found.module.startswith("numpy.random"), f"{name}:{found.line}"
        assert (found.module, found.name) != ("numpy", "random"), f"{name}:{found.line}"
    made = [dotted for dotted, _ in attributes_of(name) if dotted.startswith(("np.random.", "numpy.random."))]
    if name == "calibration.samplers.seeds":
        assert {"np.random.SeedSequence", "np.random.default_rng"} <= set(made)
    else:
        assert set(made) <= {"np.random.Generator"}, name


SAMPLERS = ("ensemble", "nested", "optimum", "seeds")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_know_nothing_of_what_they_sample(sampler: str):
    found = {found.module for found in imports_of(f"calibration.samplers.{sampler}")}
    ours = {module for module in found if module.split(".")[0] in ("sim", "calibration")}
    assert ours <= {"sim.errors", *(f"calibration.samplers.{name}" for name in SAMPLERS)}
    assert {name for name in MODULES if name.startswith("calibration.samplers.")} == {
        f"calibration.samplers.{name}" for name in SAMPLERS
    }


def test_the_extra_sampler_is_loaded_only_when_asked_for():
    tree = TREES["calibration.samplers.nested"]
    at_the_top = {ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    assert not [line for line in at_the_top if "dynesty" in line]


def test_the_search_for_chance_would_find_it(monkeypatch: pytest.MonkeyPatch):
    lines = (
        "import random",
        "from numpy import random",
        "import numpy.random",
        "import numpy as np\nnp.random.seed(1)",
        "def f(df):\n    return df.sample(3)",
        "def f():\n    import time",
    )
    for source in lines:
        monkeypatch.setitem(TREES, "sim.toy", ast.parse(source))
        with pytest.raises(AssertionError):
            test_sim_has_no_chance_but_its_own_draws("sim.toy")


def test_the_search_for_arrows_would_find_them(monkeypatch: pytest.MonkeyPatch):
    lines = {
        "from . import report": {"report"},
        "from .engine import months": {"engine.months"},
        "import sim.model": {"model"},
        "def f():\n    from .ensemble import run": {"ensemble"},
        "from sim.activities.base import EVENTS": {"activities.base"},
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .report import write_report": set(),
    }
    for source, expected in lines.items():
        monkeypatch.setitem(TREES, "sim.toy", ast.parse(source))
        assert arrows_of("sim.toy") == expected, source


# --- names and weight


def test_the_public_names_are_pinned_and_there():
    for package, names in ((sim, SIM_NAMES), (calibration, CALIBRATION_NAMES)):
        assert sorted(package.__all__) == sorted(names.split())
        assert all(getattr(package, name) is not None for name in names.split())
        with pytest.raises(AttributeError, match="nothing_of_the_kind"):
            getattr(package, "nothing_of_" + "the_kind")
    assert sorted(dir(sim)) == sorted(sim.__all__)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import sim", {"mesa", "numba", "pandas", "matplotlib", "numpy", "scipy", "pydantic"}),
        ("import calibration", {"mesa", "numba", "pandas", "matplotlib", "scipy"}),
        ("import run; run.main(['list', 'states'])", {"mesa", "numba", "matplotlib", "scipy", "joblib"}),
        ("import run; run.main(['list', 'activities', '--json'])", {"mesa", "numba", "matplotlib", "pandas"}),
        ("import run; run.main(['check', 'leisure_jobs'])", {"mesa", "numba", "matplotlib", "pandas"}),
        ("import run; run.main(['show', 'leisure_jobs'])", {"mesa", "numba", "matplotlib"}),
        ("from sim import AreaModel, toy_area; AreaModel(toy_area()).step()", {"numba", "matplotlib"}),
    ],
)
def test_a_light_command_loads_nothing_heavy(code: str, heavy: set[str]):
    said = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nimport json; print('\\n' + json.dumps(sorted(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    loaded = set(json.loads(said.stdout.splitlines()[-1]))
    assert "sim" in loaded or "calibration" in loaded
    assert loaded & heavy == set()


ALONE = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m.split(".")[0] in ("sim", "calibration", "run")]:
        del sys.modules[loaded]
    print(importlib.import_module(name).__name__)
"""


@pytest.mark.slow
def test_every_module_can_be_imported_first():
    said = subprocess.run(
        [sys.executable, "-c", ALONE, *MODULES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.stderr == ""
    assert said.stdout.split() == MODULES
