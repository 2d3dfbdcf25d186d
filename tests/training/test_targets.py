"""What a draw becomes: its audio, the decoder's prompt and text, with real words and real times."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.audio import SAMPLE_RATE
from training.attempts import run_fingerprint
from training.clips import IGNORED, Draw
from training.lora import train
from training.prepared import PreparedRun
from training.recipe import TrainingProgress, TrainingSpec
from training.samples import NoSpeech, Prefix, Prompted, Timestamps
from training.targets import special_kinds
from training.word_times import FILE, WordTimes
from voiceforge.errors import UsageError
from voiceforge.params import domain_params


def mixed(spec: TrainingSpec, **shares: float) -> TrainingSpec:
    samples = spec.params.samples.model_copy(update=shares)
    return dataclasses.replace(spec, params=spec.params.model_copy(update={"samples": samples}))


@pytest.fixture(scope="module")
def run(project: Path, tiny_en: Path, prompts_corpus: Path) -> PreparedRun:
    """A mix of kinds; the plan itself is not used."""
    spec = TrainingSpec.from_params(
        domain_params(project / "params.yaml", "telephony-en").training,
        language="en",
        normaliser="whisper-english",
        base=tiny_en,
        corpus=prompts_corpus,
        utterances=prompts_corpus / "utterances.parquet",
        output=Path("nowhere"),
        threads=1,
    )
    return PreparedRun.of(mixed(spec, no_speech=0.2, prompted=0.2))


def draw(run: PreparedRun, sample: Any, speed: float = 1.0) -> Draw:
    return Draw(1, 0.3, 0, 0, speed, sample)


def words(run: PreparedRun, tokens: list[int]) -> str:
    return str(run.tokenizer.decode(tokens, decode_with_timestamps=True))


def test_a_plain_draw_says_what_follows_the_start_only_where_there_is_silence_in_the_mix(
    run: PreparedRun, spec: TrainingSpec
) -> None:
    plain = run.composer.target(Draw(1, 0.3, 0))
    assert words(run, plain.prompt) == "<|startoftranscript|><|notimestamps|>"
    assert words(run, plain.text).strip() == run.clips[1].row.text
    assert plain.first is not None
    assert (plain.first.place, plain.first.token) == (0, plain.prompt[1])
    assert PreparedRun.of(spec).composer.target(Draw(1, 0.3, 0)).first is None


def test_nobody_speaks_is_said_by_both_the_token_and_an_empty_text(run: PreparedRun) -> None:
    one = draw(run, NoSpeech("pink", -40.0, (1, 2)))
    batch = run.collate([(one, run.hear(one))])
    labels = batch["labels"][0].tolist()
    assert words(run, labels) == "<|nospeech|><|endoftext|>" or words(run, labels) == (
        "<|nocaptions|><|endoftext|>"
    )
    assert len(run.hear(one)) == pytest.approx(run.durations[1] * SAMPLE_RATE, abs=1)


def test_times_stand_around_the_speech_as_it_is_heard(run: PreparedRun) -> None:
    """Silence of known length before and between: its edges are found in the audio again."""
    one = draw(run, Timestamps(0.6, 2, 1.0), speed=1.25)
    target = run.composer.target(one)
    assert words(run, target.prompt) == "<|startoftranscript|>"
    found = [run.composer.special.seconds(token) for token in target.text]
    times = [time for time in found if time is not None]
    assert len(times) == 4
    assert times == sorted(times)
    texts = [token for token, time in zip(target.text, found, strict=True) if time is None]
    assert texts == [*run.clips[1].tokens, *run.clips[2].tokens]

    audio = run.composer.audio(one)
    loud = np.abs(audio) > 0.02 * np.abs(audio).max()
    first, last = np.flatnonzero(loud)[[0, -1]] / SAMPLE_RATE
    assert times[0] == pytest.approx(first / 1.25, abs=0.1)
    assert times[3] == pytest.approx(last / 1.25, abs=0.2)
    start, end = times[1] * 1.25 + 0.1, times[2] * 1.25 - 0.1
    quiet = audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    assert len(quiet) >= 0.75 * SAMPLE_RATE
    assert np.abs(quiet).max() < 0.1 * np.abs(audio).max()


def test_a_prompt_stands_before_the_start_has_no_loss_and_leaves_room(run: PreparedRun) -> None:
    one = draw(run, Prompted(2, (3, 4), False, (1, 2)))
    target = run.composer.target(one)
    text = words(run, target.prompt)
    assert text.startswith("<|startofprev|> ")
    assert text.endswith("<|startoftranscript|><|notimestamps|>")
    batch = run.collate([(one, run.hear(one)), (Draw(1, 0.3, 0), run.hear(Draw(1, 0.3, 0)))])
    labels, before = batch["labels"][0], len(target.prompt)
    start = target.prompt.index(run.prompt[0])
    assert [at for at in range(before - 1) if labels[at] != IGNORED] == [start]
    assert labels[before - 1 : before - 1 + len(target.text)].tolist() == target.text
    long = dataclasses.replace(run.composer, texts=["word " * 600] * len(run.clips))
    target = long.target(draw(run, Prompted(0, (3,), True, (1, 2))))
    assert len(target.prompt) == 1 + 223 + 2


def test_positions_count_from_the_left_whatever_stands_beside(run: PreparedRun) -> None:
    """The loss of rows in one batch is that of each alone: no row sees another's padding."""
    kinds = [Prompted(2, (3, 4), False, (1, 2)), NoSpeech("silence", 0.0, (1, 1)),
             Timestamps(0.4), None]  # fmt: skip
    draws = [draw(run, kind) if kind else Draw(1, 0.3, 0) for kind in kinds]
    draws = [one._replace(least_frames=600) for one in draws]
    items = [(one, run.hear(one)) for one in draws]
    together = run.collate(items)
    with torch.no_grad():
        logits = run.base(
            input_features=together["input_features"],
            decoder_input_ids=together["decoder_input_ids"],
        ).logits
        for row, item in enumerate(items):
            alone = run.collate([item])
            single = run.base(
                input_features=alone["input_features"],
                decoder_input_ids=alone["decoder_input_ids"],
            ).logits[0]
            width = single.shape[0]
            assert torch.equal(alone["labels"][0], together["labels"][row, :width])
            assert (together["labels"][row, width:] == IGNORED).all()
            torch.testing.assert_close(logits[row, :width], single, rtol=0, atol=1e-3)


