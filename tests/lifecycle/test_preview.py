"""The preview's page: every effect on clips of a small corpus of real speech."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from data.audio import SAMPLE_RATE, decode, read_flac, write_flac
from data.fetch import fetch
from data.tables import UTTERANCES, read_utterances, write_utterances
from data.utterance import Utterance
from lifecycle import splits
from lifecycle.preview import make_preview
from lifecycle.workspace import Workspace, open_workspace
from voiceforge.errors import UsageError
from voiceforge.files import read_json, write_text
from voiceforge.settings import Settings

NAME = "telephony-en"
PROMPTS = ("agent-pass", "agent-user", "agent-loggedoff", "agent-newlocation")
EXHIBITS = ["speed", "room", "white", "pink", "babble", "mu-law", "a-law", "gsm", "opus",
            "packet-loss", "specaugment", "everything", "chain"]  # fmt: skip

LayCorpus = Callable[..., Workspace]


@pytest.fixture
def corpus(settings: Settings, cache: Path) -> LayCorpus:
    """Lays a corpus of prompts down in the project, not split yet."""

    def lay(*names: str, **effects: Any) -> Workspace:
        prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
        folder = settings.corpora / NAME
        folder.mkdir(parents=True)
        rows = []
        for name in names or PROMPTS:
            samples = decode(next(prompts.rglob(f"{name}.g722")))
            write_flac(folder / f"{name}.flac", samples)
            rows.append(
                Utterance(name, f"{name}.flac", len(samples) / SAMPLE_RATE, f"<b>{name}</b>", "en",
                          "en-us", "allison", NAME, "prompts:en", "CC-BY-SA-3.0", "granted", "",
                          False, "")
            )  # fmt: skip
        write_utterances(folder / UTTERANCES, rows)
        path = settings.project / "params.yaml"
        content = yaml.safe_load(path.read_text())
        content["domains"][NAME]["training"] = {"augmentation": effects}
        write_text(path, yaml.safe_dump(content, sort_keys=False))
        return open_workspace(NAME, settings)

    return lay


def test_every_effect_has_players_plots_and_a_page_that_needs_no_server(
    corpus: LayCorpus, tmp_path: Path
) -> None:
    workspace = corpus()
    page = make_preview(workspace, tmp_path / "out", count=1)
    assert page == tmp_path / "out" / "index.html"
    html = page.read_text()
    assert "1 of 4 clips of the corpus, which has no splits yet" in html
    assert "Augmentation is off" in html
    assert "<b>" not in html
    assert re.findall(r'<section id="([\w-]+)">', html) == ["summary", *EXHIBITS]
    linked = re.findall(r'src="([^"]+)"', html)
    assert "http" not in html.replace("http://www.w3.org", "")
    files = {path.relative_to(page.parent).as_posix() for path in page.parent.rglob("*.*")}
    assert files == {*linked, "index.html", "preview.json", ".gitignore"}
    assert (page.parent / ".gitignore").read_text() == "*\n"
    assert {f"0/{name}.png" for name in EXHIBITS} <= files

    record = read_json(page.parent / "preview.json")
    original = read_flac(page.parent / "0" / "original.flac")
    np.testing.assert_array_equal(
        original, read_flac(workspace.corpus / f"{record['clips'][0]}.flac")
    )
    pictures = set()
    for effect in EXHIBITS:
        what = record["effects"][effect][0]["what"]
        assert what[0].upper() + what[1:] in html
        assert (what == "nothing") == (effect == "chain")
        unchanged = what == "nothing" or what.startswith("0 of ")
        pictures.add((page.parent / "0" / f"{effect}.png").read_bytes())
        if effect != "specaugment":
            heard = read_flac(page.parent / "0" / f"{effect}.flac")
            assert np.array_equal(heard, original) == unchanged, effect
    assert len(pictures) >= len(EXHIBITS) - 1


def test_equal_seeds_give_equal_files_and_the_chain_follows_the_probabilities(
    corpus: LayCorpus, tmp_path: Path
) -> None:
    workspace = corpus(noise={"probability": 0.6, "kinds": ["pink", "white"]})
    found = {}
    for out, seed in (("one", 3), ("two", 3), ("other", 4)):
        make_preview(workspace, tmp_path / out, count=1, effects=["noise", "chain"], seed=seed)
        found[out] = {path.name: path.read_bytes() for path in (tmp_path / out).rglob("*.*")}
    assert found["one"] == found["two"]
    assert found["one"].keys() == found["other"].keys()
    assert found["one"]["white.flac"] != found["other"]["white.flac"]
    html = found["one"]["index.html"].decode()
    names = re.findall(r'<section id="([\w-]+)">', html)
    assert names == ["summary", "white", "pink", "babble", "chain"]
    assert html.count("30% of clips") == 2
    assert "Augmentation is off" not in html
    make_preview(workspace, tmp_path / "one", count=1, effects=["gsm"], seed=3)
    assert not (tmp_path / "one" / "0" / "white.flac").exists()  # replaced whole


def test_where_there_are_splits_only_training_clips_are_shown(
    corpus: LayCorpus, tmp_path: Path
) -> None:
    workspace = corpus()
    rows = read_utterances(workspace.corpus / UTTERANCES)
    parts = ["train", "test", "train", "dev"]
    split = [replace(row, split=part) for row, part in zip(rows, parts, strict=True)]
    gone = replace(split[0], id="gone", audio="gone.flac")

    def build(folder: Path, _: Path) -> dict[str, Any]:
        write_utterances(folder / splits.TABLE, [*split, gone])
        return {}

    workspace.make(splits.STAGE, splits.VERSION, {}, {}, build)
    page = make_preview(workspace, tmp_path / "out", count=9, effects=["a-law"])
    assert "2 of 2 training clips" in page.read_text()
    clips = read_json(tmp_path / "out" / "preview.json")["clips"]
    assert sorted(clips) == ["agent-loggedoff", "agent-pass"]


def test_a_corpus_of_one_clip_is_shown_without_babble(corpus: LayCorpus, tmp_path: Path) -> None:
    workspace = corpus("agent-pass")
    make_preview(workspace, tmp_path / "out", count=4, effects=["noise", "everything"])
    effects = read_json(tmp_path / "out" / "preview.json")["effects"]
    assert list(effects) == ["white", "pink", "everything"]


def test_what_cannot_be_shown_is_refused_and_nothing_is_touched(
    corpus: LayCorpus, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"has not been built yet.*voiceforge corpus validate"):
        make_preview(open_workspace(NAME, settings), tmp_path / "out", count=1)
    workspace = corpus()
    with pytest.raises(
        UsageError, match=r"no effect 'echo' to show. There are: speed, room, white"
    ):
        make_preview(workspace, tmp_path / "out", count=1, effects=["gsm", "echo"])
    assert not (tmp_path / "out").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="mine holds other files"):
        make_preview(workspace, mine, count=1)
    with pytest.raises(UsageError, match=r"thesis.txt is a file"):
        make_preview(workspace, mine / "thesis.txt", count=1)
    assert (mine / "thesis.txt").read_text() == "years of work"
    training = workspace.domain.training.model_copy(update={"maximum_seconds": 0.2})
    short = replace(workspace, domain=workspace.domain.model_copy(update={"training": training}))
    with pytest.raises(UsageError, match=r"no clips of the corpus.* of at most 0.2 s"):
        make_preview(short, tmp_path / "out", count=1)
