"""The replay stage on a folder of real recordings: kept apart, in the base model's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from data import catalogue
from data.audio import decode, write_flac
from data.corpus import UTTERANCES
from data.fetch import fetch
from data.sources.base import FileAudio, Recording
from data.sources.prompts import plan_prompts
from data.splits import hash_split, text_key
from data.tables import read_utterances, write_utterances
from data.utterance import Utterance
from evaluation.text import normalise
from lifecycle import splits
from lifecycle.adapter import parameters
from lifecycle.replay import STAGE, make_replay
from lifecycle.workspace import Workspace, open_workspace
from serving.engines.ctranslate2 import CTranslate2Engine
from voiceforge.errors import StageError
from voiceforge.settings import Settings, load_settings

DOMAIN = "calls"
RECORDINGS = 10


@pytest.fixture(scope="module")
def prompts(cache: Path) -> list[Recording]:
    source = fetch("prompts-en", cache=cache, offline=False, timeout=30.0)
    plan = plan_prompts(source, "en", catalogue.entry("prompts-en").licence)
    long = [one for one in plan.recordings if 30 < len(one.text) < 60]
    return long[:: len(long) // RECORDINGS][:RECORDINGS]


@pytest.fixture
def settings(tmp_path: Path, project: Path, cache: Path, prompts: list[Recording]) -> Settings:
    """A project that replays a folder of prompts; the transcript of the last is another's."""
    general = tmp_path / "general"
    general.mkdir()
    lines = ["audio,text,speaker"]
    for number, one in enumerate(prompts):
        assert isinstance(one.audio, FileAudio)
        write_flac(general / f"{number}.flac", decode(one.audio.path))
        text = one.text if number < RECORDINGS - 1 else f"{one.text} and much that nobody says"
        lines.append(f'{number}.flac,"{text}",someone')
    (general / "table.csv").write_text("\n".join(lines))
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["defaults"]["splits"].update(train=0.6, dev=0.1, test=0.3)
    content["domains"] = {
        DOMAIN: {
            "sources": [{"kind": "folder", "path": "own", "language": "en"}],
            "training": {
                "replay": {
                    "share": 0.2,
                    "sources": [{"kind": "folder", "path": str(general), "language": "en"}],
                }
            },
        }
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "cache").symlink_to(cache)
    return load_settings({}, tmp_path)


def with_splits(settings: Settings, *rows: Utterance) -> Workspace:
    """The domain with splits as they are said to be."""
    workspace = open_workspace(DOMAIN, settings)

    def build(folder: Path, _: Path) -> dict[str, Any]:
        write_utterances(folder / splits.TABLE, rows)
        return {}

    workspace.make(splits.STAGE, 1, {"rows": repr(rows)}, {}, build)
    return workspace


def own(text: str, split: Any) -> Utterance:
    return Utterance(
        f"own-{split}", "a.flac", 1.0, text, "en", "en", "me", DOMAIN, "s", "L", "granted", split,
        False, "",
    )  # fmt: skip


def test_what_is_replayed_is_apart_from_evaluation_and_says_what_the_base_model_hears(
    settings: Settings, prompts: list[Recording]
) -> None:
    workspace = with_splits(settings, own("hello", "train"))
    made = make_replay(workspace)
    assert made is not None
    rows = read_utterances(made.path / UTTERANCES)
    shares = workspace.domain.splits
    allowed = {
        number
        for number, one in enumerate(prompts[:-1])
        if hash_split(text_key(one.text), shares) == "train"
    }
    held = made.summary["left_out"]["left to evaluation by the hash of its text"]
    assert held in (RECORDINGS - len(allowed), RECORDINGS - len(allowed) - 1)
    assert sum(made.summary["left_out"].values()) + len(rows) == RECORDINGS
    assert 2 <= len(rows) <= len(allowed)
    files = {path.relative_to(made.path).as_posix() for path in made.path.rglob("*.flac")}
    assert files == {row.audio for row in rows}
    references = {normalise(one.text, "whisper-english", "en") for one in prompts[:-1]}
    said = [normalise(row.text, "whisper-english", "en") for row in rows]
    assert sum(text in references for text in said) >= len(rows) - 1
    assert any(row.text.endswith(".") for row in rows)  # the model's own punctuation
    assert {row.split for row in rows} == {"train"}
    again = make_replay(workspace)
    assert again is not None
    assert again.reused


