"""The plan of a run: what is drawn, how evenly, in which batches, and what a batch becomes."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.features import WINDOW_FRAMES, log_mel
from data.utterance import Split, Utterance
from training.clips import (
    IGNORED,
    Draw,
    batch_frames,
    choose_clips,
    make_batch,
    make_mels,
    plan_batches,
)
from voiceforge.params import TrainingParams, domain_params

SHIPPED = domain_params(Path(__file__).parents[2] / "params.yaml", "telephony-en").training
PARAMS = TrainingParams(
    backend="whisper",
    steps=50,
    batch_size=8,
    learning_rate=1e-3,
    warmup=0.1,
    rank=4,
    alpha=8,
    dropout=0.0,
    targets=("q_proj",),
    rslora=False,
    dora=False,
    quantized_base=False,
    gradient_checkpointing=False,
    trailing_silence=(0.2, 1.5),
    full_length_share=0.0,
    human_share=0.5,
    maximum_seconds=15.0,
    evaluate_every=10,
    checkpoint_every=10,
    dev_utterances=8,
    seed=1,
    samples=SHIPPED.samples,
    augmentation=SHIPPED.augmentation,
    distillation=SHIPPED.distillation,
    replay=SHIPPED.replay,
)

DIGEST = "1ffa19578bd53e012fcac6a7b3ebf3c7d95c9b9f5ca50dbef9e1ffeb1bf00fc2"

corpora = st.lists(st.tuples(st.floats(0.3, 15.0), st.booleans()), min_size=1, max_size=60)
shares = st.floats(0.0, 1.0)


@given(corpora, shares, st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_a_plan_has_the_steps_and_sizes_asked_for_and_the_same_seed_repeats_it(
    corpus: list[tuple[float, bool]], share: float, steps: int, size: int, seed: int
) -> None:
    durations, human = [seconds for seconds, _ in corpus], [is_human for _, is_human in corpus]
    update = {"human_share": share, "steps": steps, "batch_size": size, "seed": seed}
    params = PARAMS.model_copy(update=update)
    plan = plan_batches(durations, human, params)
    assert [len(batch) for batch in plan] == [size] * steps
    assert plan == plan_batches(durations, human, params)
    draws = [draw for batch in plan for draw in batch]
    assert all(0.2 <= draw.silence <= 1.5 for draw in draws)
    drawn = Counter(draw.clip for draw in draws)
    for kind in (True, False):  # passes: within people and within machines none is far ahead
        counts = [drawn[clip] for clip, is_human in enumerate(human) if is_human is kind]
        assert max(counts, default=0) - min(counts, default=0) <= 1
    if any(human) and not all(human):
        people = sum(count for clip, count in drawn.items() if human[clip])
        assert people == round(share * steps * size)


def test_another_seed_gives_another_plan() -> None:
    durations, human = [1.0 + 0.1 * clip for clip in range(30)], [True] * 30
    other = PARAMS.model_copy(update={"seed": 2})
    assert plan_batches(durations, human, PARAMS) != plan_batches(durations, human, other)


def test_a_plan_without_augmentation_is_the_one_from_before_there_was_any() -> None:
    """The digest was taken of the code without augmentation, clip, silence and frames of a draw."""
    durations = [0.5 + (37 * clip % 101) / 10 for clip in range(90)]
    plan = plan_batches(durations, [clip % 3 == 0 for clip in range(90)], PARAMS)
    draws = [tuple(draw[:3]) for batch in plan for draw in batch]
    assert hashlib.sha256(repr(draws).encode()).hexdigest() == DIGEST
    assert {draw.speed for batch in plan for draw in batch} == {1.0}
    assert [draw.position for batch in plan for draw in batch] == list(range(400))


def test_clips_of_like_length_share_a_batch_and_long_batches_come_at_any_time() -> None:
    durations = [1.0 + 14.0 * clip / 199 for clip in range(200)]
    plan = plan_batches(durations, [True] * 200, PARAMS)
    spans = [
        max(durations[draw.clip] for draw in batch) - min(durations[draw.clip] for draw in batch)
        for batch in plan
    ]
    assert np.median(spans) < 1.5  # drawn at random, eight of these clips would span about 11 s
    longest = [max(durations[draw.clip] for draw in batch) for batch in plan]
    rises = sum(first < second for first, second in pairwise(longest))
    assert 10 < rises < 40


def test_the_share_of_full_length_batches() -> None:
    durations, human = [2.0] * 20, [True] * 20
    params = PARAMS.model_copy(update={"full_length_share": 0.3, "steps": 400})
    frames = [batch_frames(batch, durations) for batch in plan_batches(durations, human, params)]
    assert 0.2 < frames.count(WINDOW_FRAMES) / len(frames) < 0.4
    assert max(count for count in frames if count != WINDOW_FRAMES) <= 350


def test_a_batch_is_as_wide_as_its_longest_clip_needs_and_never_wider_than_the_window() -> None:
    assert batch_frames([Draw(0, 0.5, 0), Draw(1, 0.25, 0)], [1.0, 2.0]) == 226
    assert batch_frames([Draw(0, 1.5, 0)], [29.5]) == WINDOW_FRAMES
    assert batch_frames([Draw(0, 0.5, 3000)], [1.0]) == WINDOW_FRAMES


def test_loss_is_taken_on_text_and_its_end_only() -> None:
    mels = np.zeros((2, 80, 100), dtype=np.float32)
    batch = make_batch(mels, [[7, 8, 9], [5]], prompts=[[1, 2]] * 2, end=3)
    assert batch.decoder_inputs.tolist() == [[1, 2, 7, 8, 9], [1, 2, 5, 3, 3]]
    skip = IGNORED
    assert batch.labels.tolist() == [[skip, 7, 8, 9, 3], [skip, 5, 3, skip, skip]]


def test_mels_of_a_batch_are_each_clip_padded_with_silence() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, size).astype(np.float32) for size in (16000, 20000)]
    mels = make_mels(clips, 160, 80)
    assert mels.shape == (2, 80, 160)
    padded = np.concatenate([clips[0], np.zeros(160 * 160 - 16000, dtype=np.float32)])
    np.testing.assert_allclose(mels[0], log_mel(padded, 80), atol=1e-6)


def utterance(name: str, accent: str, *, synthetic: bool, split: Split = "dev") -> Utterance:
    return Utterance(
        name,
        "a.flac",
        1.0,
        "text",
        "en",
        accent,
        "s",
        "d",
        "src",
        "L",
        "granted",
        split,
        synthetic,
        "",
    )


@pytest.mark.parametrize("count", [5, 8, 12])
def test_dev_clips_are_people_and_every_accent_in_turns(count: int) -> None:
    rows = [utterance(f"h{number}", "en-us", synthetic=False) for number in range(20)]
    rows += [
        utterance(f"{accent}{number}", accent, synthetic=True)
        for accent in ("a", "b", "c")
        for number in range(5)
    ]
    chosen = choose_clips(rows, count, seed=3)
    assert len({row.id for row in chosen}) == count
    by_kind = Counter(row.is_synthetic for row in chosen)
    assert by_kind[False] - by_kind[True] in (0, 1)
    by_accent = Counter(row.accent for row in chosen if row.is_synthetic)
    assert max(by_accent.values()) - min(by_accent[name] for name in "abc") <= 1


def test_fewer_dev_clips_than_asked_for_are_all_taken() -> None:
    rows = [utterance("h", "en-us", synthetic=False), utterance("m", "a", synthetic=True)]
    assert {row.id for row in choose_clips(rows, 96, seed=3)} == {"h", "m"}


def test_a_clip_with_a_term_is_drawn_that_many_times_as_often() -> None:
    often = PARAMS.model_copy(update={"term_factor": 3, "steps": 300})
    human = [number < 10 for number in range(40)]
    has_term = [number % 10 == 0 for number in range(40)]
    plan = plan_batches([2.0] * 40, human, often, has_term=has_term)
    counts = Counter(draw.clip for batch in plan for draw in batch)
    total = often.steps * often.batch_size
    assert sum(counts[clip] for clip in range(10)) == total // 2
    for people in (range(10), range(10, 40)):
        with_term = [counts[clip] for clip in people if has_term[clip]]
        without = [counts[clip] for clip in people if not has_term[clip]]
        ratio = (sum(with_term) / len(with_term)) / (sum(without) / len(without))
        assert ratio == pytest.approx(3.0, rel=0.05)


def test_without_a_factor_terms_change_no_batch() -> None:
    durations, human = [2.0, 3.0, 1.0, 4.0], [True, False, True, False]
    plain = plan_batches(durations, human, PARAMS)
    assert plan_batches(durations, human, PARAMS, has_term=[True, False, False, True]) == plain
    assert "term_factor" not in PARAMS.outcome()
    assert PARAMS.model_copy(update={"term_factor": 2}).outcome()["term_factor"] == 2
