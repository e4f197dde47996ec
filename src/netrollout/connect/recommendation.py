"""A recommendation as a record, and as a page that says what to do next and why."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Action:
    """What may be done next.

    Attributes
    ----------
    move : control -> levels
    setting : control -> value afterwards
    q, q_error : Q-factor and its standard error over the refits (NaN without refits)
    gain, gain_error : Q-factor minus that of holding, paired over the refits
    best_share : share of refits in which no action has a larger Q-factor
    reward : expected reward of the next cycle
    metrics : metric -> (mean, 10 %, 50 %, 90 % quantile) of the next window
    over : bounded metric -> share of windows beyond its bound
    keeps : whether the mean of every bounded metric is within its bound
    tried : rows of the trace at this setting and load
    """

    move: dict[str, int]
    setting: dict[str, float]
    q: float
    q_error: float
    gain: float
    gain_error: float
    best_share: float
    reward: float
    metrics: dict[str, tuple[float, ...]]
    over: dict[str, float]
    keeps: bool
    tried: int

    @property
    def label(self) -> str:
        """The move in words: `c 3 -> 2`, or `hold`."""
        return ", ".join(f"{name} {step:+d}" for name, step in self.move.items() if step) or "hold"


@dataclass(frozen=True)
class Recommendation:
    """The next action and why.

    Attributes
    ----------
    name : of the system
    method : what the Q-factors are of
    setting, load : where the system stands
    actions : those that stay within the levels
    chosen, hold : their positions in `actions`
    rollout_agrees : whether one-step rollout takes the same action as the exact optimum; None where that is not known
    outlook : expected mean reward over the horizon of `hold`, `walk` (to the best setting tried) and `plan`
    bounds, objective, horizon : of the spec
    refits, rows, seed : what it rests on
    notes : doubts
    """

    name: str
    method: str
    setting: dict[str, float]
    load: dict[str, float]
    actions: tuple[Action, ...]
    chosen: int
    hold: int
    rollout_agrees: bool | None
    outlook: dict[str, float]
    bounds: dict[str, float]
    objective: str
    horizon: int
    refits: int
    rows: int
    seed: int
    notes: tuple[str, ...]

    @property
    def action(self) -> Action:
        """The recommended action."""
        return self.actions[self.chosen]

    def record(self) -> dict[str, Any]:
        """Return everything as plain values for JSON, NaN as None."""
        plain: dict[str, Any] = _plain({"schema": 1, **asdict(self)})
        return plain | {"why": self.why()}

    def why(self) -> list[str]:
        """Return the reasons, one sentence each."""
        best, hold = self.action, self.actions[self.hold]
        lines = [f"Next action: {best.label}, from {pairs(self.setting)} to {pairs(best.setting)}."]
        if self.load:
            lines[0] = f"{lines[0][:-1]}, at {pairs(self.load)}."
        lines.append(f"Its Q-factor by {self.method} is {with_error(best.q, best.q_error)}; the expected reward of the "
                     f"next cycle is {best.reward:.4g}, and {hold.reward:.4g} when holding.")  # fmt: skip
        if best is not hold:
            lines.append(f"It gains {with_error(best.gain, best.gain_error)} over holding{self._support(best)}.")
            if best.gain < 2 * best.gain_error:
                lines.append("That is less than two standard errors: the trace cannot tell it from holding.")
        lines += [self._metric(name, best) for name in best.metrics]
        lines += self._bounds_kept()
        if self.rollout_agrees is not None:
            lines.append(f"One-step rollout takes {'the same' if self.rollout_agrees else 'another'} action as the "
                         "exact optimum here.")  # fmt: skip
        if not best.tried:
            lines.append("The trace has no row at that setting and load: its prediction is an extrapolation.")
        held = ", ".join(f"{name} {value:.4g}" for name, value in self.outlook.items())
        return [*lines, f"Expected mean reward over the next {self.horizon} cycles: {held}."]

    def _support(self, action: Action) -> str:
        if not self.refits:
            return ""
        return f", and is the best action in {round(action.best_share * self.refits)} of {self.refits} refits"

    def _metric(self, name: str, action: Action) -> str:
        mean, low, _, high = action.metrics[name]
        text = f"Predicted {name}: mean {mean:.4g}, 80 % of the windows from {low:.4g} to {high:.4g}"
        if name in self.bounds:
            text += f"; {action.over[name]:.0%} of them beyond the bound {self.bounds[name]:.4g}"
        return text + "."

    def _bounds_kept(self) -> list[str]:
        if not self.bounds:
            return []
        if not self.actions[self.hold].keeps:
            return ["Holding is expected to break a bound, so the best Q-factor decides, bounds or not."]
        better = max(self.actions, key=lambda action: action.q)
        if not better.keeps and better.q > self.action.q:
            return [f"{better.label} has a larger Q-factor, but is expected to break a bound in the next cycle."]
        return []


def report(recommendation: Recommendation) -> str:
    """Return a page in Markdown: the action, why, and the table of all actions."""
    r = recommendation
    names = list(r.actions[0].metrics)
    head = ["action", "setting", "Q-factor", "over holding", "reward", *names, "rows"]
    lines = [f"# {r.name}: the next action", "", *(f"- {line}" for line in r.why()), "", "## All actions", ""]
    lines += [_row(head), _row(["---"] * len(head))]
    lines += [_row(cells(action)) for action in ranked(r)]
    lines += ["", "The number behind ± is one standard error over refits of the model on resampled visits."]
    lines += ["", "## What it rests on", "", f"- {r.rows} rows of the trace, {r.refits} refits, seed {r.seed}."]
    lines += [f"- Objective: `{r.objective}`.", *(f"- {note}" for note in r.notes)]
    return "\n".join(lines) + "\n"


def ranked(recommendation: Recommendation) -> list[Action]:
    """Return the recommended action, then the others by falling Q-factor."""
    best = recommendation.action
    return sorted(recommendation.actions, key=lambda action: (action is not best, -action.q))


def cells(action: Action) -> list[str]:
    """Return the row of an action in the table of actions, texts."""
    means = [f"{value[0]:.4g} ({value[1]:.4g} to {value[3]:.4g})" for value in action.metrics.values()]
    gain = with_error(action.gain, action.gain_error)
    return [action.label, pairs(action.setting), with_error(action.q, action.q_error), gain, f"{action.reward:.4g}",
            *means, str(action.tried)]  # fmt: skip


def with_error(value: float, error: float) -> str:
    """Return `value ± standard error`."""
    return f"{value:.4g}" if math.isnan(error) else f"{value:.4g} ± {error:.2g}"


def pairs(values: dict[str, float]) -> str:
    """Return `p=0.8, c=3`."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items())


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
