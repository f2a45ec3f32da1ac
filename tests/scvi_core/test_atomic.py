"""Files that are whole or not there, whatever happens while they are written."""

import errno
import fcntl
import os
import stat
import time
import urllib.error

import pytest

from scvi_core.files.atomic import NotWritten, replace, sweep, writing


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "x"
    replace(path, b"old")
    with writing(path) as file:
        file.write(b"new, ")
        file.flush()
        assert path.read_bytes() == b"old"
        file.write(b"whole")
    assert path.read_bytes() == b"new, whole"
    with writing(path, "w", encoding="utf-8") as file:
        file.write("θ")
    assert path.read_bytes() == "θ".encode()
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x"), urllib.error.URLError("no network")])
def test_a_block_that_fails_changes_nothing_and_its_error_stays_as_it_is(tmp_path, error):
    replace(tmp_path / "x", b"old")

    def fail():
        with writing(tmp_path / "x") as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert raised.value is error
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only file system")])
def test_what_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, number, kind):
    def refuse(handle):
        raise OSError(number, os.strerror(number))

    replace(tmp_path / "x", b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    for name, kept in [("x", "what was there before is whole"), ("y", "nothing was written")]:
        with pytest.raises(NotWritten) as raised:
            replace(tmp_path / name, b"new")
        assert str(raised.value).startswith(f"{tmp_path / name} could not be written ({kind}")
        assert str(raised.value).endswith(f": {kept}; make room there or write elsewhere.")
        assert raised.value.errno == number
    assert os.listdir(tmp_path) == ["x"]


def test_places_where_no_file_can_be(tmp_path):
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    for path, said in [
        (tmp_path / "nowhere" / "x", "could not be written"),
        (tmp_path / "file" / "x", "could not be written"),
        (tmp_path, "is not a file"),
        (tmp_path / "pipe", "is not a file"),
    ]:
        with pytest.raises(NotWritten, match=said):
            replace(path, b"new")


def test_links_and_permissions_stay(tmp_path):
    replace(tmp_path / "x", b"old")
    (tmp_path / "x").chmod(0o640)
    (tmp_path / "link").symlink_to("x")
    replace(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "x").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_only_leftovers_are_swept(tmp_path):
    left, young, held = (tmp_path / f".x.{name}.tmp" for name in ("left", "young", "held"))
    for path in (left, young, held):
        path.write_bytes(b"half")
    for path in (left, held):
        os.utime(path, (time.time() - 10,) * 2)
    with open(held, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sweep(tmp_path.glob(".*.tmp"))
        assert sorted(path.name for path in tmp_path.iterdir()) == [held.name, young.name]
