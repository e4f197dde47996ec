"""Numbers of the published records, computed again from the raw files without the package: equal to six digits.

Only the standard library and numpy are used below, so that a mistake of the package cannot hide in its own check.
"""

import csv
import gzip
import itertools
import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 5.0  # s, what a window counts in which nothing completed
WEIGHTS, WORKERS = (0, 0.2, 0.4, 0.6, 0.8, 1.0), (1, 2, 3, 4, 5)
MILD, RELEASE = 0.0539, 0.16  # s, the bounds


@cache
def windows(name):
    """Setting -> visit -> response times, s, in the order of the file."""
    found = defaultdict(lambda: defaultdict(list))
    with gzip.open(ROOT / "data" / "mesh" / f"{name}.csv.gz", "rt") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            d = float(row["d_compute"]) if row["d_compute"] else TIMEOUT
            found[float(row["p_compute"]), int(float(row["c_1"]))][int(row["visit"])].append(d)
    return found


def setting_means(name):
    return np.array([np.mean([d for visit in of.values() for d in visit]) for of in windows(name).values()])


def feasible(name):
    return float((setting_means(name) <= MILD).mean())


def reward(d, c, bound):
    return np.mean(np.where(np.array(d) <= bound, 1 - c / 5, bound - np.array(d)))


@cache
def log(scenario, policy, seed):
    with gzip.open(ROOT / "data" / "live" / f"{scenario}-{policy}-{seed}.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file]
    at = lines[0]["change_at"]
    return [line for line in lines if line.get("cycle", -1) >= at]


def per_run(scenario, policy, measure):
    return np.array([np.mean([measure(line) for line in log(scenario, policy, seed)]) for seed in range(1, 7)])


def ahead(scenario, against, measure=lambda line: line["reward"]):
    return (per_run(scenario, "rollout", measure) - per_run(scenario, against, measure)).mean()


def late(scenario, policy, bound):
    return per_run(scenario, policy, lambda line: line["d"][0] is None or line["d"][0] > bound).mean()


def workers(line):
    return WORKERS[line["setting"]["c_1"]]


def possible(visits):
    """What the best setting after the mild change earns more than the one where the base rests."""
    rests = log("S2", "base", 1)[0]["setting"]
    trace = windows("s2_after")
    paid = {s: reward(np.concatenate(list(of.values())[visits]), s[1], MILD) for s, of in trace.items()}
    return max(paid.values()) - paid[WEIGHTS[rests["p_compute"]], WORKERS[rests["c_1"]]]


def optimum(rewards):
    """Value from (p, c) = (1, 5) of moving each control by a level at most, discount .99; rewards by setting."""
    value = np.zeros((6, 5))
    for _ in range(3000):
        now = rewards + 0.99 * value
        near = [(i, j) for i, j in itertools.product((-1, 0, 1), repeat=2)]
        padded = np.pad(now, 1, constant_values=-np.inf)
        value = np.max([padded[1 + i : 7 + i, 1 + j : 6 + j] for i, j in near], axis=0)
    return value[5, 4]


def oracle():
    """The mean over the ten visits of the release of the optimum of a visit's own windows."""
    trace, values = windows("release_after"), []
    for k in range(10):
        held = [[reward(list(trace[p, c].values())[k], c, RELEASE) for c in WORKERS] for p in WEIGHTS]
        values.append(optimum(np.array(held)))
    return np.mean(values)


ONE, FIVE, NINE = "01_testbed_and_traces", "05_the_service_changes", "09_the_closed_loop"
NUMBERS = {
    (ONE, "bound"): lambda: 1000 * round(float(np.median(setting_means("s2_before"))), 4),
    (ONE, "feasible-1"): lambda: feasible("s2_before"),
    (ONE, "feasible-1.25"): lambda: feasible("pilot_125"),
    (ONE, "feasible-1.5"): lambda: feasible("pilot_150"),
    (ONE, "fastest"): lambda: 1000 * setting_means("s2_before").min(),
    (ONE, "slowest"): lambda: 1000 * setting_means("s2_before").max(),
    (ONE, "configurations"): lambda: len(windows("s2_before")),
    (ONE, "visits"): lambda: sum(map(len, windows("s2_before").values())),
    (NINE, "live.rollout-minus-base"): lambda: ahead("S2", "base"),
    (NINE, "live.rollout-minus-hpa"): lambda: ahead("S2", "hpa"),
    (NINE, "live.base.late"): lambda: late("S2", "base", MILD),
    (NINE, "live.hpa.late"): lambda: late("S2", "hpa", MILD),
    (NINE, "live.rollout.late"): lambda: late("S2", "rollout", MILD),
    (NINE, "live.possible.trace"): lambda: possible(slice(None)),
    (NINE, "live.possible.plant"): lambda: possible(slice(2, 3)),
    (NINE, "release.rollout-minus-base"): lambda: ahead("release", "base"),
    (NINE, "release.rollout-minus-hpa"): lambda: ahead("release", "hpa"),
    (NINE, "release.rollout-minus-walk"): lambda: ahead("release", "walk"),
    (NINE, "release.workers-minus-hpa"): lambda: ahead("release", "hpa", workers),
    (NINE, "release.rollout.late"): lambda: late("release", "rollout", RELEASE),
    ("03_markov_decision_process", "oracle"): oracle,
    (FIVE, "s2.oracle"): oracle,
}


def published(chapter, name):
    record = json.loads((ROOT / "results" / "full" / f"{chapter}.json").read_text())
    of_the_release = "mesh/release_after" in record["provenance"]["data"]
    return record["values"].get(name) if of_the_release or "oracle" not in name else None


@pytest.mark.parametrize(("chapter", "name"), NUMBERS, ids=lambda part: part)
def test_a_published_number_follows_from_the_raw_data(chapter, name):
    entry = published(chapter, name)
    if entry is None:
        pytest.skip("the published record does not hold this number yet")
    assert NUMBERS[chapter, name]() == pytest.approx(entry["value"], rel=1e-6, abs=1e-9)


def test_at_least_fifteen_numbers_are_computed_again():
    assert sum(published(*key) is not None for key in NUMBERS) >= 15


def test_the_optimum_of_the_release_is_what_the_package_says():
    """Ten visits, each the plant once; where the published record is older, the chapter's study is asked."""
    from netrollout import experiment
    from netrollout.studies.rotation import rotated

    table = experiment.run(rotated("mesh-release", 1), ["oracle"], experiment.exactly())
    assert oracle() == pytest.approx(table["start", "oracle"].mean(), rel=1e-6)