def test_a_prefix_has_the_words_up_to_its_cut_and_nothing_is_aligned_twice(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = mixed(spec, prefix=1.0)
    run = PreparedRun.of(spec, tmp_path)
    assert (tmp_path / FILE).is_file()
    drawn = {draw.clip for batch in run.plan for draw in batch}
    for clip in drawn:
        text = run.clips[clip].row.text.split()
        assert [word.text for word in run.composer.clips[clip].words] == text
        lengths = [
            len(run.composer.target(Draw(clip, 0.3, 0, sample=Prefix(share))).text)
            for share in (0.15, 0.4, 0.6, 0.8, 1.0)
        ]
        assert lengths == sorted(lengths)
        assert lengths[0] < lengths[-1] == len(run.clips[clip].tokens)
        heard = run.composer.audio(Draw(clip, 0.3, 0, sample=Prefix(0.5)))
        assert len(heard) / SAMPLE_RATE == pytest.approx(run.durations[clip] / 2, abs=1e-3)

    def never(*_: Any) -> Any:
        raise AssertionError("aligned again")

    monkeypatch.setattr("training.word_times.align_words", never)
    again = PreparedRun.of(spec, tmp_path)
    assert again.composer.clips == run.composer.clips
    with pytest.raises(AssertionError, match="aligned again"):
        PreparedRun.of(spec, tmp_path / "elsewhere")


def test_prefixes_in_a_language_without_spaces_are_refused(
    run: PreparedRun, spec: TrainingSpec
) -> None:
    clip = run.clips[0]
    chinese = dataclasses.replace(clip, row=dataclasses.replace(clip.row, language="zh"))
    with pytest.raises(UsageError, match=r"'zh'.*written without"):
        WordTimes(run.base, run.tokenizer, spec.base, None).of({0: chinese})


def test_what_is_off_does_not_make_another_run(spec: TrainingSpec) -> None:
    other = mixed(spec, silence_before=(0.0, 1.0))  # type: ignore[arg-type]
    assert run_fingerprint(other) == run_fingerprint(spec)
    assert "samples" not in spec.params.outcome()
    on = mixed(spec, prefix=0.1)
    assert on.params.outcome()["samples"] == {"prefix": 0.1}
    assert run_fingerprint(on) != run_fingerprint(spec)
    assert TrainingSpec.from_dict(on.as_dict()) == on


def test_without_kinds_the_batches_are_those_from_before_there_were_any(
    spec: TrainingSpec,
) -> None:
    run = PreparedRun.of(spec)
    for batch in run.plan:
        tensors = run.collate([(one, run.hear(one)) for one in batch])
        for row, one in enumerate(batch):
            text = run.clips[one.clip].tokens
            labels = [label for label in tensors["labels"][row].tolist() if label != IGNORED]
            assert labels == [*text, run.tokenizer.eos_token_id]


def test_every_kind_together_makes_batches_that_a_seed_repeats(spec: TrainingSpec) -> None:
    every = dict.fromkeys(spec.params.samples.shares, 0.2)
    spec = mixed(spec, **every)
    spec = dataclasses.replace(spec, params=spec.params.model_copy(update={"steps": 3}))
    first, second = (
        [run.collate([(one, run.hear(one)) for one in batch]) for batch in run.plan]
        for run in (PreparedRun.of(spec), PreparedRun.of(spec))
    )
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_with_every_kind_runs_and_says_what_it_draws(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    spec = mixed(spec, **dict.fromkeys(spec.params.samples.shares, 0.2))
    few = {"steps": 2, "dev_utterances": 1, "evaluate_every": 2}
    spec = dataclasses.replace(spec, params=spec.params.model_copy(update=few))
    news: list[TrainingProgress] = []
    report = train(spec, tmp_path / "workspace", news.append)
    counts = special_kinds(PreparedRun.of(spec).plan)
    assert sum(counts.values()) > 4
    for kind, count in counts.items():
        assert f"{count} draws {kind.replace('_', ' ')}" in news[0].note
    assert report.steps == 2
    assert (spec.output / "adapter_model.safetensors").is_file()


def test_speech_that_leaves_the_window_has_no_time(run: PreparedRun) -> None:
    special = run.composer.special
    assert special.seconds(special.time(29.99)) == 30.0
    assert special.seconds(special.first_time - 1) is None
    with pytest.raises(ValueError, match=r"30\.02 s is not within"):
        special.time(30.02)
