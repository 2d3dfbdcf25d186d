"""Decoded audio is found again, never damaged, and can be forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.audio import encode_flac
from data.audio_cache import FOLDER, AudioCache, Kept, Unusable, drop
from data.measurement import Measurement
from voiceforge.errors import StorageError
from voiceforge.files import sha256_file

FACTS = Measurement("", 8000, 2, 0.5, -20.0, 0.0, 0.0, 0.1, 3900.0, 1.5, "00ff00abcdef")


def put(cache: AudioCache, name: str, tone: float) -> Kept:
    content = encode_flac(np.full(1600, tone, np.float32))
    path = cache.folder / "new"
    path.write_bytes(content)
    kept = Kept(sha256_file(path), 0.1, FACTS)
    cache.path(kept.sha256).parent.mkdir(parents=True, exist_ok=True)
    path.rename(cache.path(kept.sha256))
    cache.keep({name: kept})
    return kept


def test_what_was_kept_is_found_and_failures_that_pass_are_not(tmp_path: Path) -> None:
    with AudioCache(tmp_path) as cache:
        kept = put(cache, "a", 0.1)
        cache.keep({"b": Unusable("truncated", "x"), "c": Unusable("missing", "x")})
    with AudioCache(tmp_path) as cache:
        many = [f"n{number}" for number in range(2000)]
        assert cache.find(["a", "b", "c", *many]) == {"a": kept, "b": Unusable("truncated", "x")}


def test_damage_is_found_when_linking_and_forgotten(tmp_path: Path) -> None:
    with AudioCache(tmp_path / "cache") as cache:
        kept = put(cache, "a", 0.1)
        assert cache.link(kept.sha256, tmp_path / "corpus" / "a.flac")
        assert cache.link(kept.sha256, tmp_path / "corpus" / "a.flac")  # once more is no harm
        with cache.path(kept.sha256).open("r+b") as stream:
            stream.seek(60)
            stream.write(b"\xff\0")
        assert not cache.link(kept.sha256, tmp_path / "corpus" / "b.flac")
        assert not (tmp_path / "corpus" / "b.flac").exists()
        assert cache.find(["a"]) == {} and not cache.path(kept.sha256).exists()


def test_where_links_fail_it_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(os, "link", refuse)
    with AudioCache(tmp_path / "cache") as cache:
        kept = put(cache, "a", 0.1)
        assert cache.link(kept.sha256, tmp_path / "a.flac")
        assert sha256_file(tmp_path / "a.flac") == kept.sha256
        os.utime(cache.path(kept.sha256), (5, 5))
        assert cache.unused(()) == {kept.sha256: (tmp_path / "a.flac").stat().st_size}


def test_forgetting_leaves_no_trace(tmp_path: Path) -> None:
    with AudioCache(tmp_path / FOLDER) as cache:
        kept, other = put(cache, "a", 0.1), put(cache, "b", 0.2)
        cache.keep({"again": kept})
    assert drop(tmp_path, [kept.sha256, "0" * 64]) == 1
    for path in (tmp_path / FOLDER).rglob("*"):
        assert path.is_dir() or kept.sha256.encode() not in path.read_bytes()
    with AudioCache(tmp_path / FOLDER) as cache:
        assert cache.find(["a", "again", "b"]) == {"b": other}


def test_only_what_no_corpus_shares_is_pruned(tmp_path: Path) -> None:
    with AudioCache(tmp_path / "cache") as cache:
        linked, used, lost = (put(cache, name, tone) for name, tone in
                              (("a", 0.1), ("b", 0.2), ("c", 0.3)))  # fmt: skip
        cache.link(linked.sha256, tmp_path / "a.flac")
        left = cache.path(lost.sha256).with_suffix(".77.part")
        left.touch()
        os.utime(left, (5, 5))
        for one in (linked, used, lost):
            os.utime(cache.path(one.sha256), (5, 5))
        new = put(cache, "d", 0.4)  # as a build at work leaves it until it is linked
        assert list(cache.unused({used.sha256})) == [lost.sha256]
        assert list(cache.prune({used.sha256})) == [lost.sha256]
        assert not left.exists()
        assert cache.find(["a", "b", "c", "d"]).keys() == {"a", "b", "d"}
        assert cache.link(new.sha256, tmp_path / "d.flac")
        assert cache.prune({used.sha256}) == {}


def test_two_processes_write_one_index(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from data.audio_cache import AudioCache, Unusable\n"
        "with AudioCache(Path(sys.argv[1])) as cache:\n"
        "    for n in range(200):\n"
        "        cache.keep({f'{sys.argv[2]}-{n}': Unusable('truncated', 'x')})\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path, name]) for name in ("a", "b")
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    with AudioCache(tmp_path) as cache:
        names = [f"{name}-{n}" for name in ("a", "b") for n in range(200)]
        assert len(cache.find(names)) == 400


def test_an_index_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="Delete the folder"):
        AudioCache(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises((StorageError, OSError)):
        AudioCache(tmp_path / "file")
