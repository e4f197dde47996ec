"""Files of arrays: whole or not at all, and never unpickled."""

import numpy as np
import pytest

from netrollout.arrays import read, write
from netrollout.types import InputError

KIND = "a file of ours"


def test_what_was_written_is_read(tmp_path):
    write(tmp_path / "a.npz", {"n": 3}, {"x/0": np.arange(3), "y": np.array(2.5)})
    about, found = read(tmp_path / "a.npz", KIND)
    assert about == {"n": 3} and set(found) == {"x/0", "y"}
    assert found["x/0"].tolist() == [0, 1, 2] and float(found["y"]) == 2.5


def test_a_file_keeps_its_name_whatever_its_ending(tmp_path):
    write(tmp_path / "a.checkpoint", {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.checkpoint"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    write(path, {"version": 1}, {})

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match="No space left on device"):
        write(path, {"version": 2}, {})
    assert read(path, KIND)[0] == {"version": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a.npz: No such file or directory; give a file in a folder that exists"):
        write(tmp_path / "no" / "a.npz", {}, {})


def test_what_is_not_ours_is_refused(tmp_path):
    write(tmp_path / "whole.npz", {}, {"x": np.arange(100)})
    whole = (tmp_path / "whole.npz").read_bytes()
    np.savez(tmp_path / "objects.npz", about=np.array("{}"), x=np.array([{}], dtype=object))
    np.savez(tmp_path / "list.npz", about=np.array("[]"))
    np.savez(tmp_path / "silent.npz", x=np.zeros(1))
    for name, content in {"cut.npz": whole[: len(whole) // 2], "empty.npz": b"", "text.npz": b"hello"}.items():
        (tmp_path / name).write_bytes(content)
    for name in ("objects", "list", "silent", "cut", "empty", "text"):
        with pytest.raises(InputError, match=f"{name}.npz is not {KIND}"):
            read(tmp_path / f"{name}.npz", KIND)
    with pytest.raises(InputError, match=r"absent.npz: no such file; expected a file of ours"):
        read(tmp_path / "absent.npz", KIND)
