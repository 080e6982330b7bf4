"""Affine-invariant ensemble sampling (emcee): independent ensembles from over-dispersed optima, in resumable blocks.

An ensemble is many walkers that propose from one another's places. Several ensembles, each from its own over-dispersed
place and with its own generator, tell whether they have forgotten where they began (rank-normalised split R-hat).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import emcee
import numpy as np
from joblib import Parallel, delayed
from scipy.stats import norm, rankdata
from tqdm import tqdm

from sim.errors import Problem, ResultError

from .optimum import LogDensity, Optimum
from .seeds import ensemble_states

_MOVES: Final = ((emcee.moves.DEMove, 0.8), (emcee.moves.DESnookerMove, 0.2))
"""Differences between walkers, now and then along a line through another one: half the autocorrelation of stretches."""
_WIDER: Final = 1.15
"""Scale of proposals around an optimum over that of the normal distribution with the same curvature there."""
_SETTINGS: Final = "settings.json"
_PART: Final = ".part"


@dataclass(frozen=True)
class Rules:
    """When to stop: enough steps, agreeing ensembles, enough effective draws; or ``most_steps``, whichever comes first.

    ``lengths``: kept steps over the longest autocorrelation time; ``r_hat``: largest rank-normalised split R-hat;
    ``effective``: effective draws of the worst parameter. The first ``discard`` (share) of the steps is forgotten. They
    are looked at after every ``block`` steps.
    """

    lengths: float = 50
    r_hat: float = 1.01
    effective: float = 400
    discard: float = 0.2
    block: int = 250
    most_steps: int = 20_000


class Diagnostics(NamedTuple):
    """How far the rules are met; arrays have one entry a parameter.

    ``autocorrelation`` in steps, the longest of the ensembles; ``effective`` draws of all ensembles together.
    """

    kept: int
    autocorrelation: np.ndarray
    r_hat: np.ndarray
    effective: np.ndarray
    acceptance: float
    converged: bool


@dataclass(frozen=True)
class Sample:
    """Kept draws on the unconstrained scale, shape (ensembles, steps, walkers, parameters), and their log densities."""

    chain: np.ndarray
    log_density: np.ndarray
    diagnostics: Diagnostics
    steps: int

    @property
    def flat(self) -> np.ndarray:
        """All kept draws, shape (draws, parameters): ensemble after ensemble, step after step."""
        return self.chain.reshape(-1, self.chain.shape[-1])


def dispersed(
    found: Sequence[Optimum], ensembles: int, walkers: int, generator: np.random.Generator, density: LogDensity
) -> np.ndarray:
    """Return over-dispersed starts, shape (ensembles, walkers, parameters), all where the density is not nil.

    Each ensemble has a centre of its own, drawn around one of the optima in turn with twice its standard errors (less
    where the density is nil), and its walkers spread around the centre with one standard error.
    """
    starts = np.empty((ensembles, walkers, len(found[0].z)))
    for ensemble in range(ensembles):
        optimum = found[ensemble % len(found)]
        root = np.linalg.cholesky(optimum.covariance)
        while True:
            centre = optimum.z + 2 * root @ generator.standard_normal(len(root))
            places = centre + generator.standard_normal((walkers, len(root))) @ root.T
            if np.isfinite(density(places)).all():
                break
            # Ever closer to the optimum, where the density is not nil.
            root = 0.9 * root
        starts[ensemble] = places
    return starts


# --- one block of one ensemble


class _Block(NamedTuple):
    """Consecutive steps of an ensemble, and the random state after them."""

    chain: np.ndarray
    log_density: np.ndarray
    accepted: np.ndarray
    random_state: tuple[Any, ...]


@dataclass(frozen=True)
class _Bell:
    """Proposals that do not depend on where a walker stands: a wide normal distribution around an optimum.

    Where the density is not far from normal most are accepted, and a walker forgets its past in a few steps (Tierney
    1994, Annals of Statistics 22). ``chance`` is the ensemble's own, as emcee keeps it.
    """

    near: Optimum

    def __call__(self, places: np.ndarray, chance: Any) -> tuple[np.ndarray, np.ndarray]:
        root = _WIDER * np.linalg.cholesky(self.near.covariance)
        standard = chance.standard_normal(places.shape)
        before = np.linalg.solve(root, (places - self.near.z).T).T
        return self.near.z + standard @ root.T, 0.5 * ((standard**2).sum(axis=1) - (before**2).sum(axis=1))


def _run(density: LogDensity, before: _Block, steps: int, near: Optimum | None) -> _Block:
    """Return the next steps of an ensemble: a function of the block before alone, in whatever process."""
    walkers, parameters = before.chain.shape[1:]
    moves = [(move(), weight) for move, weight in _MOVES]
    if near is not None:
        moves.append((emcee.moves.MHMove(_Bell(near)), sum(weight for _, weight in _MOVES)))
    sampler = emcee.EnsembleSampler(walkers, parameters, density, moves=moves, vectorize=True)
    state = emcee.State(before.chain[-1], log_prob=before.log_density[-1], random_state=before.random_state)
    sampler.run_mcmc(state, steps, skip_initial_state_check=True)
    chain = sampler.get_chain()
    return _Block(chain, sampler.get_log_prob(), np.array(sampler.backend.accepted), sampler.random_state)


def _path(folder: Path, ensemble: int, block: int) -> Path:
    return folder / f"ensemble-{ensemble:02d}-block-{block:04d}.npz"


def _store(path: Path, block: _Block) -> None:
    """Write a block so that it is there whole or not at all."""
    kind, keys, *rest = block.random_state
    part = path.with_suffix(_PART)
    with part.open("wb") as handle:
        np.savez(
            handle,
            chain=block.chain,
            log_density=block.log_density,
            accepted=block.accepted,
            keys=keys,
            rest=np.array(rest, dtype=float),
            kind=np.array(kind),
        )
    os.replace(part, path)


def _load(path: Path) -> _Block:
    """Read a block. Raises ``ResultError`` when the file is damaged."""
    try:
        # numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as data:
            place, has_gauss, gauss = data["rest"]
            state = (str(data["kind"]), data["keys"], int(place), int(has_gauss), float(gauss))
            return _Block(data["chain"], data["log_density"], data["accepted"], state)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ResultError([Problem("checkpoint_damaged", values={"path": path})]) from error


def _block(
    density: LogDensity,
    before: _Block,
    steps: int,
    near: Optimum | None,
    folder: Path | None,
    ensemble: int,
    number: int,
) -> _Block:
    """Return a block, from its file when there is one; otherwise run it and write the file."""
    if folder is None:
        return _run(density, before, steps, near)
    path = _path(folder, ensemble, number)
    if not path.is_file():
        _store(path, _run(density, before, steps, near))
    return _load(path)


def _open(folder: Path, settings: dict[str, Any]) -> None:
    """Make the folder of a computation, or see that it holds this very one.

    Raises ``ResultError`` when the folder belongs to another computation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _SETTINGS
    written = json.dumps(settings, indent=1, sort_keys=True)
    if path.is_file():
        if path.read_text(encoding="utf-8") != written:
            raise ResultError([Problem("checkpoint_other", values={"folder": folder})])
        return
    # A part of a file is what an earlier computation was killed over.
    if any(entry.suffix != _PART for entry in folder.iterdir()):
        raise ResultError([Problem("checkpoint_other", values={"folder": folder})])
    part = path.with_suffix(_PART)
    part.write_text(written, encoding="utf-8")
    os.replace(part, path)


