"""`netrollout adapt --scenario S5`: the working day, every cycle in a log."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netrollout.cli.common import notice

if TYPE_CHECKING:
    from netrollout.adapt.day import DayPlant, DayWindow
    from netrollout.catalog.day import DayController


def day_loop(
    plant: str, policy: str, cycles: int | None, change_at: int | None, seed: int, log: Path | None, resume: bool,
    options: dict[str, Any], about: dict[str, Any],
) -> None:  # fmt: skip
    """Run the working day on a plant; `options` are those of the testbed, `about` is what the log says of it."""
    from netrollout.adapt.day import KINDS
    from netrollout.adapt.journal import Journal
    from netrollout.catalog.day import DayController, load_day

    day = load_day()
    end, at = cycles or day.cycles, day.change_at if change_at is None else change_at
    brain, journal = DayController(policy, seed), None
    with ExitStack() as stack:
        if log is not None:
            header = {"plant": plant, "scenario": "S5", "policy": policy, "explore": "none", "seed": seed,
                      "change_at": at, **_prices(), **about}  # fmt: skip
            journal = stack.enter_context(Journal(log, header, resume, KINDS))
        try:
            world = _plant(plant, brain, at, seed, journal.cycles if journal else [], options, stack)
            while brain.cycle < end:
                line = _cycle(world, brain, at)
                if journal is not None:
                    journal.write(line)
        except KeyboardInterrupt:
            again = "; the same command with --resume goes on" if log is not None else ""
            notice(f"stopped after cycle {brain.cycle - 1}{again}")
            raise typer.Exit(130) from None
    notice(f"{brain.cycle} cycles" + (f", written to {log}" if log is not None else ""))


def _prices() -> dict[str, float]:
    """Return what a log's reader needs to judge it."""
    from netrollout.catalog.day import load_day

    system = load_day().before
    return {key: getattr(system, key) for key in ("cycle", "bound", "late_cost", "worker_cost", "move_cost")}


def _plant(
    kind: str, brain: DayController, change_at: int, seed: int, done: list[dict[str, Any]], options: dict[str, Any],
    stack: ExitStack,
) -> DayPlant:  # fmt: skip
    """Let the controller, and a simulated plant, live through logged cycles again; return the plant to go on with."""
    from netrollout.adapt.day import window_of
    from netrollout.catalog.day import live_day, simulated_day

    windows = [window_of(line, brain.learned.known) for line in done]
    simulated = simulated_day(seed, change_at)
    for window, line in zip(windows, done, strict=True):
        brain.decide()
        brain.learn(window)
        if kind == "simulator":
            simulated.act(line["action"])
    if kind == "simulator":
        return simulated
    brain.prepare()
    return stack.enter_context(live_day(seed, change_at, len(done), windows[-1] if windows else None, **options))


def _cycle(world: DayPlant, brain: DayController, change_at: int) -> dict[str, Any]:
    """Run one cycle, show it, and return its line of the log."""
    from netrollout.adapt.day import line_of

    begin = time.perf_counter()
    action = brain.decide()
    seconds = time.perf_counter() - begin
    window, cycle = world.act(action), brain.cycle
    reward, demand = brain.learn(window), brain.learned.model.demand[0]
    print("  ".join(_cells(window, cycle, reward, demand, cycle == change_at)), flush=True)
    names = tuple(control.name for control in brain.learned.known.controls)
    return {
        "cycle": cycle, "time": datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3], "action": action.tolist(),
        **line_of(window, names), "reward": reward, "demand": demand, "seconds": {"plan": seconds},
    }  # fmt: skip


def _cells(window: DayWindow, cycle: int, reward: float, demand: float, changes: bool) -> list[str]:
    events = ["the change" * changes, window.notes.get("fault", ""), window.notes.get("unusable", "")]
    return [
        str(cycle),
        f"p level {window.setting[0]}  c={window.setting[1] + 1} ({window.starting.sum()} start)",
        f"{window.load:.1f} req/s",
        f"{1000 * window.d:.0f} ms",
        f"late {window.late:.1%}",
        f"queue {window.queue[0]:.0f}/{window.queue[1]:.0f}",
        f"{reward:.3f}",
        f"demand {1000 * demand:.0f} ms",
        ", ".join(filter(None, events)),
    ]
