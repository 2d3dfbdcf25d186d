"""Hugging Face datasets with real files: on disk, Parquet, folders of audio, and from a Hub."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from huggingface_hub import constants

from data.sources import render
from data.sources.base import FileAudio, Plan, Reach
from data.sources.huggingface import HuggingFace
from voiceforge.errors import IntegrityError, SourceError, UsageError
from voiceforge.params import HuggingFaceSource

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    return Reach(tmp_path / "cache", offline=False, timeout=2)


def wav(number: int) -> bytes:
    """A second of a tone of its own."""
    stream = io.BytesIO()
    tone = 0.3 * np.sin(np.arange(16_000) * (0.1 + 0.01 * number))
    soundfile.write(stream, tone, 16_000, format="WAV")
    return stream.getvalue()


def table(count: int, **columns: Any) -> pa.Table:
    audio = [{"bytes": wav(n), "path": f"clip{n}.wav"} for n in range(count)]
    return pa.table({"audio": audio, "text": [f"words {n}" for n in range(count)], **columns})


def parquet(path: Path, content: pa.Table, rows: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path, row_group_size=rows)
    return path


def source(folder: Path, **params: Any) -> HuggingFace:
    fields = {"kind": "huggingface", "path": folder.name, "language": "en", **params}
    return HuggingFace(HuggingFaceSource.model_validate(fields), folder.parent)


def hub(**params: Any) -> HuggingFace:
    fields = {"kind": "huggingface", "dataset": "me/talk", "revision": REVISION, "language": "en"}
    return HuggingFace(HuggingFaceSource.model_validate({**fields, **params}), Path("/nowhere"))


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def check_tones(plan: Plan, count: int) -> None:
    """Every recording is the tone that its text names."""
    assert plan.rejects == () and len(plan.recordings) == count
    for recording in plan.recordings:
        number = int(recording.text.split()[-1])
        wanted = 0.3 * np.sin(np.arange(16_000) * (0.1 + 0.01 * number))
        assert np.abs(render(recording, 30.0).samples - wanted).max() < 1e-3


def test_parquet_with_embedded_audio_is_kept_once_by_content(tmp_path: Path, reach: Reach) -> None:
    columns = {"who": pa.array([7, 7, 8]), "tag": pa.array(["en-IE", None, ""])}
    parquet(tmp_path / "talk" / "data" / "train-00000-of-00002.parquet", table(3, **columns))
    parquet(tmp_path / "talk" / "data" / "train-00001-of-00002.parquet", table(3, **columns))
    parquet(tmp_path / "talk" / "data" / "test-00000-of-00001.parquet", table(5))
    named = source(tmp_path / "talk", columns={"speaker": "who", "accent": "tag"}, licence="MIT")
    plan = named.plan(reach)
    # The second file holds the same recordings, and those are the same ids.
    assert {r.reason for r in plan.rejects} == {"duplicate-id"} and len(plan.rejects) == 3
    assert "train-00001-of-00002.parquet, row 1: data/train-00000" in plan.rejects[0].detail
    check_tones(Plan(plan.recordings), 3)
    assert [r.speaker for r in plan.recordings] == ["talk:7", "talk:7", "talk:8"]
    assert [r.accent for r in plan.recordings] == ["en-ie", "en", "en"]
    assert plan.recordings[0].where == "data/train-00000-of-00002.parquet, row 1"
    kept = files_below(reach.cache / "huggingface" / "audio")
    assert len(kept) == 3 and {path.suffix for path in kept} == {".wav"}
    before = [path.stat().st_mtime_ns for path in kept]
    assert named.plan(reach) == plan
    assert [path.stat().st_mtime_ns for path in kept] == before
    # A file that a power cut left short is written anew.
    whole = kept[0].read_bytes()
    kept[0].write_bytes(whole[:100])
    named.plan(reach)
    assert kept[0].read_bytes() == whole


def test_what_save_to_disk_writes_is_read_without_decoding(tmp_path: Path, reach: Reach) -> None:
    from datasets import Audio, Dataset, DatasetDict

    whole = Dataset(table(4)).cast_column("audio", Audio())
    whole.save_to_disk(tmp_path / "one")
    DatasetDict({"train": whole, "test": whole.select([3])}).save_to_disk(tmp_path / "both")
    check_tones(source(tmp_path / "one").plan(reach), 4)
    check_tones(source(tmp_path / "both", split="test").plan(reach), 1)
    with pytest.raises(UsageError, match=r"no split 'dev'.*may be: train, test"):
        source(tmp_path / "both", split="dev").plan(reach)
    with pytest.raises(UsageError, match=r"no column 'sentence'.*may name: audio, text"):
        source(tmp_path / "one", columns={"text": "sentence"}).plan(reach)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_folders_of_audio_are_read_by_their_metadata(
    tmp_path: Path, reach: Reach, form: str
) -> None:
    folder = tmp_path / "talk" / "train"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        (folder / "deep" / f"x{number}.wav").write_bytes(wav(number))
    rows = [(f"deep/x{n}.wav", f"words {n}") for n in range(3)]
    if form == "csv":
        lines = ["file_name,text", *(",".join(row) for row in rows)]
        (folder / "metadata.csv").write_text("\n".join(lines))
    elif form == "jsonl":
        lines = [json.dumps({"file_name": name, "text": text}) for name, text in rows]
        (folder / "metadata.jsonl").write_text("\n".join(lines))
    else:
        names, texts = zip(*rows, strict=True)
        parquet(folder / "metadata.parquet", pa.table({"file_name": names, "text": texts}))
    plan = source(tmp_path / "talk").plan(reach)
    check_tones(plan, 3)
    assert plan.recordings[0].audio == FileAudio(folder / "deep/x0.wav")
    assert plan.recordings[0].id == "talk-deep-x0"


def test_bad_rows_of_a_dataset_are_rejected_and_the_rest_kept(tmp_path: Path, reach: Reach) -> None:
    folder = tmp_path / "talk"
    folder.mkdir()
    (tmp_path / "secret.wav").write_bytes(wav(0))
    for number in range(3):
        (folder / f"x{number}.wav").write_bytes(wav(number))
    rows: list[Any] = [
        {"file_name": "../secret.wav", "text": "words"},
        {"file_name": str(tmp_path / "secret.wav"), "text": "words"},
        {"file_name": "gone.wav", "text": "words"},
        {"file_name": "x1.wav", "text": None},
        {"file_name": "x1.wav", "text": 3.5},
        {"file_name": 7, "text": "words"},
        {"text": "words"},
        {"file_name": "x1.wav", "sentence": "words"},
        [],
        {"file_name": "x2.wav", "text": "words 2"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    plan = source(folder).plan(reach)
    check_tones(Plan(plan.recordings), 1)
    assert [r.reason for r in plan.rejects] == [
        "unsafe-path",
        "unsafe-path",
        "missing",
        "empty-text",
        "bad-row",
        "bad-row",
        "bad-row",
        "bad-row",
        "bad-row",
    ]
    for number, reject in enumerate(plan.rejects, 1):
        assert f"metadata.jsonl, line {number}" in reject.detail


def test_a_damaged_row_group_stops_the_dataset_where_it_is(tmp_path: Path, reach: Reach) -> None:
    path = parquet(tmp_path / "talk" / "train.parquet", table(400), rows=100)
    start = pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xff" * 4000)
    with pytest.raises(
        SourceError, match=r"train\.parquet could be read up to row (\d+) only"
    ) as e:
        source(tmp_path / "talk").plan(reach)
    stopped = int(str(e.value).split("up to row ")[1].split()[0])
    assert 0 < stopped <= 200
    kept = files_below(reach.cache / "huggingface" / "audio")
    assert len(kept) == stopped and {path.stat().st_size for path in kept} == {len(wav(0))}
    # Mended, it is read whole.
    parquet(path, table(400), rows=100)
    assert len(source(tmp_path / "talk").plan(reach).recordings) == 400


def test_truncated_files_are_no_dataset(tmp_path: Path, reach: Reach) -> None:
    path = parquet(tmp_path / "talk" / "train.parquet", table(3))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match=r"up to row 0 only"):
        source(tmp_path / "talk").plan(reach)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"up to row 0 only"):
        source(tmp_path / "talk").plan(reach)


def test_layouts_that_are_not_read_are_named(tmp_path: Path, reach: Reach) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="cannot be read as a dataset"):
        source(tmp_path / "none").plan(reach)
    (tmp_path / "code").mkdir()
    trap = tmp_path / "trap"
    (tmp_path / "code" / "code.py").write_text(f"open({str(trap)!r}, 'w')")
    with pytest.raises(UsageError, match="scripts are no longer supported"):
        source(tmp_path / "code").plan(reach)
    assert not trap.exists()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "x.wav").write_bytes(wav(0))
    with pytest.raises(UsageError, match="file_name and text"):
        source(tmp_path / "bare").plan(reach)
    (tmp_path / "txt").mkdir()
    (tmp_path / "txt" / "a.txt").write_text("hello")
    with pytest.raises(UsageError, match="kind 'text', which is not read"):
        source(tmp_path / "txt").plan(reach)
    parquet(tmp_path / "pq" / "train.parquet", table(1))
    with pytest.raises(UsageError, match=r"configuration 'en'"):
        source(tmp_path / "pq", config="en").plan(reach)
    with pytest.raises(UsageError, match="does not exist"):
        source(tmp_path / "nowhere").plan(reach)


def test_a_card_names_no_file_outside_of_its_folder(tmp_path: Path, reach: Reach) -> None:
    parquet(tmp_path / "secret.parquet", table(1))
    parquet(tmp_path / "talk" / "train.parquet", table(2))
    card = "---\nconfigs:\n- config_name: default\n  data_files: PATH\n---\n"
    for path in ("../secret.parquet", str(tmp_path / "secret.parquet")):
        (tmp_path / "talk" / "README.md").write_text(card.replace("PATH", path))
        with pytest.raises(UsageError, match="secret"):
            source(tmp_path / "talk").plan(reach)
    (tmp_path / "talk" / "README.md").write_text(card.replace("PATH", "train.parquet"))
    check_tones(source(tmp_path / "talk").plan(reach), 2)


def test_plain_tables_name_audio_in_the_folder(tmp_path: Path, reach: Reach) -> None:
    folder = tmp_path / "talk"
    folder.mkdir()
    (folder / "x0.wav").write_bytes(wav(0))
    rows = f"Path\tSentence\nx0.wav\twords 0\n{tmp_path}/talk/x0.wav\twords 0\n../x.wav\tno\n"
    (folder / "train.tsv").write_text(rows)
    plan = source(folder, columns={"audio": "Path", "text": "Sentence"}).plan(reach)
    check_tones(Plan(plan.recordings), 1)
    assert [r.reason for r in plan.rejects] == ["duplicate-id", "unsafe-path"]


def test_fingerprint_sees_files_and_parameters_and_opens_no_connection(tmp_path: Path) -> None:
    path = parquet(tmp_path / "talk" / "train.parquet", table(1))
    seen = [source(tmp_path / "talk").fingerprint()]
    assert source(tmp_path / "talk").fingerprint() == seen[0]
    seen.append(source(tmp_path / "talk", split="test").fingerprint())
    os.utime(path, (1, 1))
    seen.append(source(tmp_path / "talk").fingerprint())
    seen.append(hub().fingerprint())
    seen.append(hub(revision="f" * 40).fingerprint())
    assert all(seen[i] != seen[j] for i in range(5) for j in range(i))


# A Hub


class Hub(http.server.SimpleHTTPRequestHandler):
    """The two questions that a dataset's client asks: which files at a commit, and a file."""

    failing: str = ""
    asked: list[str]

    def __init__(self, *args: Any, asked: list[str], failing: list[str], **options: Any) -> None:
        self.asked, self.failures = asked, failing
        super().__init__(*args, **options)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        root = Path(self.directory)
        if self.path.split("?")[0] == f"/api/datasets/me/talk/revision/{REVISION}":
            names = [path.relative_to(root).as_posix() for path in files_below(root)]
            facts = {
                "id": "me/talk",
                "sha": REVISION,
                "siblings": [{"rfilename": n} for n in names],
            }
            content, name = json.dumps(facts).encode(), "list"
        else:
            name = self.path.split("?")[0].removeprefix(f"/datasets/me/talk/resolve/{REVISION}/")
            path = root / name
            content = path.read_bytes() if path.is_file() else b""
            if not content:
                self.send_response(404)
                self.send_header(
                    "X-Error-Code", "RepoNotFound" if "/api/" in self.path else "EntryNotFound"
                )
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(200)
        self.send_header("ETag", f'"{name.replace("/", "-")}-{len(content)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and name in self.failures:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        elif body:
            self.wfile.write(content)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def failing() -> list[str]:
    return []


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], failing: list[str]
) -> Iterator[Path]:
    """The folder of the dataset me/talk, on a Hub of its own that alone is reachable."""
    folder = tmp_path / "published"
    folder.mkdir()
    handler = functools.partial(Hub, directory=str(folder), asked=asked, failing=failing)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with at(f"http://127.0.0.1:{server.server_port}", monkeypatch):
            yield folder
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield


