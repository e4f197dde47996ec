"""A system of one's own, judged on visits that the plan has not seen."""

import numpy as np
import pytest

from netrollout.experiment import run
from netrollout.studies.own_study import ROWS, by_windows, held_out
from netrollout.types import InputError

SPEC = """
controls:
  c: {levels: [1, 2, 3, 4]}
metrics: [d]
objective: 1 - 0.1 * c - 2 * (d > 0.1)
bounds: {d: 0.1}
discount: 0.9
"""


@pytest.fixture
def files(tmp_path):
    """Three visits of four settings; from three workers on the bound is kept."""

    def write(visits=3, spec=SPEC):
        rng, lines, number = np.random.default_rng(0), ["visit,c,d"], 0
        for _ in range(visits):
            for c, d in ((1, 0.4), (2, 0.15), (3, 0.06), (4, 0.05)):
                lines += [f"{number},{c},{d * rng.uniform(0.9, 1.1):.4f}" for _ in range(6)]
                number += 1
        (tmp_path / "s.yml").write_text(spec)
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "s.yml", tmp_path / "t.csv"

    return write


def judged(*how, **more):
    table = run(held_out(*how, **more), ROWS, by_windows)
    return {row: table["reward", row][..., 0] for row in ROWS}


def test_every_row_is_judged_on_every_fold_and_refit(files):
    found = judged(*files(), "c", refits=2)
    assert set(found) == set(ROWS)
    assert all(values.shape == (3, 2) for values in found.values())


def test_where_everything_is_clear_the_plan_is_as_good_as_the_oracle(files):
    found = {name: values.mean() for name, values in judged(*files(), "c", refits=2).items()}
    assert found["exact"] == pytest.approx(found["oracle"])
    assert found["oracle"] >= max(found.values()) - 1e-12
    assert found["hold"] < found["reactive"] < found["oracle"], "the rule walks up until the bound is kept"


def test_the_same_seed_gives_the_same_judgement(files):
    one, again = judged(*files(), "c", refits=2, seed=3), judged(*files(), "c", refits=2, seed=3)
    assert all(np.array_equal(one[name], again[name]) for name in ROWS)


def test_a_trace_with_one_visit_of_a_setting_cannot_judge(files):
    with pytest.raises(InputError, match="1 to 1 visits of a setting; every one must have equally many, 2 or more"):
        judged(*files(visits=1), "c", refits=1)


def test_a_spec_without_a_bound_has_no_reactive_rule(files):
    with pytest.raises(InputError, match="key bounds: 0 of them; the reactive rule watches one"):
        judged(*files(spec=SPEC.replace("bounds: {d: 0.1}\n", "")), "c", refits=1)
