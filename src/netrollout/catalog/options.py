"""Options in the names of policies: texts to checked values."""

from __future__ import annotations

from netrollout.policies import PolicyName
from netrollout.seeding import SEEDS
from netrollout.types import InputError

PPO_STEPS = 30_000


def choice(name: PolicyName, key: str, known: tuple[str, ...]) -> str:
    """Return an option that is one of a few words; the first where it is not given."""
    value = name.option(key, known[0])
    if value not in known:
        raise InputError(f"policy {name}: {key}={value}; choose one of {', '.join(known)}")
    return value


def number(text: str, key: str, name: PolicyName) -> float:
    """Return an option's number."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"policy {name}: {key}={text} is not a number") from None


def whole(name: PolicyName, key: str, default: int) -> int:
    """Return an option's whole number."""
    found = number(name.option(key, str(default)), key, name)
    if not found.is_integer() or not 0 <= found < SEEDS:
        raise InputError(f"policy {name}: {key}={found:g}; expected a whole number from 0 to {SEEDS - 1}")
    return int(found)


def training(name: PolicyName, seed: int) -> tuple[int, int]:
    """Return the environment steps and the seed of a training."""
    return whole(name, "steps", PPO_STEPS), whole(name, "seed", seed)