def forget(folder: Path) -> None:
    """Remove what :func:`sample` keeps in ``folder``, and the folder when nothing else is in it."""
    if folder.is_dir():
        settings = folder / _SETTINGS
        for path in (settings, settings.with_suffix(_PART), *folder.glob("ensemble-*-block-*")):
            path.unlink(missing_ok=True)
    remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove ``folder`` when it is there and nothing is in it."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


# --- the whole


def sample(
    density: LogDensity,
    starts: np.ndarray,
    seed: int,
    *,
    rules: Rules | None = None,
    near: Optimum | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: bool | str = False,
) -> Sample:
    """Sample ``density`` with one ensemble an entry of ``starts`` until the rules hold.

    ``starts`` have the shape (ensembles, walkers, parameters). With an optimum ``near`` every second step, by chance,
    proposes from a bell around it, which mixes in a tenth of the steps where the density is not far from normal; what
    the bell misses is left to the other steps. ``workers`` processes share the ensembles and change no
    byte (``density`` must then be picklable). With a ``folder`` every block is kept there, and a killed computation
    continues to the same bytes. ``progress`` shows a bar on stderr, under that name if it is one.

    Raises ``ResultError`` when the folder belongs to another computation (other density, starts, seed or rules) or is
    damaged. Look at ``diagnostics.converged``: the rules may not hold after ``rules.most_steps``.
    """
    rules = rules or Rules()
    heights = np.array([density(walkers) for walkers in starts])
    if folder is not None:
        # The density at the starts stands for everything it depends on: data, priors, model.
        bell = b"" if near is None else near.z.tobytes() + near.covariance.tobytes()
        content = hashlib.sha256(starts.tobytes() + heights.tobytes() + bell).hexdigest()
        _open(folder, {"seed": seed, "content": content, **asdict(rules), "emcee": emcee.__version__})
    states = ensemble_states(seed, len(starts))
    last = [
        _Block(walkers[None], height[None], np.zeros(len(walkers)), state)
        for walkers, height, state in zip(starts, heights, states, strict=True)
    ]
    blocks: list[list[_Block]] = []
    with (
        Parallel(n_jobs=min(workers, len(starts))) as parallel,
        tqdm(
            total=rules.most_steps,
            desc=progress if isinstance(progress, str) else None,
            unit="step",
            file=sys.stderr,
            disable=not progress,
        ) as bar,
    ):
        while True:
            last = parallel(
                delayed(_block)(density, before, rules.block, near, folder, ensemble, len(blocks))
                for ensemble, before in enumerate(last)
            )
            blocks.append(last)
            steps = len(blocks) * rules.block
            kept = slice(int(rules.discard * steps), None)
            chain = np.stack([np.concatenate([b[e].chain for b in blocks])[kept] for e in range(len(starts))])
            accepted = np.mean([one.accepted for block in blocks for one in block]) / rules.block
            found = _diagnose(chain, float(accepted), rules)
            bar.update(rules.block)
            bar.set_postfix(
                autocorrelation=f"{found.autocorrelation.max():.0f}",
                r_hat=f"{found.r_hat.max():.3f}",
                effective=f"{found.effective.min():.0f}",
            )
            if found.converged or steps >= rules.most_steps:
                break
    heights = np.stack([np.concatenate([b[e].log_density for b in blocks])[kept] for e in range(len(starts))])
    return Sample(chain, heights, found, steps)


