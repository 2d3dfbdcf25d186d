"""Stage validation on a small corpus of real recordings: what is heard, quarantined, released."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from data.fetch import fetch
from data.releases import RELEASES
from data.tables import read_rejects, read_utterances
from lifecycle.agreement import Clip, disagreement, forget_heard, hear
from lifecycle.base_engine import make_base_engine
from lifecycle.checks import few_quarantined
from lifecycle.corpus import make_corpus
from lifecycle.releases import release_utterance
from lifecycle.validation import (
    AGREEMENT,
    QUARANTINE,
    TABLE,
    make_validation,
)
from lifecycle.workspace import Workspace, open_workspace
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.settings import Settings, load_settings

DOMAIN = "calls"
SAID = {
    "agent-alreadyon": "That agent is already logged on. Please enter your agent number.",
    "all-circuits-busy-now": "All circuits are busy now.",
    "agent-newlocation": "The weather in the mountains was mild for the season.",  # it is not
    "agent-pass": "Please enter your password followed by the pound key.",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, project: Path, cache: Path) -> Settings:
    """A project with four recordings, of which one has another's text, and a file that is none."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "var" / "cache").mkdir(parents=True)
    for kept in ("sources", "base-models", "locks"):
        (cache / kept).mkdir(exist_ok=True)
        (folder / "var" / "cache" / kept).symlink_to(cache / kept)
    content = yaml.safe_load((project / "params.yaml").read_text())
    source = {"kind": "folder", "path": "recordings", "language": "en"}
    content["domains"] = {DOMAIN: {"sources": [source], "quarantine_limit": 0.5}}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    recordings = folder / "recordings"
    recordings.mkdir()
    rows = ["audio,text", "broken.wav,nothing to hear"]
    for name, text in SAID.items():
        shutil.copy(next(prompts.rglob(f"{name}.g722")), recordings)
        rows.append(f"{name}.g722,{text}")
    (recordings / "broken.wav").write_text("no recording")
    (recordings / "table.csv").write_text("\n".join(rows) + "\n")
    settings = load_settings({}, folder)
    workspace = open_workspace(DOMAIN, settings)
    make_corpus(workspace)
    make_base_engine(workspace)
    return settings


@pytest.fixture
def workspace(built: Settings) -> Workspace:
    workspace = open_workspace(DOMAIN, built)
    (workspace.ledgers / RELEASES).unlink(missing_ok=True)
    return workspace


def out(workspace: Workspace) -> dict[str, str]:
    made = make_validation(workspace)
    return {row.id: row.reason for row in read_rejects(made.path / QUARANTINE)}


def test_another_recordings_text_is_suspect_and_all_rejects_are_in_one_table(
    workspace: Workspace,
) -> None:
    codes = sorted(out(workspace).values())
    assert codes == ["not-audio", "suspect-transcript"]
    made = make_validation(workspace)
    names = [row.text for row in read_utterances(made.path / TABLE)]
    assert sorted(names) == sorted(text for text in SAID.values() if "weather" not in text)
    assert made.summary["heard"] == 4
    assert (made.path / AGREEMENT).is_file()
    check = few_quarantined(workspace)
    assert check.passed
    assert "2 of 5 recordings (40.0%) are in quarantine" in check.sentence
    assert "(not-audio 1, suspect-transcript 1)" in check.sentence
    strict = workspace.domain.model_copy(update={"quarantine_limit": 0.3})
    assert not few_quarantined(replace(workspace, domain=strict)).passed


def test_a_release_brings_an_utterance_back_and_a_damaged_file_stops_the_stage(
    workspace: Workspace,
) -> None:
    name = next(key for key, code in out(workspace).items() if code == "suspect-transcript")
    release_utterance(workspace, name, "suspect-transcript", "I listened to it.", "Ada")
    assert sorted(out(workspace).values()) == ["not-audio"]
    made = make_validation(workspace)
    assert (made.summary["released"], made.summary["releases_on_file"]) == (1, 1)
    assert made.summary["utterances"] == 4
    with pytest.raises(UsageError, match="is released from 'suspect-transcript' already"):
        release_utterance(workspace, name, "suspect-transcript", "again", "Ada")
    path = workspace.ledgers / RELEASES
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(IntegrityError, match=r"releases\.jsonl, line 2"):
        make_validation(workspace)


def test_what_was_not_decoded_cannot_be_released(workspace: Workspace) -> None:
    name = next(key for key, code in out(workspace).items() if code == "not-audio")
    with pytest.raises(UsageError, match="It is there for: not-audio"):
        release_utterance(workspace, name, "clipped", "it is fine", "Ada")
    with pytest.raises(UsageError, match="cannot be released from 'not-audio'"):
        release_utterance(workspace, name, "not-audio", "it is fine", "Ada")


def test_equal_corpora_are_validated_to_equal_artifacts(workspace: Workspace) -> None:
    first = make_validation(workspace)
    shutil.rmtree(first.path)
    assert make_validation(workspace).sha256 == first.sha256


def test_audio_is_heard_once_and_again_after_it_was_forgotten(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import serving.engines

    rows = read_utterances(workspace.corpus / TABLE)
    clips = [Clip(one.id, one.audio, one.duration, one.text, one.audio_sha256) for one in rows]
    before = hear(workspace, clips)
    (memory,) = (workspace.settings.cache / "heard").glob("*.jsonl")
    # A run that was killed while it wrote: the line is heard anew, the others are not, whatever
    # separators of Unicode a text holds.
    memory.write_text(f'{{"audio": "0a", "window": 30, "text": "a\u2028b"}}\n{memory.read_text()}')
    memory.write_text(memory.read_text().rstrip("\n") + '\n{"audio": "0a')
    monkeypatch.setattr(serving.engines, "load_engine", lambda *_, **__: pytest.fail("heard twice"))
    assert hear(workspace, clips) == before
    assert "a\u2028b" in memory.read_text() and memory.read_text().endswith("}\n")
    monkeypatch.undo()
    assert forget_heard(workspace.settings.cache, {clips[0].audio_sha256}) == 1
    assert clips[0].audio_sha256 not in memory.read_text()
    assert hear(workspace, clips) == before
    memory.write_text("{}\n" + memory.read_text())
    with pytest.raises(IntegrityError, match="line 1 is damaged"):
        hear(workspace, clips)
    memory.unlink()


@pytest.mark.parametrize(
    ("reference", "hypothesis", "low", "high"),
    [
        ("the fifth floor is closed", "The fifth floor is closed.", 0.0, 0.0),
        ("fifth", "Fift.", 0.0, 0.3),  # normalised, "5th" has all characters of "fift" wrong
        ("seventeen hundred and one", "1701", 0.0, 0.0),
        ("the line is busy", "a mild season in the mountains", 0.6, 2.0),
    ],
)
def test_disagreement_is_as_favourable_as_spelling_allows(
    reference: str, hypothesis: str, low: float, high: float
) -> None:
    assert low <= disagreement(reference, hypothesis, "whisper-english", "en") <= high


def test_number_words_may_stand_for_digits_and_hide_no_other_text() -> None:
    assert disagreement("diciassette", "17.", "whisper-basic", "it") == 0.0
    assert disagreement("diciassette", "buonasera", "whisper-basic", "it") > 0.7
    said = "la stagione fu mite in montagna e nelle valli vicine"
    assert disagreement(said, "premere 4 per il messaggio successivo", "whisper-basic", "it") > 0.5
