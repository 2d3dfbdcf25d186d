"""Reason codes of quarantine: what each means, what a person does about it, an example.

Every code that anything in `data` gives a recording is listed here, and nothing else is. A person
may release an utterance from a code that is a matter of judgement (`data.releases`); what cannot be
read, names nothing or must not be used stays out whatever anybody says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voiceforge.errors import UsageError

FoundBy = Literal["source", "decoding", "validation"]


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of the table of reason codes.

    Attributes:
        code: short and stable: what quarantine.parquet holds.
        found_by: what gives it, in the order in which a recording passes.
        sentence: what is wrong.
        advice: what a person does about it.
        example: something that gets it.
        releasable: whether a person may let such an utterance in nevertheless.
        concerns_text: whether the verdict rests on the text as well; a release then ends when the
            text changes.
    """

    code: str
    found_by: tuple[FoundBy, ...]
    sentence: str
    advice: str
    example: str
    releasable: bool = False
    concerns_text: bool = False


_ALL = (
    # Sources: the table or manifest says something that cannot be meant.
    Reason(
        "bad-row",
        ("source",),
        "A line of a table or manifest cannot be read.",
        "Mend the line that the detail names.",
        'a manifest line that is cut off: `{"audio_filepath": "a.wav`',
    ),
    Reason(
        "bad-duration",
        ("source",),
        "Offset or duration in the manifest is no time.",
        "Write seconds, 0 or more, or leave them out.",
        '`"duration": NaN`',
    ),
    Reason(
        "bad-language",
        ("source",),
        "The language is not a tag.",
        "Write an ISO 639 code.",
        "`English` instead of `en`",
    ),
    Reason(
        "bad-accent",
        ("source",),
        "The accent is not a tag.",
        "Write a BCP 47 tag.",
        "`from the north` instead of `en-gb-x-north`",
    ),
    Reason(
        "bad-consent",
        ("source",),
        "The consent is none of granted, unknown, refused.",
        "Write one of the three.",
        "`yes`",
    ),
    Reason(
        "unsafe-path",
        ("source",),
        "The path of the audio is absolute or leads out of its folder.",
        "Move the recording into the folder and name it by its path from there. Absolute paths of "
        "a NeMo manifest need `audio_root`.",
        "`../secret.wav`",
    ),
    Reason(
        "duplicate-id",
        ("source",),
        "Another recording has this id already; the first keeps it.",
        "Give each recording its own id.",
        "two rows with the id `a-1`",
    ),
    Reason(
        "forgotten",
        ("source", "decoding"),
        "Its speaker asked to be forgotten.",
        "Delete it from the source, too; data/ledgers says when and why it was asked for.",
        "any recording of a speaker after `voiceforge corpus forget`",
    ),
    Reason(
        "uncertain-text",
        ("source",),
        "It cannot be told from the transcript what is spoken.",
        "Write the words as they are spoken.",
        "`press *` (star? asterisk?)",
    ),
    # Decoding: there is no audio to hear.
    Reason(
        "missing",
        ("source", "decoding"),
        "The file is not there or cannot be read.",
        "Put it where the table says, or correct the table.",
        "`clips/a.wav`, where there is no such file",
    ),
    Reason(
        "empty",
        ("decoding",),
        "The file holds no audio.",
        "Record or export it again.",
        "a file of 0 bytes",
    ),
    Reason(
        "not-audio",
        ("decoding",),
        "The file is not audio.",
        "Give a format that FFmpeg reads.",
        "a text file named `a.wav`",
    ),
    Reason(
        "encrypted",
        ("decoding",),
        "The file is protected against copying.",
        "Export it without protection.",
        "a film bought with DRM",
    ),
    Reason(
        "outside",
        ("decoding",),
        "The part of the file that the manifest names lies beyond its end.",
        "Correct offset and duration.",
        "an offset of 60 s in a file of 10 s",
    ),
    Reason(
        "no-audio-stream",
        ("decoding",),
        "The file is a video without sound.",
        "Give a recording with sound.",
        "a silent screen recording",
    ),
    Reason(
        "truncated",
        ("decoding",),
        "The file is shorter than its header says.",
        "Copy it again from where it came from.",
        "an upload that broke off",
    ),
    Reason(
        "damaged",
        ("decoding",),
        "Decoding stopped part of the way, or its header or samples cannot be true.",
        "Copy it again from where it came from.",
        "an mp3 with overwritten blocks",
    ),
    Reason(
        "not-finite",
        ("decoding",),
        "It holds samples that are not numbers.",
        "Export it again.",
        "a float WAV with NaN",
    ),
    Reason(
        "silent",
        ("decoding",),
        "There is nothing above the noise of 16 bits.",
        "Record it again.",
        "a muted microphone",
    ),
    Reason(
        "synthesis",
        ("decoding",),
        "The synthesizer said nothing.",
        "Change the text, or leave it out.",
        "a text that eSpeak NG has no sounds for",
    ),
    Reason(
        "undecodable",
        ("decoding",),
        "The decoder failed in a way that it has no name for.",
        "Convert it to WAV with another program.",
        "a rare codec's broken frame",
    ),
    Reason(
        "crashed",
        ("decoding",),
        "Decoding it ended the process that tried to.",
        "Convert it to WAV with another program.",
        "a file that makes a codec crash",
    ),
    # Validation: what is there does not look like speech with its transcript.
    Reason(
        "too-short",
        ("decoding", "validation"),
        "It is shorter than `validation.minimum_seconds`, or than anything can be said in.",
        "Remove it, or join it with its neighbour.",
        "10 ms",
        releasable=True,
    ),
    Reason(
        "too-long",
        ("decoding", "validation"),
        "It is longer than `validation.maximum_seconds`, or than Whisper hears at once.",
        "Cut it into utterances.",
        "a meeting of 3 hours",
        releasable=True,
    ),
    Reason(
        "empty-text",
        ("source", "validation"),
        "The text has no letter and no digit.",
        "Write what is said.",
        "`...`",
        concerns_text=True,
    ),
    Reason(
        "bracketed-text",
        ("validation",),
        "The text holds notes in brackets, which nobody says.",
        "Take the notes out; leave the recording out if they are all there is.",
        "`[laughter] yes`",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "damaged-text",
        ("source", "validation"),
        "The text lost letters to its encoding, or holds control characters.",
        "Save the table as UTF-8 from where the text was whole.",
        "`cafÃ©`, `caf\N{REPLACEMENT CHARACTER}`",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "wrong-script",
        ("validation",),
        "More than `validation.foreign_letters` of the letters are in a script that the language "
        "is not written in.",
        "Correct the text or the language.",
        "`привет` in an English corpus",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "too-fast",
        ("validation",),
        "The text is longer than anybody could say in that time.",
        "Correct the text: it holds more than is spoken. Or find the audio's missing part.",
        "60 letters for one second of audio",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "too-slow",
        ("validation",),
        "The text is too short for that much speech.",
        "Complete the text, or cut the audio.",
        "`yes` for 20 seconds of speech",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "clipped",
        ("validation",),
        "The recording is overdriven: its peaks are cut off.",
        "Record it again with less gain; it cannot be mended.",
        "a shout close to the microphone",
        releasable=True,
    ),
    Reason(
        "mostly-silence",
        ("validation",),
        "Almost all of the recording is silence.",
        "Cut the silence off.",
        "one word in a minute",
        releasable=True,
    ),
    Reason(
        "dc-offset",
        ("validation",),
        "The signal does not swing around zero.",
        "Filter out what lies below 50 Hz, or mend the sound card.",
        "a sample mean of 0.2",
        releasable=True,
    ),
    Reason(
        "too-quiet",
        ("validation",),
        "What there is of a voice drowns in the noise of 16 bits.",
        "Record it again, closer.",
        "a level of -70 dBFS",
        releasable=True,
    ),
    Reason(
        "narrow-band",
        ("validation",),
        "There is nothing at the frequencies that tell words apart.",
        "Look for a hum or a filter; record it again.",
        "a mains hum of 100 Hz",
        releasable=True,
    ),
    Reason(
        "no-speech",
        ("validation",),
        "The voice activity detector hears nobody.",
        "Listen to it; leave it out if it is music or noise.",
        "a ring tone",
        releasable=True,
    ),
    Reason(
        "suspect-transcript",
        ("validation",),
        "What the base model hears has next to nothing in common with the text.",
        "Listen to it and correct the text. Release it if the text is right.",
        "the text of the next recording",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "duplicate-audio",
        ("validation",),
        "Another utterance has the same audio and the same text; a gate set's member is "
        "kept, or else the first by id.",
        "Nothing: one of them is enough.",
        "a folder that was added twice",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "corrected",
        ("validation",),
        "A user's correction has the same audio with another text, which takes the place of this.",
        "Nothing; correct the text in its table, too, where you keep one.",
        "a recording of the service before and after its correction",
    ),
    Reason(
        "contradicting-texts",
        ("validation",),
        "Several utterances have this audio with different texts; at most one can be right.",
        "Correct the texts, or release the one that is right.",
        "one file under two lines of the table",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "near-duplicate-audio",
        ("validation",),
        "Another utterance has almost the same audio, and could put it on both sides of a split.",
        "Nothing if it is a copy. Release it if the two only sound alike.",
        "one recording as WAV and as mp3",
        releasable=True,
        concerns_text=True,
    ),
    Reason(
        "refused-consent",
        ("validation",),
        "The speaker refused, for this recording or for the same audio under another id.",
        "Delete the recording. Change the table only if the speaker agreed after all.",
        "`consent` is `refused`",
    ),
    Reason(
        "no-consent",
        ("source", "validation"),
        "The speaker has not agreed, and the source or `validation.require_consent` asks for it.",
        "Ask the speaker, and write `granted` into the table.",
        "`consent` is `unknown`",
    ),
    Reason(
        "licence",
        ("validation",),
        "Its licence is none of `validation.licences`.",
        "Leave it out, or allow its licence.",
        "`CC-BY-NC-4.0` where only `CC0-1.0` is allowed",
    ),
)

REASONS = {reason.code: reason for reason in _ALL}
"""Code -> what it means, in the order of the table."""


def reason(code: str) -> Reason:
    """The reason of that code.

    Raises:
        UsageError: there is none.
    """
    if code not in REASONS:
        raise UsageError(f"There is no reason code {code!r}. There are: {', '.join(REASONS)}.")
    return REASONS[code]


def reasons_table() -> str:
    """The Markdown table of docs/corpora.md."""
    lines = ["| code | found by | what is wrong | what to do | example | can be released |"]
    lines.append("|---|---|---|---|---|---|")
    for one in _ALL:
        cells = (
            f"`{one.code}`",
            ", ".join(one.found_by),
            one.sentence,
            one.advice,
            one.example,
            "yes" if one.releasable else "no",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
