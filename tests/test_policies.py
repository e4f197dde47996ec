"""Policy names: one parser, one printer; and the policies behind them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrollout.batch import joint_feasible, joint_index, repeat
from netrollout.family import family_named
from netrollout.makers import resolved
from netrollout.policies import PolicyName, RandomPolicy, TablePolicy
from netrollout.systems.fleet import Fleet, FleetState
from netrollout.systems.toy import Walk
from netrollout.types import InputError

PLAIN = st.sampled_from(["random", "static", "greedy", "reactive", "optimal", "ppo", "oracle"])
VALUE = st.integers(1, 99)


@st.composite
def names(draw, depth=2):
    if depth == 0 or draw(st.booleans()):
        head = draw(PLAIN)
        if head == "static" and draw(st.booleans()):
            return f"static(p=0.{draw(st.integers(1, 9))},c={draw(VALUE)})"
        return f"ppo(steps={draw(VALUE)})" if head == "ppo" and draw(st.booleans()) else head
    inner = draw(names(depth=depth - 1))
    return draw(
        st.sampled_from(
            [
                f"rollout({inner})",
                f"rollout({inner}, lookahead=2, terminal=zero)",
                f"multiagent({inner})",
                f"retrain({inner})",
            ]
        )
    )


@given(names())
def test_what_is_printed_parses_to_the_same_name(text):
    name = PolicyName.parse(text)
    assert PolicyName.parse(str(name)) == name
    assert str(name) == text


def test_a_value_with_a_comma_stands_in_quotes():
    name = PolicyName.parse("ppo(file='a, (b).npz',steps=5)")
    assert dict(name.options) == {"file": "a, (b).npz", "steps": "5"}
    assert PolicyName.parse(str(name)) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rolout(ppo)", "unknown policy 'rolout'; did you mean rollout"),
        ("rollout", "needs a policy to act on"),
        ("rollout(lookahead=2)", "needs a policy to act on"),
        ("rollout(ppo, depth=2)", "no option 'depth'"),
        ("rollout(ppo, terminl=zero)", "did you mean terminal"),
        ("rollout(retrain(ppo, wram=true))", "did you mean warm"),
        ("rollout(ppo, **{})", "rollout has no option '\\*\\*'|malformed"),
        ("random(p=1)", "known are none"),
        ("greedy(ppo)", "greedy acts on no policy"),
        ("rollout(keda)", "only serverless has keda; not mesh"),
    ],
)
def test_names_that_a_family_does_not_have(text, message):
    with pytest.raises(InputError, match=message):
        resolved(PolicyName.parse(text), family_named("mesh-s2"))


def test_space_does_not_matter():
    assert str(PolicyName.parse(" rollout( ppo ,lookahead = 2 ) ")) == "rollout(ppo, lookahead=2)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected NAME"),
        ("rollout(ppo", "'\\(' was never closed; expected NAME"),
        ("rollout((ppo)", "'\\(' was never closed"),
        ("rollout(ppo, lookahead=2, lookahead=3)", "given twice"),
        ("rollout(ppo, static)", "'static' is not an option; options read key=value"),
        ("rollout(ppo)(static)", r"'rollout\(ppo\)\(static\)' is no name"),
        ("rollout(ppo, 3)", "'3' is not an option"),
        ("rollout('ppo')", "\"'ppo'\" is no name"),
    ],
)
def test_names_that_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        PolicyName.parse(text)


def test_a_table_must_fit_the_system():
    with pytest.raises(InputError, match=r"shape \(3,\); expected \(2,\)"):
        TablePolicy(Walk(), [0, 0, 0])


@pytest.mark.parametrize("workers", [(1, 4), (2, 2), (4, 3)])
def test_the_random_policy_is_uniform_over_the_feasible_joint_actions(workers):
    fleet, n = Fleet(components=2), 60_000
    x = FleetState(np.zeros((1, 2), dtype=int), np.array([workers]))
    allowed = joint_feasible(fleet.feasible(x), fleet.levels)[0]
    u, _ = RandomPolicy(fleet, np.random.default_rng(1)).predict(fleet.observe(repeat(x, n)))
    met, law = np.bincount(joint_index(u, fleet.levels), minlength=9) / n, allowed / allowed.sum()
    assert np.all(np.abs(met - law) <= 5 * np.sqrt(law * (1 - law) / n))