def with_references(workspace: Workspace) -> Workspace:
    asked = workspace.domain.training.replay.model_copy(update={"labels": "reference"})
    training = workspace.domain.training.model_copy(update={"replay": asked})
    domain = workspace.domain.model_copy(update={"training": training})
    return replace(workspace, domain=domain)


def test_references_are_taken_where_they_are_asked_for(settings: Settings) -> None:
    made = make_replay(with_references(with_splits(settings, own("hello", "train"))))
    assert made is not None
    rows = read_utterances(made.path / UTTERANCES)
    table = (settings.project / "general" / "table.csv").read_text()
    assert all(f'"{row.text}"' in table for row in rows)
    held_out = with_splits(settings, own(rows[0].text.upper(), "test"))
    elsewhere = make_replay(with_references(held_out))
    assert elsewhere is not None
    assert elsewhere.summary["left_out"]["a text of dev or test"] == 1
    assert elsewhere.summary["utterances"] == len(rows) - 1


def test_what_was_heard_before_a_kill_is_not_heard_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the first batch; the second run hears the others only."""
    monkeypatch.setattr("lifecycle.replay._CHUNK", 1)
    heard: list[int] = []
    transcribe = CTranslate2Engine.transcribe

    def killed(self: Any, clips: Any, options: Any) -> Any:
        if heard:
            raise KeyboardInterrupt
        heard.append(len(clips))
        return transcribe(self, clips, options)

    workspace = with_splits(settings, own("hello", "train"))
    few = workspace.domain.evaluation.model_copy(update={"batch_size": 2})
    workspace = replace(workspace, domain=workspace.domain.model_copy(update={"evaluation": few}))
    monkeypatch.setattr(CTranslate2Engine, "transcribe", killed)
    with pytest.raises(KeyboardInterrupt):
        make_replay(workspace)
    heard.clear()

    def counted(self: Any, clips: Any, options: Any) -> Any:
        heard.append(len(clips))
        return transcribe(self, clips, options)

    monkeypatch.setattr(CTranslate2Engine, "transcribe", counted)
    made = make_replay(workspace)
    assert made is not None
    doubted = sum(made.summary["left_out"].values())
    waiting = made.summary["left_out"]["left to evaluation by the hash of its text"]
    assert sum(heard) == made.summary["utterances"] + doubted - waiting - 2


def test_nothing_left_to_replay_is_an_error_that_says_why(settings: Settings) -> None:
    workspace = with_splits(settings, own("hello", "train"))
    training = workspace.domain.training.model_copy(update={"maximum_seconds": 0.2})
    domain = workspace.domain.model_copy(update={"training": training})
    with pytest.raises(StageError, match=rf"{RECORDINGS} too long.*share to 0"):
        make_replay(replace(workspace, domain=domain))


def test_a_domain_that_replays_nothing_makes_nothing(settings: Settings) -> None:
    workspace = with_splits(settings, own("hello", "train"))
    off = workspace.domain.training.replay.model_copy(update={"share": 0.0})
    training = workspace.domain.training.model_copy(update={"replay": off})
    domain = workspace.domain.model_copy(update={"training": training})
    quiet = replace(workspace, domain=domain)
    assert make_replay(quiet) is None
    assert not workspace.store.folder(DOMAIN, STAGE).exists()
    assert "replay" not in parameters(quiet)
    assert "replay" in parameters(workspace)
