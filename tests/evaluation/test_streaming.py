"""Streaming measures of traces made by hand and by chance, and the form of traces on disk."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.utterance import Utterance
from evaluation.comparison import Slice
from evaluation.slices import Resampling, compare, score
from evaluation.stability import changed_words, common_words, fold_word
from evaluation.streaming import (
    measure_streaming,
    measure_trace,
    streamed_predictions,
)
from evaluation.trace_files import read_traces, write_traces
from evaluation.traces import TimedWord, Trace, TraceEvent
from tests.evaluation.conftest import row
from voiceforge.errors import StorageError

DRAWN = {"confidence": 0.95, "resamples": 200, "seed": 1}


def interim(text: str, audio: float, wall: float, segment: int = 0, stable: int = 0) -> TraceEvent:
    return TraceEvent("interim", segment, text, audio, wall, stable)


def final(
    text: str, audio: float, wall: float, segment: int = 0, ends: tuple[float, ...] = ()
) -> TraceEvent:
    words = tuple(
        TimedWord(word, end - 0.2, end) for word, end in zip(text.split(), ends, strict=False)
    )
    return TraceEvent("final", segment, text, audio, wall, len(text.split()), words)


def trace(*events: TraceEvent, **changes: Any) -> Trace:
    fields: dict[str, Any] = {
        "utterance_id": "a",
        "mode": "real-time",
        "audio_seconds": 4.0,
        "chunk_seconds": 0.1,
        "compute_seconds": 0.8,
        "speech_start": 0.5,
        "speech_end": 2.4,
        "events": events,
    }
    return Trace(**{**fields, **changes})


BY_HAND = trace(
    interim("Fresh", 1.0, 1.1),
    interim("Press won", 1.5, 1.7),
    interim("Press one for", 2.0, 2.3),
    final("Press one for sales.", 3.0, 3.4, ends=(0.9, 1.3, 1.6, 2.4)),
)


def test_latencies_of_a_stream_made_by_hand() -> None:
    found = measure_trace(BY_HAND, "wall")
    assert found.first_interim == pytest.approx(1.1 - 0.5)
    assert found.final == pytest.approx(3.4 - 2.4)
    # "Press" stays from 1.7 on, "one" and "for" from 2.3, "sales" comes with the final.
    assert found.word_latencies == pytest.approx([1.7 - 0.9, 2.3 - 1.3, 2.3 - 1.6, 3.4 - 2.4])
    assert found.word_final_latencies == pytest.approx([2.5, 2.1, 1.8, 1.0])
    assert (found.final_words, found.untimed_words) == (4, 0)


def test_the_audio_clock_leaves_computing_out() -> None:
    found = measure_trace(BY_HAND, "audio")
    assert found.first_interim == pytest.approx(0.5)
    assert found.final == pytest.approx(0.6)
    assert found.word_latencies == pytest.approx([0.6, 0.7, 0.4, 0.6])


def test_revisions_of_a_stream_made_by_hand() -> None:
    found = measure_trace(BY_HAND, "wall")
    # Fresh -> Press, won -> one.
    assert (found.erased_words, found.unstable_words) == (2, 2)


def test_a_word_in_front_takes_all_back_but_changes_none() -> None:
    shown = trace(interim("one for sales", 1.5, 1.5), final("press one for sales", 3.0, 3.0))
    found = measure_trace(shown, "wall")
    assert (found.erased_words, found.unstable_words) == (3, 0)


def test_case_and_signs_are_no_change_unless_asked_for() -> None:
    shown = trace(interim("press One.", 1.5, 1.5), final("Press one, please.", 3.0, 3.0))
    assert measure_trace(shown, "wall").erased_words == 0
    assert measure_trace(shown, "wall", key=str).erased_words == 2
    assert fold_word("...") == "..."


def test_words_that_were_promised_and_changed_are_counted_once_each() -> None:
    shown = trace(
        interim("press won", 1.0, 1.0, stable=2),
        interim("press won for", 1.5, 1.5, stable=2),
        final("press one", 3.0, 3.0),
    )
    assert measure_trace(shown, "wall").broken_promises == 1
    kept = trace(interim("press one", 1.0, 1.0, stable=2), final("press one", 3.0, 3.0))
    assert measure_trace(kept, "wall").broken_promises == 0


def test_an_alignment_of_the_reference_times_the_words_that_were_heard_right() -> None:
    words = tuple(TimedWord(word, 0.0, end) for word, end in [("press", 1.0), ("one", 1.4)])
    shown = trace(final("Press two one.", 3.0, 3.0), words=words)
    found = measure_trace(shown, "wall")
    assert found.word_latencies == pytest.approx([2.0, 1.6])
    assert found.untimed_words == 1


def test_segments_are_measured_each_and_waited_for_to_the_last() -> None:
    shown = trace(
        interim("press", 0.9, 0.9),
        final("press", 1.2, 1.2, ends=(0.8,)),
        interim("one", 2.0, 2.0, segment=1),
        final("one", 3.0, 3.1, segment=1, ends=(1.9,)),
    )
    found = measure_trace(shown, "wall")
    assert shown.text == "press one"
    assert found.word_latencies == pytest.approx([0.1, 0.1])
    assert found.word_final_latencies == pytest.approx([0.4, 1.2])
    assert found.final == pytest.approx(0.7)


def test_a_stream_of_silence_has_no_latencies() -> None:
    silent = trace(speech_start=None, speech_end=None)
    found = measure_trace(silent, "wall")
    assert (found.first_interim, found.final, found.word_latencies) == (None, None, ())
    pooled = measure_streaming([silent], "wall", **DRAWN)
    assert (pooled.silent, pooled.revisions_per_word, pooled.word_latency) == (1, None, None)


def test_empty_texts_are_no_results_to_a_user() -> None:
    shown = trace(
        interim("", 1.0, 1.0),
        interim("press", 1.5, 1.5),
        final("press", 2.6, 2.6),
        final("", 3.5, 3.5, segment=1),
    )
    found = measure_trace(shown, "wall")
    assert (found.first_interim, found.final) == (pytest.approx(1.0), pytest.approx(0.2))


def test_the_wall_clock_of_audio_that_did_not_come_in_real_time_is_refused() -> None:
    quick = trace(final("press", 4.0, 0.4), mode="compute-unaware")
    assert measure_trace(quick, "audio").final == pytest.approx(1.6)
    with pytest.raises(ValueError, match="'a': its audio did not come in real time"):
        measure_trace(quick, "wall")


def test_pooled_figures_are_over_all_words_and_draw_texts() -> None:
    steady = trace(final("press one for sales", 3.0, 3.0, ends=(1.0, 1.0, 1.0, 1.0)))
    streams = [
        replace(BY_HAND if number % 2 else steady, utterance_id=f"u{number}")
        for number in range(40)
    ]
    found = measure_streaming(streams, "wall", **DRAWN)
    assert found.revisions_per_word is not None
    assert found.unstable_word_ratio is not None
    assert found.word_latency is not None
    assert found.revisions_per_word.value == pytest.approx(20 * 2 / (40 * 4))
    assert found.revisions_per_word.low < 0.25 < found.revisions_per_word.high
    assert found.word_latency.count == 160
    assert found.rtf == pytest.approx(0.8 / 4.0)
    one_text = measure_streaming(
        streams, "wall", clusters={one.utterance_id: 0 for one in streams}, **DRAWN
    )
    assert one_text.revisions_per_word is not None
    assert one_text.revisions_per_word.low == one_text.revisions_per_word.high
    assert json.loads(json.dumps(found.as_dict()))["streams"] == 40


def test_streaming_minus_batch_is_a_paired_comparison() -> None:
    rows: list[Utterance] = [row(f"u{n}", f"press key {n}", "en", "kim") for n in range(30)]
    references = {one.id: one.text for one in rows}
    streams = [
        trace(final(f"press {'key' if n % 3 else 'tree'} {n}", 3.0, 3.0), utterance_id=f"u{n}")
        for n in range(30)
    ]
    batch = streamed_predictions(
        [trace(final(one.text, 3.0, 3.0), utterance_id=one.id) for one in rows], references
    )
    asked = {"normaliser": "whisper-english", "language": "en"}
    found = compare(
        score(streamed_predictions(streams, references), rows, **asked),
        score(batch, rows, **asked),
        Slice("overall"),
        Resampling(0.95, 200, 1),
    )
    assert found is not None
    assert found.difference.value == pytest.approx(10 / 90)
    assert 0.0 < found.difference.low < found.difference.high
    with pytest.raises(ValueError, match="'u3' has no reference"):
        streamed_predictions([streams[3]], {})


@st.composite
def traces(draw: st.DrawFn, *, revised: bool = True) -> Trace:
    """A stream of up to three segments whose interims grow, or change at will."""
    word = st.sampled_from(["press", "one", "won", "for", "sales."])
    events: list[TraceEvent] = []
    audio = late = 0.0
    for segment in range(draw(st.integers(0, 3))):
        said = draw(st.lists(word, max_size=6))
        for _ in range(draw(st.integers(0, 4))):
            audio += draw(st.floats(0.0, 0.5))
            late = max(late, draw(st.floats(0.0, 1.0)))
            text = draw(st.lists(word, max_size=6)) if revised else []
            events.append(interim(" ".join(text), audio, audio + late, segment))
        if not revised:
            sizes = sorted(draw(st.lists(st.integers(0, len(said)), max_size=4)))
            events += [
                interim(" ".join(said[:size]), audio, audio + late, segment) for size in sizes
            ]
        audio += draw(st.floats(0.0, 0.5))
        ends = tuple(sorted(draw(st.floats(0.0, audio)) for _ in said))
        events.append(final(" ".join(said), audio, audio + late, segment, ends))
    speech = draw(st.sampled_from([(None, None), (0.0, audio)]))
    return trace(
        *events,
        audio_seconds=audio + 1.0,
        speech_start=speech[0],
        speech_end=speech[1],
        utterance_id=draw(st.sampled_from("abc")),
    )


@given(traces())
def test_finals_hold_every_word_and_every_word_is_timed_or_said_not_to_be(one: Trace) -> None:
    found = measure_trace(one, "wall")
    assert found.final_words == sum(len(event.text.split()) for event in one.finals)
    assert len(found.word_latencies) + found.untimed_words == found.final_words


@given(traces())
def test_a_word_is_shown_to_stay_before_it_is_final_and_after_it_was_computed(one: Trace) -> None:
    wall, audio = measure_trace(one, "wall"), measure_trace(one, "audio")
    pairs = zip(wall.word_latencies, wall.word_final_latencies, strict=True)
    assert all(shown <= finalised for shown, finalised in pairs)
    both = zip(audio.word_latencies, wall.word_latencies, strict=True)
    assert all(ideal <= real + 1e-9 for ideal, real in both)
    assert (wall.erased_words, wall.unstable_words) == (audio.erased_words, audio.unstable_words)


@given(traces(revised=False))
def test_a_stream_that_only_grows_revises_nothing(one: Trace) -> None:
    found = measure_trace(one, "wall")
    shown = [event for event in one.events if event.text]
    if all(event.text for event in one.events) or not shown:
        assert (found.erased_words, found.unstable_words) == (0, 0)


@given(traces())
def test_what_changes_is_part_of_what_is_taken_back(one: Trace) -> None:
    found = measure_trace(one, "wall")
    assert 0 <= found.unstable_words <= found.erased_words
    assert found.erased_words <= sum(len(event.text.split()) for event in one.events)


WORDS = st.lists(st.sampled_from("abc"), max_size=6)


@given(WORDS, WORDS)
def test_words_that_stay_and_words_that_change(old: list[str], new: list[str]) -> None:
    common = common_words(old, new)
    assert old[:common] == new[:common]
    assert old[common : common + 1] != new[common : common + 1] or common == len(old) == len(new)
    assert len(old) - min(len(old), len(new)) <= changed_words(old, new) <= len(old) - common


@given(one=traces())
def test_traces_come_back_from_disk_as_written(
    one: Trace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "traces.jsonl"
    write_traces(path, [one, replace(one, utterance_id="è \u2028")])
    assert read_traces(path) == [one, replace(one, utterance_id="è \u2028")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is no trace"),
        ("[]", "no JSON object"),
        ("{}", "of version None"),
        (json.dumps({**BY_HAND.as_dict(), "version": 2}), "of version 2"),
        (json.dumps({**BY_HAND.as_dict(), "mode": "fast"}), "mode"),
        (json.dumps({k: v for k, v in BY_HAND.as_dict().items() if k != "events"}), "events"),
        (json.dumps({**BY_HAND.as_dict(), "speech_end": 9.0}), "no part of 4 s of audio"),
    ],
)
def test_a_line_that_is_no_trace_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text(f"{json.dumps(BY_HAND.as_dict())}\n{line}\n")
    with pytest.raises(
        StorageError, match=rf"(?s)traces\.jsonl, line 2 is no trace.*{message}|{message}"
    ):
        read_traces(path)


def test_keys_of_a_later_program_are_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps({**BY_HAND.as_dict(), "network_seconds": 0.1}))
    assert read_traces(path) == [BY_HAND]


def test_files_that_hold_no_traces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is missing"):
        read_traces(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StorageError, match="no text"):
        read_traces(tmp_path / "bytes.jsonl")


@pytest.mark.parametrize(
    ("events", "changes", "message"),
    [
        ([interim("a", 1, 1), interim("b", 0.9, 2), final("b", 3, 3)], {}, "event 1: a clock goes"),
        ([interim("a", 1, 2), final("b", 3, 1.9)], {}, "event 1: a clock goes"),
        ([final("b", 3, 2.9)], {}, "event 0: it was heard before it was spoken"),
        ([final("b", 4.5, 5)], {}, "event 0: 4.5 s of audio were given"),
        ([final("b", math.nan, 5)], {}, "event 0: a time is no number"),
        ([interim("a", 1, 1)], {}, "segment 0 has no final"),
        ([interim("a", 1, 1, 1), final("a", 3, 3)], {}, "event 0: it is of segment 1, and 0"),
        ([final("a", 1, 1), final("b", 3, 3)], {}, "event 1: it is of segment 0, and 1"),
        ([interim("a", 1, 1, stable=2), final("a", 3, 3)], {}, "2 of 1 words are stable"),
        ([replace(final("a", 3, 3), stable_words=0)], {}, "a final has words"),
        ([], {"speech_end": 5.0}, "speech lies from 0.5 to 5.0 s"),
        ([], {"speech_end": None}, "speech lies from 0.5 to None"),
        ([], {"audio_seconds": -1.0}, "a duration is negative"),
    ],
)
def test_what_cannot_have_happened_is_refused(
    events: list[TraceEvent], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"Trace of 'a'.*{message}"):
        trace(*events, **changes)


def test_streams_must_be_there_once_and_have_a_cluster() -> None:
    with pytest.raises(ValueError, match="no traces"):
        measure_streaming([], "wall", **DRAWN)
    with pytest.raises(ValueError, match="twice"):
        measure_streaming([BY_HAND, BY_HAND], "wall", **DRAWN)
    with pytest.raises(ValueError, match="'a' has no cluster"):
        measure_streaming([BY_HAND], "wall", clusters={"b": 1}, **DRAWN)
