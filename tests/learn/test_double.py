"""Double DQN: the target, the two learning tests, and the network as plain arrays."""

import numpy as np
import pytest
import torch

from netrollout.batch import joint_actions
from netrollout.evaluate import simulate
from netrollout.learn import learner, recipe, train
from netrollout.learn.view import JointView, ViewedVecEnv, bounds_of
from netrollout.systems.serverless.farm import Farm
from netrollout.systems.serverless.model import QueueModel
from netrollout.systems.toy import Walk
from netrollout.types import InputError

SMALL = {"hidden": [16], "learning_rate": 3e-3, "learning_starts": 64, "epsilon_factor": 0.99, "target_every": 50}
WALK = Walk(pay=(0.0, 1.0))


def short(system, seed=0, **settings):
    return learner(system, "dqn", seed, **{"hidden": [8], "learning_starts": 8, "batch_size": 8, **settings})


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize(("pay", "place"), [((0.0, 1.0), 1.0), ((0.0, -1.0), 0.0)])
def test_the_better_arm_is_learned_and_with_the_sign_turned_the_other(double, pay, place):
    walk = Walk(pay=pay)
    policy = train(walk, "dqn", 1500, double=double, lanes=4, **SMALL)
    assert simulate(walk, policy, range(5), horizon=20).metrics["place"][:, 5:].mean() == place


def test_the_double_target_takes_the_online_choice_and_the_target_value():
    run = {double: short(WALK, double=double).model for double in (True, False)}
    seen = torch.zeros((1, 1))
    for model in run.values():
        with torch.no_grad():
            for parameter in model.policy.parameters():
                parameter.zero_()
            model.q_net.q_net[-1].bias.copy_(torch.tensor([1.0, 2.0, 0.0]))
            model.q_net_target.q_net[-1].bias.copy_(torch.tensor([9.0, 5.0, 7.0]))
    assert run[True]._ahead(seen).item() == 5.0
    assert run[False]._ahead(seen).item() == 9.0


def parameters(network):
    return torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def test_the_target_is_a_copy_after_its_updates_and_as_published_hardly_moves():
    copied = short(WALK, lanes=1, target_every=10).model
    frozen = short(WALK, lanes=1, target_every=10, target_share=0.01).model
    start = parameters(frozen.q_net_target)
    for model in (copied, frozen):
        model.learn(18)  # steps 9 to 18 bring ten updates
        assert model._n_updates == 10
    assert torch.equal(parameters(copied.q_net), parameters(copied.q_net_target))
    assert torch.allclose(parameters(frozen.q_net_target), 0.99 * start + 0.01 * parameters(frozen.q_net))
    published = recipe("dqn", variant="published").settings
    assert [published[key] for key in ("target_every", "target_share", "discount")] == [600, 0.01, 0.97]


@pytest.mark.parametrize(("limit_ends", "ends"), [(False, 0.0), (True, 1.0)])
def test_the_time_limit_is_an_end_only_where_asked(limit_ends, ends):
    run = short(Walk(horizon=1), lanes=1, limit_ends=limit_ends)
    run.advance(8)
    assert (run.model.replay_buffer.sample(8).dones == ends).all()


def test_a_real_end_is_an_end():
    run = short(Walk(pay=(0.0, 1.0), end=True, horizon=50), lanes=1, epsilon_least=1.0, epsilon=1.0)
    run.advance(60)
    buffer = run.model.replay_buffer
    arrived = buffer.next_observations[: buffer.size(), 0, 0] == 1.0
    assert np.array_equal(buffer.dones[: buffer.size(), 0] == 1.0, arrived) and arrived.any()


def test_rewards_are_stored_clipped():
    run = short(Walk(pay=(500.0, 500.0)), reward_limit=3.0)
    run.advance(8)
    assert (run.model.replay_buffer.rewards[:1] == 3.0).all()


def test_updates_are_as_many_as_steps_in_any_number_of_lanes():
    for lanes in (1, 4):
        run = short(WALK, lanes=lanes)
        run.advance(40)
        assert run.done == 40 and run.model._n_updates == 32


