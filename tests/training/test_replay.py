"""What may be replayed, with which transcripts, how often, and that a run of it repeats itself."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.splits import hash_split, text_key
from data.tables import read_utterances, write_utterances
from data.utterance import Utterance
from evaluation.whisper_bounds import compression_ratio
from tests.training.test_clips import PARAMS
from training.attempts import run_fingerprint
from training.base_models import resolve
from training.clips import plan_batches
from training.lora import train
from training.prepared import PreparedRun
from training.recipe import TrainingProgress, TrainingSpec
from training.replay import HeldOut, doubt, may_be_replayed
from voiceforge.params import PromptsSource, ReplayParams, SplitParams, domain_params

SPLITS = SplitParams(train=0.5, dev=0.1, test=0.4, minimum_speakers=5, seed=20)
GENERAL = PromptsSource(kind="prompts", language="fr")
ASKED = domain_params(Path(__file__).parents[2] / "params.yaml", "telephony-en").validation
SURE = (-0.1, -0.2)

clips = st.lists(
    st.tuples(st.floats(0.3, 15.0), st.sampled_from(["human", "machine", "general"])),
    min_size=1,
    max_size=60,
).filter(lambda corpus: any(kind != "general" for _, kind in corpus))


def replaying(spec: TrainingSpec, share: float, **params: Any) -> TrainingSpec:
    replay = ReplayParams(share=share, sources=(GENERAL,), labels="reference")
    changed = spec.params.model_copy(update={"replay": replay, **params})
    return dataclasses.replace(spec, params=changed)


@given(clips, st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(1, 30), st.integers(1, 9))
def test_replayed_clips_have_their_share_and_the_others_keep_theirs(
    corpus: list[tuple[float, str]], share: float, human_share: float, steps: int, size: int
) -> None:
    replay = ReplayParams(share=share, sources=(GENERAL,), labels="reference")
    params = PARAMS.model_copy(
        update={"replay": replay, "human_share": human_share, "steps": steps, "batch_size": size}
    )
    durations = [seconds for seconds, _ in corpus]
    human = [kind != "machine" for _, kind in corpus]
    general = [kind == "general" for _, kind in corpus]
    plan = plan_batches(durations, human, params, general)
    assert plan == plan_batches(durations, human, params, general)
    assert [len(batch) for batch in plan] == [size] * steps
    counts = Counter(draw.clip for batch in plan for draw in batch)
    drawn = Counter({kind: 0 for _, kind in corpus})
    for clip, count in counts.items():
        drawn[corpus[clip][1]] += count
    total = steps * size
    expected = round(total * share) if "general" in drawn else 0
    assert drawn["general"] == expected
    if {"human", "machine"} <= set(drawn):
        assert drawn["human"] == round((total - expected) * human_share)
    for kind in set(drawn):  # in shuffled passes
        own = [counts[at] for at, (_, its) in enumerate(corpus) if its == kind]
        assert max(own) - min(own) <= 1


def row(text: str, speaker: str = "a", split: Any = "") -> Utterance:
    return Utterance(
        "id", "a.flac", 1.0, text, "en", "en-us", speaker, "d", "src", "L", "granted", split,
        False, "",
    )  # fmt: skip


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=40))
def test_no_text_of_a_test_split_of_these_shares_is_ever_replayed(texts: list[str]) -> None:
    nothing = HeldOut.of([], text_key)
    for text in texts:
        side = hash_split(text_key(text), SPLITS)
        assert (may_be_replayed(row(text), nothing, SPLITS, ASKED) == "") is (side == "train")


def test_texts_and_speakers_that_the_domain_holds_out_are_not_replayed() -> None:
    trained = next(text for text in map(str, range(99)) if hash_split(text, SPLITS) == "train")
    rows = [
        row("elsewhere", "tester", "test"),
        row("more", "both", "test"),
        row("other", "both", "train"),
        row("else", "left", "left-out"),
    ]
    held = HeldOut.of(rows, text_key)
    assert may_be_replayed(row(trained, "new"), held, SPLITS, ASKED) == ""
    assert may_be_replayed(row(trained, "both"), held, SPLITS, ASKED) == ""
    assert (
        may_be_replayed(row(trained, "tester"), held, SPLITS, ASKED) == "a speaker of dev or test"
    )
    moved = HeldOut.of([*rows, row(f"{trained}!", "x", "dev")], text_key)
    assert may_be_replayed(row(trained, "new"), moved, SPLITS, ASKED) == "a text of dev or test"


def test_consent_and_licence_are_asked_as_of_the_corpus() -> None:
    trained = next(text for text in map(str, range(99)) if hash_split(text, SPLITS) == "train")
    nothing = HeldOut.of([], text_key)
    unknown = dataclasses.replace(row(trained), consent="unknown")
    assert may_be_replayed(unknown, nothing, SPLITS, ASKED) == ""
    refused = dataclasses.replace(row(trained), consent="refused")
    assert may_be_replayed(refused, nothing, SPLITS, ASKED) == "without consent"
    strict = ASKED.model_copy(update={"require_consent": True, "licences": ("CC0-1.0",)})
    assert may_be_replayed(unknown, nothing, SPLITS, strict) == "without consent"
    licence = "a licence that is not allowed"
    assert may_be_replayed(row(trained), nothing, SPLITS, strict) == licence
    free = dataclasses.replace(row(trained), licence="CC0-1.0")
    assert may_be_replayed(free, nothing, SPLITS, strict) == ""


@pytest.mark.parametrize(
    ("text", "log_probs", "no_speech", "reference", "why"),
    [
        ("Good morning, all.", SURE, 0.0, "good morning all", ""),
        ("Good morning, all.", SURE, 0.9, "", ""),  # sure of its words: no silence
        ("Good morning.", (-1.2, -0.9), 0.0, "", "low probability"),
        ("Good morning.", (-1.2, -0.9), 0.7, "", "nothing heard"),
        ("Good morning.", (float("nan"), -0.9), 0.0, "", "low probability"),
        (" ", SURE, 0.0, "", "nothing heard"),
        ("Yes.", (), 0.0, "", "nothing heard"),
        ("and again " * 30, SURE, 0.0, "", "repeats itself"),
        ("one two three four", SURE, 0.0, "one two three five", "differs from the reference"),
        ("1 2 3 4 5 6 7 8 9 ten", SURE, 0.0, "1 2 3 4 5 6 7 8 9 10", ""),
    ],
)
def test_a_transcript_that_the_base_model_is_not_sure_of_is_doubted(
    text: str, log_probs: tuple[float, ...], no_speech: float, reference: str, why: str
) -> None:
    assert doubt(text, log_probs, no_speech, reference, "en") == why


def test_a_text_that_repeats_itself_compresses_well() -> None:
    assert compression_ratio("no ") < 1
    assert compression_ratio("Please enter your account number, followed by the pound key.") < 1.3
    assert compression_ratio("Thank you. " * 20) > 5


@pytest.fixture(scope="module")
def whisper_base(cache: Path) -> Path:
    return resolve("whisper-base", cache=cache, offline=False, timeout=30.0).path


@pytest.fixture
def general(spec: TrainingSpec, tmp_path: Path) -> Path:
    """Four clips as a folder of general audio."""
    folder = tmp_path / "general"
    folder.mkdir()
    rows = [one for one in read_utterances(spec.utterances) if one.split == "dev"]
    for one in rows:
        (folder / one.audio).write_bytes((spec.corpus / one.audio).read_bytes())
    named = [dataclasses.replace(one, id=f"{one.id}-general", split="train") for one in rows]
    write_utterances(folder / "utterances.parquet", named)
    return folder


def test_a_run_that_replays_draws_the_share_and_repeats_itself(
    spec: TrainingSpec, general: Path, tmp_path: Path
) -> None:
    spec = dataclasses.replace(replaying(spec, 0.25, steps=2), replay=general)
    run = PreparedRun.of(spec)
    replayed = [clip.replayed for clip in run.clips]
    assert sum(replayed) == 4
    assert all(clip.path.parent == general for clip in run.clips if clip.replayed)
    drawn = [draw.clip for batch in run.plan for draw in batch]
    assert sum(replayed[clip] for clip in drawn) == 2
    assert TrainingSpec.from_dict(spec.as_dict()) == spec
    news: list[TrainingProgress] = []
    report = train(spec, tmp_path / "one", news.append)
    assert "10 clips, 4 of general audio, 4 dev clips" in news[0].note
    assert (report.train_utterances, report.replayed_utterances) == (10, 4)
    again = dataclasses.replace(spec, output=tmp_path / "again")
    assert train(again, tmp_path / "two", lambda _: None).dev == report.dev
    name = "adapter_model.safetensors"
    assert (again.output / name).read_bytes() == (spec.output / name).read_bytes()


def test_what_is_replayed_makes_another_run(spec: TrainingSpec, general: Path) -> None:
    before = run_fingerprint(spec)
    assert "replay" not in spec.params.outcome()
    with_general = dataclasses.replace(replaying(spec, 0.25), replay=general)
    first = run_fingerprint(with_general)
    rows = read_utterances(general / "utterances.parquet")
    write_utterances(general / "utterances.parquet", rows[1:])
    assert len({before, first, run_fingerprint(with_general)}) == 3


def test_each_clip_is_prompted_in_its_own_language(
    whisper_base: Path, spec: TrainingSpec, general: Path
) -> None:
    rows = read_utterances(general / "utterances.parquet")
    french = [dataclasses.replace(one, language="fr") for one in rows]
    write_utterances(general / "utterances.parquet", french)
    spec = dataclasses.replace(replaying(spec, 0.5, steps=1), replay=general, base=whisper_base)
    run = PreparedRun.of(spec)
    batch = run.collate([(draw, run.hear(draw)) for draw in run.plan[0]])
    names = {
        draw.clip: run.tokenizer.convert_ids_to_tokens(int(inputs[1]))
        for draw, inputs in zip(run.plan[0], batch["decoder_input_ids"], strict=True)
    }
    assert set(names.values()) == {"<|en|>", "<|fr|>"}
    for clip, name in names.items():
        assert (name == "<|fr|>") is run.clips[clip].replayed
