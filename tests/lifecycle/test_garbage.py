"""gc removes what nothing needs, and nothing else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import write_flac
from data.audio_cache import FOLDER, AudioCache
from data.tables import UTTERANCES, write_utterances
from data.utterance import Utterance
from lifecycle.artifacts import Artifact, ArtifactStore, Question
from lifecycle.certificate import STAGE as CERTIFICATE
from lifecycle.garbage import collect, unneeded, unneeded_audio
from voiceforge.errors import StorageError
from voiceforge.files import sha256_file
from voiceforge.settings import Settings

DOMAIN = "calls"


def settings_in(folder: Path) -> Settings:
    return Settings(folder, folder / "var", 1, True, 1.0)


class History:
    """Weeks of runs: a model a run, predictions of it, sometimes a certificate."""

    def __init__(self, root: Path) -> None:
        self.settings = settings_in(root)
        self.store = ArtifactStore(self.settings.artifacts)
        self.models: list[Artifact] = []
        self.predictions: list[Artifact] = []
        self.certificates: list[Artifact] = []
        self._clock = 0

    def run(self, model: int, certified: bool) -> None:
        made = self._make("adapter", {"seed": str(model)})
        said = self._make("predictions", {"adapter": made.sha256})
        for known, one in ((self.models, made), (self.predictions, said)):
            if one.key not in [item.key for item in known]:
                known.append(one)
        if certified:
            self.certificates.append(self._make(CERTIFICATE, {"predictions": said.sha256}))

    def _make(self, stage: str, inputs: dict[str, str]) -> Artifact:
        def build(folder: Path, _: Path) -> dict[str, Any]:
            (folder / "file").write_text(str(inputs))
            return {}

        made = self.store.make(Question(DOMAIN, stage, 1, inputs, {}), build)
        if not made.reused:
            self._clock += 1_000_000_000
            os.utime(made.path / "manifest.json", ns=(self._clock, self._clock))
        return made


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=10),
    st.integers(1, 3),
)
def test_nothing_that_is_needed_goes(runs: list[tuple[int, bool]], keep: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        history = History(Path(root))
        for model, certified in runs:
            history.run(model, certified)
        current = [history.store.current(DOMAIN, name) for name in ("adapter", "predictions")]
        named = {sha for one in history.certificates for sha in one.inputs.values()}
        for item in unneeded(history.settings, DOMAIN, keep):
            collect(item)
        assert [history.store.current(DOMAIN, one.stage) for one in current] == current
        assert all(one.path.is_dir() for one in history.certificates)
        assert all(one.path.is_dir() for one in history.predictions if one.sha256 in named)
        assert all(one.path.is_dir() for one in history.models[-keep:])
        assert len(history.store.history(DOMAIN, "adapter")) <= keep + 1
        assert unneeded(history.settings, DOMAIN, keep) == []


def test_what_goes_is_named_with_its_size(tmp_path: Path) -> None:
    history = History(tmp_path)
    for model in range(4):
        history.run(model, certified=model == 0)
    garbage = unneeded(history.settings, DOMAIN, 2)
    assert {item.path for item in garbage} == {
        history.models[0].path,
        history.models[1].path,
        history.predictions[1].path,
    }
    size = sum(file.stat().st_size for file in history.models[0].path.iterdir())
    assert garbage[0].bytes == size


def test_what_killed_runs_left_goes(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.run(1, certified=True)
    stage = history.store.folder(DOMAIN, "adapter")
    left = [stage / ".tmp-0123456789abcdef-00000000", stage / ".work-0123456789abcdef"]
    for folder in left:
        folder.mkdir()
    assert {item.path for item in unneeded(history.settings, DOMAIN, 2)} == set(left)
    assert unneeded(history.settings, "others", 2) == []


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: root is stopped by no read-only folder."""
    import errno

    history = History(tmp_path)
    history.run(1, certified=False)
    history.run(2, certified=False)
    item = unneeded(history.settings, DOMAIN, 1)[0]

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(StorageError, match="cannot be written"):
        collect(item)


def test_decoded_audio_stays_as_long_as_a_corpus_uses_it(tmp_path: Path) -> None:
    place = settings_in(tmp_path)
    assert unneeded_audio(place, remove=True).bytes == 0
    with AudioCache(place.cache / FOLDER) as cache:
        hashes = []
        for level in (0.1, 0.2):
            write_flac(tmp_path / "x.flac", np.full(1600, level, np.float32))
            hashes.append(sha256_file(tmp_path / "x.flac"))
            cache.path(hashes[-1]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "x.flac").rename(cache.path(hashes[-1]))
            os.utime(cache.path(hashes[-1]), (5, 5))
        used, unused = hashes
        size = cache.path(unused).stat().st_size
        row = Utterance("a", "audio/a.flac", 0.1, "a", "en", "en", "s", DOMAIN, "x", "L",
                        "granted", "", False, used)  # fmt: skip
        write_utterances(place.corpora / DOMAIN / UTTERANCES, [row])
        assert unneeded_audio(place, remove=False).bytes == size
        assert cache.path(unused).exists()
        assert unneeded_audio(place, remove=True).bytes == size
        assert cache.path(used).exists() and not cache.path(unused).exists()
    assert unneeded_audio(place, remove=True).bytes == 0
