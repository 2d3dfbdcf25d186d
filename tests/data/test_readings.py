"""Readings: texts are found as packages ship them, and nobody of them ever trains."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources import open_source, render
from data.sources.base import Reach, Recording
from data.sources.reading_sets import SETS, Clip
from data.sources.readings import Readings, held_out_speakers
from data.splits import assign_splits
from data.utterance import Split, Utterance
from lifecycle.splits import declared_speakers
from voiceforge.errors import IntegrityError
from voiceforge.params import ReadingsSource, load_params
from voiceforge.params.sources import READINGS
from voiceforge.settings import PARAMS_FILE

AUSTEN = ReadingsSource(kind="readings", set="austen", language="en")
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def austen(cache: Path) -> tuple[Recording, ...]:
    return Readings(AUSTEN).plan(Reach(cache, offline=False, timeout=10)).recordings


def test_sentences_of_a_package_have_their_texts_and_can_be_decoded(
    austen: tuple[Recording, ...],
) -> None:
    texts = {recording.text for recording in austen}
    assert "he was not an ill disposed young man" in texts
    assert len(texts) == 5
    assert all("a more a amiable" not in text for text in texts)
    assert any("a more amiable woman" in text for text in texts)
    for recording in austen:
        assert not recording.is_synthetic
        assert recording.licence == "BSD-2-Clause"
        seconds = len(render(recording, 30.0).samples) / 16_000
        words = len(recording.text.split())
        assert 1.0 < words / seconds < 5.0


def _rows(austen: tuple[Recording, ...], texts: Mapping[str, str]) -> list[Utterance]:
    """The readings, and a person who trains and says the same and other things."""
    rows = [
        _utterance(recording.id, recording.text, recording.speaker, recording.source)
        for recording in austen
    ]
    mine = [_utterance(f"mine-{name}", text, "me", "mine") for name, text in texts.items()]
    return rows + mine


def _utterance(name: str, text: str, speaker: str, source: str) -> Utterance:
    return Utterance(
        id=name,
        audio=f"audio/{name}.flac",
        duration=2.0,
        text=text,
        language="en",
        accent="en",
        speaker=speaker,
        domain="d",
        source=source,
        licence="CC0-1.0",
        consent="granted",
        split="",
        is_synthetic=False,
        audio_sha256=name.ljust(64, "0"),
    )


@given(seed=st.integers(0, 1000))
def test_nobody_of_the_readings_trains_or_tunes_whoever_says_the_same(
    austen: tuple[Recording, ...], seed: int
) -> None:
    params = load_params(PROJECT / PARAMS_FILE)["telephony-en"].splits
    params = params.model_copy(update={"seed": seed})
    texts = {str(number): recording.text for number, recording in enumerate(austen)}
    texts |= {f"other-{number}": f"something else number {number}" for number in range(20)}
    declared: dict[str, Split] = dict.fromkeys(held_out_speakers(AUSTEN), "test")
    assigned = assign_splits(_rows(austen, texts), params, declared)
    heard = {row.split for row in assigned if row.source == "readings:austen"}
    assert heard <= {"test", "left-out"}
    alone = assign_splits(_rows(austen, {}), params, declared)
    assert {row.split for row in alone} == {"test"}


def test_the_split_stage_declares_everybody_of_the_readings_held_out(
    austen: tuple[Recording, ...],
) -> None:
    domain = load_params(PROJECT / PARAMS_FILE)["telephony-en"]
    with_readings = domain.model_copy(update={"sources": (*domain.sources, AUSTEN)})
    assert not set(declared_speakers(domain)) & set(held_out_speakers(AUSTEN))
    declared = declared_speakers(with_readings)
    assert {declared[recording.speaker] for recording in austen} == {"test"}


def test_parameters_and_sets_know_the_same_languages() -> None:
    assert {name: tuple(sorted(one.speakers)) for name, one in SETS.items()} == READINGS


def test_clips_of_somebody_undeclared_are_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Clip("usr/share/nothing.wav", "hello", "stranger")
    monkeypatch.setattr(
        Readings, "_set", type(SETS["austen"])(SETS["austen"].entry, {"en": ("reader",)},
                                               lambda folder, language: iter([stranger]))
    )  # fmt: skip
    source = open_source(AUSTEN, load_params(PROJECT / PARAMS_FILE)["telephony-en"].splits, PROJECT)
    with pytest.raises(IntegrityError, match="stranger"):
        source.plan(Reach(cache, offline=False, timeout=10))


CUES = """audio_module
{
    audio  "pcv331.ogg"  oneshot 100 1800  /*Turret Selected*/
    audio  "pcv427.ogg"  oneshot 100 1800  /*Return to LZ*/
    audio  "pcv653.ogg"  oneshot 100 1800  /*NASDA Central */
    audio  "com021.ogg"  oneshot 100 1800  /*Scavengers Detected*/
    audio  "v-eloc2.ogg" oneshot 100 1800  /*Enemy located*/
    audio  "col013a.ogg" oneshot 100 1800  /*Attack*/
    audio  "beep1.ogg"   oneshot  30 1800  /*Close Window*/
    audio  "gone.ogg"    oneshot  30 1800  /*Not in the archive*/
    audio  "silent.ogg"  oneshot  30 1800
}
"""
MEMBERS = (
    "audio/memressp/desnseq/pcv331.ogg", "audio/memressp/console/pcv427.ogg",
    "audio/extra/pcv653.ogg", "audio/memressp/cmndrvoc/com021.ogg", "audio/vtoltalk/v-eloc2.ogg",
    "audio/coltive/col013a.ogg", "audio/sfx/interfce/beep1.ogg", "audio/extra/silent.ogg",
)  # fmt: skip


def test_announcements_have_their_cues_and_their_crew(tmp_path: Path) -> None:
    archive = tmp_path / SETS["warzone"].archive
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("audio/audio.cfg", CUES)
        for member in MEMBERS:
            opened.writestr(member, b"")
    clips = list(SETS["warzone"].clips(tmp_path, "en"))
    assert [(clip.text, clip.speaker) for clip in clips] == [
        ("Turret Selected", "computer"),
        ("Return to landing zone", "computer"),
        ("Scavengers Detected", "commander"),
        ("Enemy located", "pilot-2"),
    ]
    assert all(clip.path in MEMBERS for clip in clips)


def _stamps(folder: Path) -> None:
    root = folder / "usr/share/tuxpaint/stamps"
    stamps = {
        "animals/frog.txt": "A frog.\nfr.utf8=Une grenouille.\nes.utf8=\nen_GB.utf8=A frog.\n",
        "animals/boars.txt": "Two wild boars.\nfr.utf8=Deux sangliers.\n",
        "animals/hen.txt": "A peahen.\nfr.utf8=Une paonne (la femelle du paon).\n",
        "symbols/alphabets/english/h.txt": "The letter H.\nfr.utf8=La lettre h.\n",
        "symbols/math/7.txt": "Seven.\nfr.utf8=Sept.\nit.utf8=Sette.\n",
    }
    spoken = (
        "animals/frog_desc.ogg", "animals/frog_desc_fr.ogg", "animals/frog_desc_es.ogg",
        "animals/boars_desc.ogg", "animals/hen_desc_fr.ogg", "symbols/math/7_en_GB.ogg",
        "symbols/math/7_it.ogg", "symbols/math/7_desc_fr.ogg",
        "symbols/alphabets/english/h_desc_fr.ogg",
    )  # fmt: skip
    for name, text in {**stamps, **dict.fromkeys(spoken, "")}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", {("frog", "pictures", ""), ("Seven.", "digits", "en-gb")}),
        ("fr", {("Une grenouille.", "pictures", "")}),
        ("es", set()),
        ("it", {("Sette.", "digits", "")}),
    ],
)
def test_pictures_have_the_text_of_their_language_and_no_doubtful_one(
    tmp_path: Path, language: str, expected: set[tuple[str, str, str]]
) -> None:
    _stamps(tmp_path)
    clips = list(SETS["stamps"].clips(tmp_path, language))
    assert {(clip.text, clip.speaker, clip.accent) for clip in clips} == expected
    assert all((tmp_path / clip.path).is_file() for clip in clips)


def test_words_are_the_names_of_sounds_without_their_scene(tmp_path: Path) -> None:
    theme = tmp_path / "usr/share/ktuberling/sounds/en.soundtheme"
    theme.parent.mkdir(parents=True)
    theme.write_text(
        '<language code="en">\n<sound name="pizzeria_bacon" file="en/pizzeria_bacon.ogg" />\n'
        '<sound name="egypt_palmtree" file="en/egypt_palmtree.ogg" />\n</language>\n'
    )
    clips = list(SETS["potato"].clips(tmp_path, "en"))
    assert [clip.text for clip in clips] == ["bacon", "palm tree"]


def test_a_package_that_was_not_unpacked_whole_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"transcription is missing.*Delete its folder"):
        list(SETS["austen"].clips(tmp_path, "en"))


def test_parts_of_the_long_reading_follow_each_other_and_fit_the_window(tmp_path: Path) -> None:
    clips = list(SETS["dickens"].clips(tmp_path, "en"))
    ends = [clip.start + (clip.seconds or 0.0) for clip in clips]
    assert [clip.start for clip in clips[1:]] == pytest.approx(ends[:-1])
    assert all(clip.seconds is not None and clip.seconds < 30 for clip in clips)