CARD = """---
configs:
- config_name: en
  data_files:
  - {split: train, path: en/train-*.parquet}
  - {split: test, path: en/test.parquet}
- config_name: it
  data_files: it/*.parquet
---
"""


def test_only_the_files_of_a_split_are_fetched_and_only_once(
    published: Path, asked: list[str], reach: Reach
) -> None:
    (published / "README.md").write_text(CARD)
    for number in range(2):
        parquet(published / "en" / f"train-{number}.parquet", table(4).slice(2 * number, 2))
    parquet(published / "en" / "test.parquet", table(5).slice(4))
    parquet(published / "it" / "train.parquet", table(5))
    train, test = hub(config="en"), hub(config="en", split="test")
    check_tones(train.plan(reach), 4)
    fetched = {line.split("/resolve/")[1][41:] for line in asked if "GET /datasets" in line}
    assert fetched == {"README.md", "en/train-0.parquet", "en/train-1.parquet"}
    asked.clear()
    offline = Reach(reach.cache, offline=True, timeout=1)
    assert train.plan(offline) == train.plan(reach) and asked == []
    with pytest.raises(SourceError, match=r"not in the cache .*offline mode"):
        test.plan(offline)
    check_tones(test.plan(reach), 1)
    assert train.plan(reach).recordings[0].source == "huggingface:me-talk"
    with pytest.raises(UsageError, match=r"me/talk of the Hub has no split 'dev'"):
        hub(config="en", split="dev").plan(reach)
    with pytest.raises(UsageError, match=r"'de'.*en.*it"):
        hub(config="de").plan(reach)


