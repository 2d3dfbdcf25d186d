"""Corpus versions are recorded, pushed and restored whole, with git and without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from data.remotes import REMOTE, RemoteSettings
from data.versions import CorpusVersion, add_version, checkout_version
from voiceforge.errors import IntegrityError, SourceError, UsageError
from voiceforge.files import new_folder, sha256_folder


@pytest.fixture(params=["git", "no git"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    if request.param == "git":
        subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def folder(path: Path) -> RemoteSettings:
    return RemoteSettings(str(path))


def write(project: Path, **files: str) -> Path:
    """A corpus folder, replaced whole as the lifecycle does."""
    corpus = project / "data" / "corpora" / "calls"
    with new_folder(corpus) as folder:
        for name, content in files.items():
            (folder / "audio").mkdir(exist_ok=True)
            (folder / "audio" / name).write_text(content)
    return corpus


def test_versions_come_and_go(project: Path, tmp_path: Path) -> None:
    remote = RemoteSettings(str(tmp_path / "remote"))
    corpus = write(project, a="one", b="two")
    first = add_version(project, corpus, remote)
    assert first.md5.endswith(".dir") and (first.files, first.bytes) == (2, 6)
    assert add_version(project, corpus, remote) == first
    pointer = yaml.safe_load((corpus.parent / "calls.dvc").read_text())
    assert pointer["outs"][0]["md5"] == first.md5

    original = sha256_folder(corpus)
    write(project, a="one", c="three!")
    second = add_version(project, corpus, remote)
    assert second.md5 != first.md5 and second.bytes == 9
    changed = sha256_folder(corpus)

    # Neither was ever committed to git.
    assert checkout_version(project, "calls", first.md5, remote) == first
    assert sha256_folder(corpus) == original
    # From the remote alone, without the ending.
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(corpus)
    assert checkout_version(project, "calls", second.md5.removesuffix(".dir"), remote) == second
    assert sha256_folder(corpus) == changed
    assert {path.name for path in corpus.parent.iterdir()} <= {"calls", "calls.dvc", ".gitignore"}


def test_a_rebuilt_corpus_leaves_recorded_versions_alone(project: Path, tmp_path: Path) -> None:
    corpus = write(project, a="one")
    version = add_version(project, corpus, folder(tmp_path / "remote"))
    write(project, a="two")
    add_version(project, corpus, folder(tmp_path / "remote"))
    checkout_version(project, "calls", version.md5)
    assert (corpus / "audio" / "a").read_text() == "one"


def test_what_is_nowhere_leaves_the_corpus_as_it_was(project: Path, tmp_path: Path) -> None:
    corpus = write(project, a="one")
    version = add_version(project, corpus, folder(tmp_path / "remote"))
    before = sha256_folder(project / "data")
    with pytest.raises(SourceError, match=r"0000\.dir of calls is not in"):
        checkout_version(project, "calls", "0" * 32, folder(tmp_path / "remote"))
    for bad in ("", "latest", version.md5[:10], "../" + version.md5):
        with pytest.raises(UsageError, match="not a version"):
            checkout_version(project, "calls", bad, folder(tmp_path / "remote"))
    assert sha256_folder(project / "data") == before


def test_a_version_that_lost_a_file_is_not_half_restored(project: Path, tmp_path: Path) -> None:
    corpus = write(project, a="one", b="two")
    version = add_version(project, corpus, None)
    write(project, a="new")
    add_version(project, corpus, None)
    for path in (project / ".dvc" / "cache").rglob("*"):
        if path.is_file() and path.read_bytes() == b"two":
            path.unlink()
    with pytest.raises((SourceError, IntegrityError)):
        checkout_version(project, "calls", version.md5)
    assert (corpus / "audio" / "a").read_text() == "new"


def test_a_damaged_cache_is_not_restored(project: Path) -> None:
    corpus = write(project, a="one", b="two")
    version = add_version(project, corpus, None)
    write(project, a="new")
    add_version(project, corpus, None)
    for path in (project / ".dvc" / "cache").rglob("*"):
        if path.is_file() and path.read_bytes() == b"two":
            path.chmod(0o644)
            path.write_bytes(b"bad")
    with pytest.raises((SourceError, IntegrityError)):
        checkout_version(project, "calls", version.md5)
    assert (corpus / "audio" / "a").read_text() == "new"


def test_git_sees_the_pointer_and_not_the_audio(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    add_version(tmp_path, write(tmp_path, a="one"), folder(tmp_path / "var"))
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "data", ".dvc"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert set(listed) == {"data/corpora/.gitignore", "data/corpora/calls.dvc"}


def test_a_projects_own_remote_is_kept(project: Path, tmp_path: Path) -> None:
    corpus = write(project, a="one")
    add_version(project, corpus, None)
    own = tmp_path / "own"
    config = project / ".dvc" / "config"
    config.write_text(
        config.read_text() + f"[core]\n    remote = own\n['remote \"own\"']\n    url = {own}\n"
        if "[core]" not in config.read_text()
        else f"[core]\n    no_scm = True\n    remote = own\n['remote \"own\"']\n    url = {own}\n"
    )
    add_version(project, corpus, folder(tmp_path / "home"))
    assert own.is_dir() and not (tmp_path / "home").exists()


def test_another_home_moves_our_remote(project: Path, tmp_path: Path) -> None:
    corpus = write(project, a="one")
    versions: list[CorpusVersion] = []
    for home in ("first", "second"):
        versions.append(add_version(project, corpus, folder(tmp_path / home)))
        assert any((tmp_path / home).rglob("*.dir"))
        assert str(tmp_path / home) in (project / ".dvc" / "config.local").read_text()
    assert versions[0] == versions[1]
    assert REMOTE in (project / ".dvc" / "config.local").read_text()


def test_files_of_a_corpus_cannot_be_written_in_place(project: Path) -> None:
    corpus = write(project, a="one")
    add_version(project, corpus, None)
    assert (corpus / "audio" / "a").stat().st_mode & 0o222 == 0
