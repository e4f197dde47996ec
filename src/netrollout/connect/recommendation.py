"""A recommendation as a record, and as a page that says what to do next and why."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

HERE, END, BEST, NEXT = "here", "the plan walks to", "best measured setting", "measure next"  # names of places


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a setting brings at the present load.

    Attributes
    ----------
    setting : control -> value
    reward, reward_error : expected reward of a cycle, and how uncertain it is (one standard error)
    measured_reward : mean over the windows measured there (NaN without any)
    metrics : metric -> (mean, 10 %, 50 %, 90 % quantile) of the next window, predicted
    measured : metric -> mean over the windows measured there (NaN without any)
    over : bounded metric -> share of windows beyond its bound, predicted
    keeps : whether the predicted mean of every bounded metric is within its bound
    tried : rows of the trace at this setting and load
    """

    setting: dict[str, float]
    reward: float
    reward_error: float
    measured_reward: float
    metrics: dict[str, tuple[float, ...]]
    measured: dict[str, float]
    over: dict[str, float]
    keeps: bool
    tried: int


@dataclass(frozen=True, kw_only=True)
class Action(Outcome):
    """What may be done next, and what its setting brings.

    Attributes
    ----------
    move : control -> levels
    q, q_error : Q-factor and its standard error over the draws
    gain, gain_error : Q-factor minus that of holding for this cycle, paired over the draws
    gain_share : share of draws in which it is larger
    """

    move: dict[str, int]
    q: float
    q_error: float
    gain: float
    gain_error: float
    gain_share: float

    @property
    def label(self) -> str:
        """The move in words: `c 3 -> 2`, or `hold`."""
        return ", ".join(f"{name} {step:+d}" for name, step in self.move.items() if step) or "hold"


@dataclass(frozen=True, kw_only=True)
class Place(Outcome):
    """A setting of the present load with a name: `HERE`, `END`, `BEST` or `NEXT`."""

    name: str


@dataclass(frozen=True)
class Recommendation:
    """The next action and why.

    Attributes
    ----------
    name : of the system
    method : what the Q-factors are of
    setting, load : where the system stands
    actions : those that stay within the levels
    considered, chosen, hold : positions in `actions` of what the plan would take, of what is recommended, of holding
    doubt : why holding is recommended although nothing speaks for it; empty where the trace decides
    places : where the system stands, where the plan leads, the best setting measured at this load, what to measure next
    rollout_agrees : whether one-step rollout takes the same action as the exact optimum; None where that is not known
    outlook : expected mean reward over the horizon of `hold`, `walk` (to the best setting tried) and `plan`
    bounds, objective, horizon : of the spec
    draws, rows, seed : what it rests on
    notes : doubts
    """

    name: str
    method: str
    setting: dict[str, float]
    load: dict[str, float]
    actions: tuple[Action, ...]
    considered: int
    chosen: int
    hold: int
    doubt: str
    places: tuple[Place, ...]
    rollout_agrees: bool | None
    outlook: dict[str, float]
    bounds: dict[str, float]
    objective: str
    horizon: int
    draws: int
    rows: int
    seed: int
    notes: tuple[str, ...]

    @property
    def action(self) -> Action:
        """The recommended action."""
        return self.actions[self.chosen]

    @property
    def decided(self) -> bool:
        """Whether the trace tells the recommended action from the others; if not, it is to hold and to measure."""
        return not self.doubt

    def place(self, name: str) -> Place | None:
        """Return the place of a name, where there is one."""
        return next((place for place in self.places if place.name == name), None)

    def record(self) -> dict[str, Any]:
        """Return everything as plain values for JSON, NaN as None."""
        plain: dict[str, Any] = _plain({"schema": 2, "decided": self.decided, **asdict(self)})
        return plain | {"why": self.why()}

    def why(self) -> list[str]:
        """Return the reasons, one sentence each."""
        best, hold = self.action, self.actions[self.hold]
        lines = [f"Next action: {best.label}, from {pairs(self.setting)} to {pairs(best.setting)}."]
        if self.load:
            lines[0] = f"{lines[0][:-1]}, at {pairs(self.load)}."
        lines += [self.doubt] if self.doubt else []
        lines.append(f"Its Q-factor by {self.method} is {with_error(best.q, best.q_error)}; the expected reward of the "
                     f"next cycle is {best.reward:.4g}, and {hold.reward:.4g} when holding.")  # fmt: skip
        if best is not hold:
            gain = with_error(best.gain, best.gain_error)
            lines.append(f"It gains {gain} over holding for a cycle, and gains at all in {best.gain_share:.0%} of "
                         f"{self.draws} draws of the model.")  # fmt: skip
            if best.gain < 2 * best.gain_error:
                lines.append("That is less than two standard errors.")
        lines += [self._metric(name, best) for name in best.metrics]
        lines += self._bounds_kept()
        lines += self._places()
        if self.rollout_agrees is not None:
            lines.append(f"One-step rollout takes {'the same' if self.rollout_agrees else 'another'} action as the "
                         "exact optimum here.")  # fmt: skip
        if not best.tried:
            lines.append("The trace has no row at that setting and load: its prediction is an extrapolation.")
        held = ", ".join(f"{name} {value:.4g}" for name, value in self.outlook.items())
        return [*lines, f"Expected mean reward over the next {self.horizon} cycles: {held}."]

    def _places(self) -> list[str]:
        lines = []
        for name, text in ((END, "The plan walks to"), (BEST, "The best setting measured at this load is")):
            if (place := self.place(name)) is not None:
                lines.append(f"{text} {pairs(place.setting)}: {rewards(place)}.")
        if (place := self.place(NEXT)) is not None:
            lines.append(f"Measure next: {pairs(place.setting)}, which would tell most of what is best here.")
        return lines

    def _metric(self, name: str, action: Action) -> str:
        mean, low, _, high = action.metrics[name]
        text = f"Predicted {name}: mean {mean:.4g}, 80 % of the windows from {low:.4g} to {high:.4g}"
        if action.tried:
            text += f"; measured there {action.measured[name]:.4g}"
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
    """Return a page in Markdown: the action, why, and the tables of settings and of all actions."""
    r = recommendation
    lines = [f"# {r.name}: the next action", "", *(f"- {line}" for line in r.why())]
    lines += ["", "## Settings at this load", "", *_markdown(*place_table(r))]
    lines += ["", "## All actions", "", *_markdown(action_head(r), [cells(action) for action in ranked(r)])]
    lines += ["", f"The number behind ± is one standard error over {r.draws} draws of the model; behind a predicted "
              "metric stands the range of 80 % of the windows."]  # fmt: skip
    lines += ["", "## What it rests on", "", f"- {r.rows} rows of the trace, seed {r.seed}."]
    lines += [f"- Objective: `{r.objective}`.", *(f"- {note}" for note in r.notes)]
    return "\n".join(lines) + "\n"


