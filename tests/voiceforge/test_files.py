"""Whole files or none, on full, read-only and failing disks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.limits import small_files
from voiceforge.errors import StorageError
from voiceforge.files import (
    as_storage_error,
    link_file,
    new_folder,
    read_json,
    remove_leftovers,
    remove_leftovers_of,
    sha256_folder,
    sha256_json,
    write_bytes,
    write_json,
    write_text,
)

LIMIT = 4096


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_written_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_text(path, "one")
    write_text(path, "zwei è")
    assert path.read_text() == "zwei è"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["new", "new/file.txt"]


def test_a_file_that_outgrows_the_limit_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with small_files(LIMIT), pytest.raises(StorageError, match="ulimit -f"):
        write_bytes(path, b"x" * (LIMIT + 1))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EDQUOT, "The disk is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
def test_a_simulated_disk_error_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """Simulated where the kernel would say it: when the bytes are to reach the disk."""
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=words) as caught:
        write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


DISK = """
import sys
from pathlib import Path
from voiceforge.errors import StorageError
from voiceforge.files import new_folder, write_bytes
disk = Path(sys.argv[1])
write_bytes(disk / "file", b"old")
for size in (1 << 20, 1 << 20):
    try:
        write_bytes(disk / "file", b"x" * size)
    except StorageError as error:
        print(str(error)[:16])
    try:
        with new_folder(disk / "folder") as folder:
            (folder / "a").write_bytes(b"x" * size)
    except StorageError as error:
        print(str(error)[:16])
print((disk / "file").read_bytes(), sorted(path.name for path in disk.iterdir()))
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A real one: a tmpfs of 256 KiB in a mount namespace of its own."""
    mount = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"]
    done = subprocess.run(
        [*command, str(tmp_path), sys.executable, DISK], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["The disk is full"] * 4 + ["b'old' ['file']"], done.stderr


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "parent" / "folder"
    with new_folder(final) as folder:
        (folder / "a").write_text("1")
        assert not final.exists()
    assert names(tmp_path) == ["parent", "parent/folder", "parent/folder/a"]
    with new_folder(final) as folder:
        (folder / "b").write_text("2")
        assert names(final) == ["a"]
    assert names(tmp_path) == ["parent", "parent/folder", "parent/folder/b"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failing_block_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    final = tmp_path / "folder"
    with new_folder(final) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(type(error)), new_folder(final) as folder:
        (folder / "b").write_text("2")
        raise error
    assert names(tmp_path) == ["folder", "folder/a"]


def test_leftovers_of_one_folder_are_not_those_of_another(tmp_path: Path) -> None:
    ours = tmp_path / ".tmp-calls-0a1b_2cd"
    others = [tmp_path / ".tmp-calls-it-0a1b_2cd", tmp_path / ".tmp-other-0a1b_2cd"]
    for folder in (ours, *others, tmp_path / "calls"):
        folder.mkdir()
    assert remove_leftovers_of(tmp_path / "calls") == [ours]
    assert sorted(remove_leftovers(tmp_path)) == others
    assert names(tmp_path) == ["calls"]


def test_what_a_killed_process_leaves_is_found(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from voiceforge.files import new_folder\n"
        "with new_folder(pathlib.Path(sys.argv[1])) as folder: os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "calls")])
    assert done.returncode == -9
    assert not (tmp_path / "calls").exists()
    (left,) = names(tmp_path)
    assert remove_leftovers_of(tmp_path / "calls") == [tmp_path / left]
    assert names(tmp_path) == []


def test_json_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"è": [1]})
    assert read_json(tmp_path / "a.json") == {"è": [1]}
    with pytest.raises(StorageError, match=r"b\.json is missing"):
        read_json(tmp_path / "b.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(StorageError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(StorageError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=5))
def test_equal_values_have_equal_hashes(value: dict[str, int | str]) -> None:
    other = dict(reversed(list(value.items())))
    assert sha256_json(value) == sha256_json(other)
    assert sha256_json({**value, "one more": 1}) != sha256_json(value)


def test_a_folder_hash_sees_names_and_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "b" / "c", b"1")
    write_bytes(tmp_path / "a", b"1")
    before = sha256_folder(tmp_path)
    assert list(before) == ["a", "b/c"]
    assert before["a"] == before["b/c"]
    write_bytes(tmp_path / "a", b"2")
    assert sha256_folder(tmp_path)["a"] != before["a"]


def test_a_library_s_words_for_a_full_disk_are_understood() -> None:
    def chained(message: str) -> BaseException:
        try:
            try:
                raise RuntimeError(message)
            except RuntimeError as inner:
                raise ValueError("a library's own") from inner
        except ValueError as outer:
            return outer

    for words, say in [
        ("I/O error: No space left on device (os error 28)", "The disk is full"),
        ("(sqlite3.OperationalError) database or disk is full", "The disk is full"),
        ("attempt to write a readonly database", "cannot be written"),
        ("File too large", "ulimit"),
    ]:
        known = as_storage_error(chained(words))
        assert known is not None
        assert say in str(known)
    assert as_storage_error(chained("something else")) is None
    assert as_storage_error(OSError(errno.ENOENT, "No such file", "x")) is None


def test_a_ring_of_causes_ends() -> None:
    first, second = KeyError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert as_storage_error(first) is None


def test_a_file_that_is_linked_twice_is_linked_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    for _ in range(2):
        link_file(tmp_path / "a", tmp_path / "new" / "b")
    assert (tmp_path / "new" / "b").samefile(tmp_path / "a")
