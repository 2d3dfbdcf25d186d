from hypothesis import given
from hypothesis import strategies as st

from serving.engines.batching import MOST_CLIPS, MOST_FRAMES, buckets, mel_length, most_tokens

FRAMES = st.lists(st.integers(1, 150).map(lambda steps: 20 * steps), max_size=80)


@given(FRAMES)
def test_every_clip_is_in_exactly_one_bucket(frames: list[int]) -> None:
    assert sorted(index for group in buckets(frames) for index in group) == list(range(len(frames)))


@given(FRAMES)
def test_a_bucket_wastes_little_and_bounds_memory(frames: list[int]) -> None:
    for group in buckets(frames):
        lengths = [frames[index] for index in group]
        assert max(lengths) <= 1.25 * min(lengths) + 50
        assert len(group) <= MOST_CLIPS
        assert len(group) * max(lengths) <= MOST_FRAMES


@given(st.integers(0, 480_000), st.floats(0, 10), st.integers(0, 3000))
def test_mel_covers_clip_and_silence_up_to_thirty_seconds(
    samples: int, silence: float, minimum: int
) -> None:
    minimum -= minimum % 2
    frames = mel_length(samples, trailing_silence=silence, minimum_mel_frames=minimum)
    assert frames % 2 == 0
    assert max(minimum, 20) <= frames <= 3000
    assert frames == 3000 or frames * 160 >= samples + round(silence * 100) * 160
    assert frames * 160 >= samples


def test_a_padded_model_always_hears_thirty_seconds() -> None:
    assert mel_length(16_000, trailing_silence=0.5, minimum_mel_frames=3000) == 3000


def test_a_length_matched_model_hears_the_clip_and_its_silence() -> None:
    # 1.01 s and half a second are 151 frames; rounded up to a multiple of 20.
    assert mel_length(16_160, trailing_silence=0.5, minimum_mel_frames=100) == 160


def test_a_clip_of_any_length_has_room_for_fast_speech() -> None:
    # Whisper writes fast English with up to 18 tokens a second.
    for seconds in (0.3, 1.0, 5.0):
        assert most_tokens(int(16_000 * seconds)) >= 18 * seconds + 8
    assert most_tokens(0) == 16
    assert most_tokens(480_000) == 224