def test_folders_of_audio_come_from_the_hub(published: Path, reach: Reach) -> None:
    rows = "".join(f"x{number}.wav,words {number}\n" for number in range(2))
    (published / "metadata.csv").write_text("file_name,text\n" + rows)
    for number in range(2):
        (published / f"x{number}.wav").write_bytes(wav(number))
    check_tones(hub().plan(reach), 2)


def test_a_lost_connection_names_the_file_and_leaves_no_half(
    published: Path, failing: list[str], reach: Reach
) -> None:
    for number in range(3):
        parquet(published / "data" / f"train-{number}.parquet", table(6).slice(2 * number, 2))
    failing.append("data/train-1.parquet")
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"me/talk at 0123.*file 2 of 3, data/train-1\.parquet"):
        hub().plan(reach)
    assert time.monotonic() - started < 30
    folder = reach.cache / "huggingface" / "datasets"
    assert [path.name for path in folder.rglob("*.parquet")] == ["train-0.parquet"]
    assert not list(folder.rglob("*.json")) and not (reach.cache / "huggingface" / "audio").exists()
    failing.clear()
    check_tones(hub().plan(reach), 6)
    # What the disk shortened later is heard of.
    broken = next(folder.rglob("train-2.parquet"))
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(IntegrityError, match=r"train-2\.parquet has 1000 bytes.*Delete"):
        hub().plan(reach)
    shutil.rmtree(folder)
    check_tones(hub().plan(reach), 6)


def test_a_hub_that_cannot_be_had_costs_seconds(
    tmp_path: Path, reach: Reach, monkeypatch: pytest.MonkeyPatch, published: Path
) -> None:
    def refused(words: str) -> None:
        started = time.monotonic()
        with pytest.raises(SourceError, match=words):
            hub().plan(reach)
        assert time.monotonic() - started < 15

    shutil.rmtree(published)
    published.mkdir()
    with pytest.raises(UsageError, match="cannot be read as a dataset"):
        hub().plan(reach)
    with pytest.raises(SourceError, match=r"me/none at .*its list of files"):
        hub(dataset="me/none").plan(reach)
    with at("http://127.0.0.1:9", monkeypatch):
        refused(r"Tried the dataset me/talk at .* of http://127\.0\.0\.1:9")
    with (
        socket.create_server(("127.0.0.1", 0), backlog=16) as silent,
        at(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch),
    ):
        refused("its list of files: .*timed out")
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        refused("HF_HUB_OFFLINE is set")