def test_a_joint_action_is_one_number_and_every_lane_explores_on_its_own():
    class Pair(Walk):
        levels = ((-1.0, 0.0, 1.0), (0.0, 1.0))

    env = ViewedVecEnv(Pair(), JointView(Pair.levels), 6)
    assert env.action_space.n == 6
    env.step_async(np.arange(6))
    assert np.array_equal(env._actions, joint_actions(Pair.levels))
    run = short(Walk(), lanes=64, epsilon=0.5, learning_starts=0)
    run.advance(64)
    stored = run.model.replay_buffer.actions[0, :, 0]
    assert 15 <= (stored != np.bincount(stored).argmax()).sum() <= 35  # a half explores, a third of it the same action


@pytest.mark.parametrize("system", [Farm(), QueueModel()], ids=["farm", "model"])
def test_the_arrays_decide_as_the_network_does_on_scaled_observations(system):
    run = short(system, lanes=2)
    policy, (low, high) = run.policy(), bounds_of(system)
    seen = (low + (high - low) * np.random.default_rng(0).uniform(-0.1, 1.1, (50, 9))).astype(np.float32)
    with torch.no_grad():
        network = run.model.q_net(torch.from_numpy(seen)).numpy()
    assert policy.values(seen) == pytest.approx(network, abs=1e-5)
    assert policy.values(high[None] * 2.0) == pytest.approx(policy.values(high[None]))
    assert policy.predict(seen)[0].shape == (50, 1)


def test_the_published_bounds_of_the_farm():
    low, high = bounds_of(Farm())
    assert low.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert high.tolist() == [3, 800, 10, 1140, 32, 150, 160, 12, 1]
    assert bounds_of(WALK) is None


def policy_of(bias):
    made = short(WALK)
    with torch.no_grad():
        for parameter in made.model.policy.parameters():
            parameter.zero_()
        made.model.q_net.q_net[-1].bias.copy_(torch.tensor(bias))
    return made.policy()


def test_masks_are_obeyed():
    masks = np.array([[True, True, False], [True, True, True]])
    actions, _ = policy_of([1.0, 2.0, 3.0]).predict(np.zeros((2, 1)), action_masks=masks)
    assert actions.tolist() == [[1], [2]]


def test_observations_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"observations of shape \(1, 2\); expected \(lanes, 1\)"):
        policy_of([1.0, 2.0, 3.0]).predict(np.zeros((1, 2)))


def test_nothing_follows_a_real_end_but_something_follows_the_time_limit():
    """Every step pays 1; of 3 actions one leads to the end.  A target beyond it would be 1 / (1 - 0.9) = 10."""

    def worth(**options):
        walk = Walk(pay=(1.0, 1.0), discount=0.9, **options)
        made = short(walk, lanes=4, learning_rate=1e-2, target_every=20, epsilon=1.0, epsilon_least=1.0)
        made.advance(1600)
        return made.policy().values(walk.observe(walk.initial(np.random.default_rng(0), 1)))[0]

    hold, up = worth(end=True, horizon=50)[1:]
    assert up == pytest.approx(1.0, abs=0.6) and hold > up + 2.0
    assert worth(end=False, horizon=2).max() > 5.0


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    def values(seed):
        made = short(WALK, seed)
        made.advance(40)
        return made.policy().values(np.array([[0.3]]))

    assert np.array_equal(values(1), values(1)) and not np.array_equal(values(1), values(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lanes": 0}, "lanes 0; expected 1 or more"),
        ({"target_every": 0}, "target_every 0; expected 1 or more"),
        ({"target_share": 2.0}, "target_share 2; expected 0 to 1"),
        ({"learning_rate": 0.0}, "learning_rate 0; expected more than 0"),
        ({"buffer_size": 10**12}, "buffer_size 1000000000000; expected at most 10,000,000"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        short(WALK, **settings)
    assert str(error.value) == message
