"""Files: whole or not at all, read with limits, and never unpickled."""

import fcntl
import gzip
import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from netrollout import store
from netrollout.store import check_target, read_arrays, read_file, read_text, write_arrays, write_file
from netrollout.types import InputError

KIND = "a file of ours"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_read(tmp_path):
    write_arrays(tmp_path / "a.npz", {"n": 3}, {"x/0": np.arange(3), "y": np.array(2.5)})
    about, found = read_arrays(tmp_path / "a.npz", KIND)
    assert about == {"n": 3} and set(found) == {"x/0", "y"}
    assert found["x/0"].tolist() == [0, 1, 2] and float(found["y"]) == 2.5


def test_a_file_keeps_its_name_whatever_its_ending(tmp_path):
    write_arrays(tmp_path / "a.checkpoint", {}, {})
    write_file(tmp_path / ("x" * 255), "a name as long as a name may be")
    assert names(tmp_path) == ["a.checkpoint", "x" * 255]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch, stop):
    write_file(tmp_path / "a", "old")

    def fail(descriptor):
        raise stop

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError if isinstance(stop, OSError) else KeyboardInterrupt) as error:
        write_file(tmp_path / "a", "new")
    if isinstance(stop, OSError):
        assert str(error.value) == f"{tmp_path / 'a'}: cannot be written: No space left on device"
    assert read_text(tmp_path / "a") == "old" and names(tmp_path) == ["a"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a.npz: No such file or directory; give a file in a folder that exists"):
        write_arrays(tmp_path / "no" / "a.npz", {}, {})
    with pytest.raises(InputError, match="Is a directory; give a file"):
        write_file(tmp_path, "")
    for path, what in ((tmp_path, "is a folder"), (tmp_path / "no" / "a", "its folder does not exist")):
        with pytest.raises(InputError, match=f"{what}; give a file in a folder that exists"):
            check_target(path)
    check_target(tmp_path / "a")
    check_target("-")


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    (tmp_path / "deep").mkdir()
    write_file(tmp_path / "deep" / "file", "old")
    os.chmod(tmp_path / "deep" / "file", 0o640)
    (tmp_path / "link").symlink_to("deep/file")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and read_text(tmp_path / "deep" / "file") == "new"
    assert os.stat(tmp_path / "deep" / "file").st_mode & 0o777 == 0o640
    (tmp_path / "to nothing yet").symlink_to("deep/other")
    write_file(tmp_path / "to nothing yet", "made")
    assert read_text(tmp_path / "deep" / "other") == "made"


def test_a_fifo_is_written_into_and_stays(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write_file(fifo, "hello")
    assert os.read(reader, 100) == b"hello" and fifo.is_fifo() and names(tmp_path) == ["fifo"]
    os.close(reader)


def test_a_device_is_written_into_and_what_it_refuses_is_one_line():
    write_file("/dev/null", "x")
    with pytest.raises(InputError, match=r"^/dev/full: cannot be written: No space left on device$"):
        write_file("/dev/full", "x")
    assert not os.path.isfile("/dev/null") and not os.path.isfile("/dev/full")


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_the_standard_output_is_written_into_in_order_also_where_it_is_a_file(tmp_path, path):
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = (
        "from netrollout.store import *; print('a'); write_file(PATH, 'b\\n'); print('c'); check_target(PATH)"
    ).replace("PATH", repr(path))
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "a\nb\nc\n" and names(tmp_path) == ["link", "out"]


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def member(content, name="x.npy"):
    """A file as ours, with a member of these bytes."""
    buffer = io.BytesIO(npz(about=np.array("{}")))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


WHOLE = npz(about=np.array("{}"), x=np.arange(100))
DAMAGED = {
    "empty": b"",
    "text": b"hello",
    "cut": WHOLE[: len(WHOLE) // 2],
    "one flipped byte": WHOLE[:400] + bytes([WHOLE[400] ^ 1]) + WHOLE[401:],
    "objects": npz(about=np.array("{}"), x=np.array([{}], dtype=object)),
    "no description": npz(x=np.zeros(1)),
    "description is a list": npz(about=np.array("[]")),
    "description is no JSON": npz(about=np.array("{")),
    "description nested": npz(about=np.array("[" * 100_000)),
    "not numpy": member(b"hello"),
    "a header that is no Python": member(header("{'descr': ((((")),
    "a header of a huge array": member(header("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,)}")),
    "a huge header": member(header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)" + " " * 60_000 + "}")),
    "a negative shape": member(header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}")),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_what_is_not_ours_is_refused(tmp_path, damage):
    (tmp_path / "a.npz").write_bytes(DAMAGED[damage])
    with pytest.raises(InputError, match=rf"a.npz is not {KIND}$"):
        read_arrays(tmp_path / "a.npz", KIND)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent.npz: no such file; expected a file of ours"):
        read_arrays(tmp_path / "absent.npz", KIND)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_with_the_name_of_the_array(tmp_path, value):
    write_arrays(tmp_path / "a.npz", {}, {"q": np.array([0.0, value])})
    with pytest.raises(InputError, match=r"a.npz: q holds a number that is not finite"):
        read_arrays(tmp_path / "a.npz", KIND)


def test_a_bomb_of_arrays_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", about=np.array("{}"), x=np.zeros(1_000_000))
    monkeypatch.setattr(store, "MOST_ARRAYS", 1_000_000)
    monkeypatch.setattr(np, "load", None)
    with pytest.raises(InputError, match=r"bomb.npz: unpacks to 8 MB; at most 1 MB are read"):
        read_arrays(tmp_path / "bomb.npz", KIND)


def test_a_bomb_of_text_is_unpacked_up_to_the_limit_only(tmp_path):
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(bytes(100_000_000)))
    with pytest.raises(InputError, match=r"bomb.csv.gz: unpacks to more than 1 MB; at most that is read"):
        read_file(tmp_path / "bomb.csv.gz", most=1_000_000)
    (tmp_path / "large").write_bytes(bytes(2_000_000))
    with pytest.raises(InputError, match="large: 2 MB; at most 1 MB are read"):
        read_file(tmp_path / "large", most=1_000_000)


def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/zero", "/dev/stdin", tmp_path / "fifo"):
        with pytest.raises(InputError, match="a device or a pipe, not a file; expected CSV"):
            read_file(path, "expected CSV")
    with pytest.raises(InputError, match="cannot be read"):
        read_file("a\0b")


def test_what_a_killed_writer_left_is_swept_away_by_the_next_and_what_is_being_written_is_not(tmp_path):
    left, busy = tmp_path / ".a.json.01234567.part", tmp_path / ".a.json.89abcdef.part"
    left.write_text("half")
    with busy.open("w") as file:
        file.write("ha")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        write_file(tmp_path / "a.json", "whole")
        assert sorted(p.name for p in tmp_path.iterdir()) == [busy.name, "a.json"]