def _diagnose(chain: np.ndarray, acceptance: float, rules: Rules) -> Diagnostics:
    """Hold kept draws (ensembles, steps, walkers, parameters) against the rules; R-hat is inf while too few."""
    ensembles, kept, walkers, parameters = chain.shape
    times = np.max([autocorrelation(one) for one in chain], axis=0)
    effective = ensembles * kept * walkers / times
    enough = bool(kept >= rules.lengths * times.max() and effective.min() >= rules.effective)
    thin = max(1, int(times.max() / 8)) if enough else 1
    ratios = r_hat(chain[:, ::thin]) if enough else np.full(parameters, np.inf)
    return Diagnostics(kept, times, ratios, effective, acceptance, enough and bool(ratios.max() < rules.r_hat))


def autocorrelation(chain: np.ndarray) -> np.ndarray:
    """Return the integrated autocorrelation time of each parameter in steps, at least 1.

    Infinite where a walker has not moved. Goodman and Weare's estimate over the walkers, as in emcee; ``chain`` has the
    shape (steps, walkers, parameters).
    """
    found = np.full(chain.shape[-1], np.inf)
    moved = (np.ptp(chain, axis=0) > 0).all(axis=0)
    if moved.any():
        found[moved] = np.maximum(emcee.autocorr.integrated_time(chain[..., moved], tol=0, quiet=True), 1.0)
    return found


def r_hat(chain: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat of each parameter, chain of shape (ensembles, steps, walkers, parameters).

    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16: the larger of the values for location
    and (folded) for scale. Each half of an ensemble counts as one chain.
    """
    half = chain.shape[1] // 2
    parts = np.concatenate([chain[:, :half], chain[:, chain.shape[1] - half :]])
    flat = parts.reshape(len(parts), -1, chain.shape[-1])
    folded = np.abs(flat - np.median(flat, axis=(0, 1)))
    return np.maximum(_split_r_hat(flat), _split_r_hat(folded))


def _split_r_hat(chains: np.ndarray) -> np.ndarray:
    """Return R-hat of the normal scores of the ranks, chains of shape (chains, draws, parameters)."""
    _, draws, parameters = chains.shape
    ranks = rankdata(chains.reshape(-1, parameters), axis=0)
    scores = norm.ppf((ranks - 0.375) / (len(ranks) + 0.25)).reshape(chains.shape)
    within = scores.var(axis=1, ddof=1).mean(axis=0)
    between = draws * scores.mean(axis=1).var(axis=0, ddof=1)
    return np.asarray(np.sqrt(((draws - 1) / draws * within + between / draws) / within))
