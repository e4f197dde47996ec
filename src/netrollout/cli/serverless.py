"""`netrollout serverless`: the replay of recorded episodes of the published task farm."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netrollout.cli.common import JsonFile, notice, printer, write_json
from netrollout.types import InputError

if TYPE_CHECKING:
    from netrollout.systems.serverless.replay import Episode

app = typer.Typer(no_args_is_help=True, help="The serverless task farm.")
KEYS = ("seed", "action", "step_dt_derived", "summary")
TIMES = ("avg_t", "max_t")  # service times in a step, s; not needed, but a negative one is an error
MOST = 10**15  # no number of a record is larger
LONGEST = 80  # characters of a value in an error


@app.callback()
def serverless() -> None:
    """Keep `replay` a sub-command although it is the only one."""


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="JSON: agent -> episodes with seed, action and step times")],
    json_file: JsonFile = None,
) -> None:
    """Re-simulate recorded episodes and compare the final QoS with what was recorded."""
    from rich.markup import escape
    from rich.table import Table

    from netrollout.systems.serverless.replay import DELAY, DELAYS, final_qos

    record: dict[str, Any] = {}
    table = Table("agent", "episodes", "simulated", "recorded", "mean absolute error")
    recorded = {name: [_episode(file, name, k, e) for k, e in enumerate(_episodes(file, name, agent))]
                for name, agent in _agents(file).items()}  # fmt: skip
    for name, episodes in recorded.items():
        if name not in DELAYS:
            notice(f"netrollout: {file}: agent {name!r} is not a published one; a new worker starts after {DELAY} s")
        rows = [
            {"seed": known.seed, "simulated": final_qos(known, DELAYS.get(name, DELAY)), "recorded": real}
            for known, real in episodes
        ]
        error = math.fsum(abs(row["simulated"] - row["recorded"]) for row in rows) / len(rows)
        record[name] = {"mean_absolute_error": error, "episodes": rows}
        means = [math.fsum(row[column] for row in rows) / len(rows) for column in ("simulated", "recorded")]
        table.add_row(escape(name), str(len(rows)), f"{means[0]:.4f}", f"{means[1]:.4f}", f"{error:.5f}")
    printer(json_file).print(table)
    write_json(json_file, {"agents": record})


def _agents(file: Path) -> dict[str, Any]:
    """Return the agents of a file: its `comparison`, or itself where it has none."""
    try:
        record = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; expected a JSON file of recorded episodes") from None
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of a number with thousands of digits
        raise InputError(f"{file}: not JSON ({error}); expected agent -> episodes") from None
    agents = record.get("comparison", record) if isinstance(record, dict) else None
    if not isinstance(agents, dict) or not agents:
        raise InputError(f"{file}: expected an object of agents, each with its episodes")
    for name in agents:
        if not name.isprintable():  # a half of a surrogate pair, say, which no terminal and no file takes
            raise InputError(f"{file}: agent {name!a}: expected a name of printable characters")
    return agents


def _episodes(file: Path, name: str, agent: Any) -> list[Any]:
    episodes = agent.get("episodes") if isinstance(agent, dict) else None
    if not isinstance(episodes, list) or not episodes:
        raise InputError(f"{file}: agent {name}: expected a list 'episodes' with one or more of them")
    return episodes


def _episode(file: Path, name: str, k: int, episode: Any) -> tuple[Episode, float]:
    """Return what a record tells of an episode, and its final QoS."""
    from netrollout.seeding import SEEDS
    from netrollout.systems.serverless.replay import Episode
    from netrollout.systems.serverless.tasks import FIRST

    where = f"{file}: agent {name}, episode {k}"
    if not isinstance(episode, dict):
        raise InputError(f"{where}: expected an object with {', '.join(KEYS)}")
    for key in KEYS:
        if key not in episode:
            raise InputError(f"{where}: key {key!r} is missing; expected {', '.join(KEYS)}")
    seed, summary = episode["seed"], episode["summary"]
    if type(seed) is not int or not 0 <= seed < SEEDS:
        raise InputError(f"{where}: seed is {seed!r}; expected a whole number from 0 to {SEEDS - 1}")
    action, length = _series(where, episode, "action"), _series(where, episode, "step_dt_derived")
    if len(action) != len(length):
        raise InputError(f"{where}: {len(action)} entries of action for {len(length)} of step_dt_derived; give as many")
    for step, (change, seconds) in enumerate(zip(action, length, strict=True)):
        if change not in (-1, 0, 1):
            raise InputError(f"{where}: action[{step}] is {change:g}; expected -1, 0 or 1")
        if not seconds > 0.0:
            raise InputError(f"{where}: step_dt_derived[{step}] is {seconds} s; expected more than 0")
    for key in (*TIMES, *(key for key in episode if key.startswith("service"))):
        values = episode.get(key, [])
        for step, value in enumerate(values if isinstance(values, list) else [values]):
            if isinstance(value, int | float) and not value >= 0.0:
                raise InputError(f"{where}: {key}[{step}] is {_short(value)} s; expected a time of 0 s or more")
    if not isinstance(summary, dict) or "final_qos_total" not in summary:
        raise InputError(f"{where}: key 'summary.final_qos_total' is missing; expected the recorded final QoS")
    real = _number(where, "final_qos_total", summary["final_qos_total"])
    first = _number(where, "t0_derived", episode.get("t0_derived", FIRST))
    if not 0.0 <= real <= 1.0 or not first >= 0.0:
        raise InputError(
            f"{where}: final_qos_total is {real:g}, t0_derived {first:g} s; expected a share, 0 to 1, and 0 s or more"
        )
    return Episode(seed, [int(change) for change in action], length, first), real


def _series(where: str, episode: dict[str, Any], key: str) -> list[float]:
    values = episode[key]
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: {key!r} is {type(values).__name__}; expected a list with a number per step")
    return [_number(where, f"{key}[{step}]", value) for step, value in enumerate(values)]


def _number(where: str, what: str, value: Any) -> float:
    number = float(value) if isinstance(value, float) or (type(value) is int and abs(value) <= MOST) else math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {what} is {_short(value)}; expected a number")
    return number


def _short(value: Any) -> str:
    """Write a value of the file so that it fits into a line."""
    text = f"a whole number beyond {MOST:g}" if type(value) is int and abs(value) > MOST else repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
