"""Files of learned policies: what was saved is loaded; what is no such file, or another's, is refused in one line."""

import io
import json
import zipfile

import numpy as np
import pytest

from netrollout.learn import learner, load, save, tabulate, train
from netrollout.systems.toy import Walk
from netrollout.types import InputError

WALK = Walk(pay=(0.0, 0.0, 1.0))
SMALL = {"hidden": [8], "lanes": 2, "learning_starts": 8, "batch_size": 8}
MADE = {
    "sarsa": lambda: train(WALK, "sarsa", 5),
    "qlearning": lambda: train(WALK, "q-learning", 5, variant="published"),
    "dqn": lambda: train(WALK, "dqn", 30, **SMALL),
    "ppo": lambda: train(WALK, "ppo", 64, n_steps=64, hidden=[8]),
    "continuous": lambda: train(WALK, "ppo", 64, variant="continuous", n_steps=64, hidden=[8]),
    "sac": lambda: train(WALK, "sac", 30, **SMALL),
    "td3": lambda: train(WALK, "td3", 30, **SMALL),
}


@pytest.fixture(scope="module")
def policies():
    return {name: make() for name, make in MADE.items()}


@pytest.mark.parametrize("name", MADE)
def test_what_was_saved_is_loaded_and_decides_alike_and_nothing_of_it_is_pickled(policies, name, tmp_path):
    policy = policies[name]
    save(policy, tmp_path / "p.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]
    with np.load(tmp_path / "p.npz", allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert all(not file[part].dtype.hasobject for part in file.files)
    assert (about["kind"], about["version"], about["system"]) == ("policy", 2, "walk")
    assert about["algorithm"] == {"continuous": "ppo"}.get(name, name)
    again = load(tmp_path / "p.npz", WALK, about["algorithm"])
    assert again.identity == policy.identity
    assert set(again.arrays()) == set(policy.arrays())
    assert all(np.array_equal(array, policy.arrays()[part]) for part, array in again.arrays().items())
    assert np.array_equal(tabulate(again, WALK), tabulate(policy, WALK))


class Pair(Walk):
    levels = ((-1.0, 0.0, 1.0),) * 2


@pytest.mark.parametrize(
    ("system", "algorithm", "message"),
    [
        (Walk(name="hike"), "ppo", "was trained on walk and does not fit hike; `netrollout train hike ppo` writes one"),
        (Pair(), "ppo", r"was trained on 1 observations and levels \[3\]; walk has 1 observations and levels \[3, 3\]"),
        (WALK, "dqn", r"holds a policy of ppo, not of dqn; name it ppo\(file=...\)"),
    ],
)
def test_a_file_of_another_system_or_algorithm_is_refused(policies, tmp_path, system, algorithm, message):
    save(policies["ppo"], tmp_path / "p.npz")
    with pytest.raises(InputError, match=f"p.npz {message}"):
        load(tmp_path / "p.npz", system, algorithm)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent.npz: no such file; expected a policy that `netrollout train` or"):
        load(tmp_path / "absent.npz", WALK)


def test_a_checkpoint_is_no_policy(tmp_path):
    from netrollout.learn import learning_curve

    learning_curve(learner(WALK, "sarsa"), 2, 1, lambda policy: np.zeros(1), tmp_path / "c")
    with pytest.raises(InputError, match="c is not a policy that"):
        load(tmp_path / "c", WALK)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def said(arrays, **changed):
    about = json.loads(str(arrays["about"]))
    return npz(**arrays | {"about": np.array(json.dumps(about | changed))})


def settings(arrays, **changed):
    return said(arrays, settings=json.loads(str(arrays["about"]))["settings"] | changed)


STRANGERS = {
    "empty": lambda saved, arrays: b"",
    "text": lambda saved, arrays: b"hello",
    "cut off": lambda saved, arrays: saved[: len(saved) // 2],
    "one array": lambda saved, arrays: npy(np.zeros(3)),
    "nothing about it": lambda saved, arrays: npz(x=np.zeros(3)),
    "an empty description": lambda saved, arrays: npz(**arrays | {"about": np.array("{}")}),
    "a list for a description": lambda saved, arrays: npz(**arrays | {"about": np.array("[]")}),
    "a pickled object": lambda saved, arrays: npz(**arrays | {"x": np.array([{}], dtype=object)}),
    "an unknown algorithm": lambda saved, arrays: said(arrays, algorithm="os.system"),
    "an unknown variant": lambda saved, arrays: said(arrays, variant=["x"]),
    "no list of levels": lambda saved, arrays: said(arrays, levels=3),
    "no number of observations": lambda saved, arrays: said(arrays, observations="many"),
}
WEIGHTS = {
    "texts for weights": lambda saved, arrays: npz(**arrays | {"action_net.bias": np.array("x")}),
    "a weight missing": lambda saved, arrays: npz(**{k: v for k, v in arrays.items() if k != "action_net.bias"}),
    "a weight too many": lambda saved, arrays: npz(**arrays | {"x": np.zeros(3)}),
    "a weight of another shape": lambda saved, arrays: npz(**arrays | {"action_net.bias": np.zeros(2)}),
    "a layer of another width": lambda saved, arrays: settings(arrays, hidden=[9]),
    "an enormous layer": lambda saved, arrays: settings(arrays, hidden=[10**9]),
    "an unknown setting": lambda saved, arrays: settings(arrays, device="cuda"),
}
TABLES = {
    "a negative row": lambda saved, arrays: npz(**arrays | {"rows": arrays["rows"] - 1}),
    "a row beyond the table": lambda saved, arrays: npz(**arrays | {"rows": arrays["rows"] + 1000}),
    "a row twice": lambda saved, arrays: npz(**arrays | {"rows": arrays["rows"] * 0}),
    "rows that are no whole numbers": lambda saved, arrays: npz(**arrays | {"rows": arrays["rows"] * 1.0}),
    "fewer rows than values": lambda saved, arrays: npz(**arrays | {"rows": arrays["rows"][:-1]}),
    "other actions": lambda saved, arrays: npz(**arrays | {"q": arrays["q"][:, :2], "visits": arrays["visits"][:, :2]}),
    "negative visits": lambda saved, arrays: npz(**arrays | {"visits": -arrays["visits"]}),
    "absurd visits": lambda saved, arrays: npz(**arrays | {"visits": arrays["visits"] + 2**62}),
    "edges that fall": lambda saved, arrays: said(arrays, edges=[[1.0, 0.0]]),
    "edges of more observations": lambda saved, arrays: said(arrays, edges=[[0.5], [0.5]]),
    "absurdly many edges": lambda saved, arrays: said(arrays, edges=[list(range(10000))] * 3),
}
DAMAGES = [
    *(("ppo", name, damage) for name, damage in (STRANGERS | WEIGHTS).items()),
    *(("sarsa", name, damage) for name, damage in (STRANGERS | TABLES).items()),
]


def damaged(policy, path, damage):
    save(policy, path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    path.write_bytes(damage(path.read_bytes(), arrays))


@pytest.mark.parametrize(("algorithm", "damage"), [pytest.param(a, d, id=f"{a}: {n}") for a, n, d in DAMAGES])
def test_a_file_that_is_not_a_saved_policy_is_refused_in_one_line(policies, tmp_path, algorithm, damage):
    path = tmp_path / "p.npz"
    damaged(policies[algorithm], path, damage)
    with pytest.raises(InputError) as error:
        load(path, WALK)
    assert str(error.value).startswith(
        f"{path} is not a policy that `netrollout train` or `netrollout.learn.save` wrote"
    )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("algorithm", "part"), [("ppo", "action_net.bias"), ("sarsa", "q"), ("dqn", "q_net.q_net.0.bias")]
)
def test_a_number_that_is_not_finite_is_refused_where_it_is_read(policies, tmp_path, algorithm, part):
    path = tmp_path / "p.npz"
    damaged(policies[algorithm], path, lambda saved, arrays: npz(**arrays | {part: arrays[part] * np.nan}))
    with pytest.raises(InputError, match=r"p.npz.*finite"):
        load(path, WALK)


def test_another_version_is_named(policies, tmp_path):
    path = tmp_path / "p.npz"
    damaged(policies["sarsa"], path, lambda saved, arrays: said(arrays, version=3))
    with pytest.raises(InputError, match=r"p.npz: version 3 of a saved policy; only 2 is read, so train anew"):
        load(path, WALK)


def test_an_archive_of_stable_baselines3_is_not_opened(tmp_path):
    with zipfile.ZipFile(tmp_path / "sb3.zip", "w") as file:
        file.writestr("data", "{}")
        file.writestr("policy.pth", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match=r"sb3.zip is not a policy that"):
        load(tmp_path / "sb3.zip", WALK)
