"""Files of learned policies: arrays that are never unpickled, with the system, version and algorithm they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from netrollout.learn.config import Identity, canonical, recipe
from netrollout.learn.table import LearnedTable
from netrollout.store import read_arrays, write_arrays
from netrollout.types import InputError, System

if TYPE_CHECKING:
    from netrollout.learn.network import NetworkPolicy

VERSION = 2
KIND = "a policy that `netrollout train` or `netrollout.learn.save` wrote"


def save(policy: LearnedTable | NetworkPolicy, path: str | Path) -> None:
    """Write a learned policy, whole or not at all (npz; nothing is pickled).

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    about = {"kind": "policy", "version": VERSION, **policy.identity.about(), **policy.about()}
    write_arrays(path, about, policy.arrays())


def load(path: str | Path, system: System, algorithm: str | None = None) -> LearnedTable | NetworkPolicy:
    """Read what `save` wrote.

    Parameters
    ----------
    path : path
    system : System
        What the policy is for.
    algorithm : str, optional
        What the file is expected to hold.

    Raises
    ------
    InputError
        If the file is not there, is damaged, holds a number that is not finite, or belongs to another system, another
        algorithm or another version.

    Examples
    --------
    >>> import netrollout
    >>> from netrollout.learn import save
    >>> walk = netrollout.make("walk")
    >>> save(netrollout.train(walk, "q-learning", 50, seed=1), "walk.npz")
    >>> netrollout.load("walk.npz", walk).predict(walk.observe(walk.states()))[0].tolist()
    [[2], [1]]
    """
    about, found = read_arrays(path, KIND)
    if about.get("kind") != "policy":
        raise InputError(f"{path} is not {KIND}")
    if about.get("version") != VERSION:
        raise InputError(
            f"{path}: version {about.get('version')} of a saved policy; only {VERSION} is read, so train anew"
        )
    try:
        identity = _identified(about)
        _refuse_another(path, identity, Identity.of(system, identity.recipe), algorithm)
        if identity.recipe.kind == "table":
            return LearnedTable.restored(identity, about, found)
        from netrollout.learn.network import NetworkPolicy  # torch loads for seconds: only where it is needed

        return NetworkPolicy.restored(identity, system, found)
    except _Stranger as error:
        raise InputError(str(error)) from None
    except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = f": {error}" if isinstance(error, InputError) else ""
        raise InputError(f"{path} is not {KIND}{reason}") from None


class _Stranger(Exception):
    """The file is sound, but belongs to something else."""


def _identified(about: dict[str, Any]) -> Identity:
    made = recipe(about["algorithm"], None, about["variant"], **about["settings"])
    levels = tuple(tuple(float(value) for value in row) for row in about["levels"])
    return Identity(made, str(about["system"]), int(about["observations"]), levels)


def _refuse_another(path: str | Path, found: Identity, wanted: Identity, algorithm: str | None) -> None:
    name = found.recipe.name
    if algorithm is not None and canonical(algorithm) != name:
        raise _Stranger(f"{path} holds a policy of {name}, not of {canonical(algorithm)}; name it {name}(file=...)")
    anew = f"`netrollout train {wanted.system} {name}` writes one that does"
    if found.system != wanted.system:
        raise _Stranger(f"{path} was trained on {found.system} and does not fit {wanted.system}; {anew}")
    if (found.width, found.levels) != (wanted.width, wanted.levels):
        raise _Stranger(f"{path} was trained on {found.shape()}; {wanted.system} has {wanted.shape()}")