def place_table(recommendation: Recommendation) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table of named settings, measured beside predicted."""
    head = ["place", "setting", "reward, predicted", "measured"]
    for name in recommendation.action.metrics:
        head += [f"{name}, predicted", "measured"]
    rows = []
    for place in recommendation.places:
        row = [place.name, pairs(place.setting), with_error(place.reward, place.reward_error),
               _measured(place.measured_reward)]  # fmt: skip
        for name, value in place.metrics.items():
            row += [_range(value), _measured(place.measured[name])]
        rows.append([*row, str(place.tried)])
    return [*head, "rows"], rows


def action_head(recommendation: Recommendation) -> list[str]:
    """Return the head of the table of actions, see `cells`."""
    return ["action", "setting", "Q-factor", "over holding", "reward", "measured",
            *recommendation.action.metrics, "rows"]  # fmt: skip


def ranked(recommendation: Recommendation) -> list[Action]:
    """Return the recommended action, then the others by falling Q-factor."""
    best = recommendation.action
    return sorted(recommendation.actions, key=lambda action: (action is not best, -action.q))


def cells(action: Action) -> list[str]:
    """Return the row of an action in the table of actions, texts."""
    means = [_range(value) for value in action.metrics.values()]
    gain = with_error(action.gain, action.gain_error)
    return [action.label, pairs(action.setting), with_error(action.q, action.q_error), gain, f"{action.reward:.4g}",
            _measured(action.measured_reward), *means, str(action.tried)]  # fmt: skip


def rewards(place: Outcome) -> str:
    """Return `reward -0.6 ± 0.1 predicted, -0.58 measured in 24 rows`."""
    told = f"{place.measured_reward:.4g} measured in {place.tried} rows" if place.tried else "never measured"
    return f"reward {with_error(place.reward, place.reward_error)} predicted, {told}"


def with_error(value: float, error: float) -> str:
    """Return `value ± standard error`."""
    return f"{value:.4g} ± {error:.2g}"


def _range(value: tuple[float, ...]) -> str:
    return f"{value[0]:.4g} ({value[1]:.4g} to {value[3]:.4g})"


def _measured(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def pairs(values: dict[str, float]) -> str:
    """Return `p=0.8, c=3`."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items())


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in (head, ["---"] * len(head), *rows)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
