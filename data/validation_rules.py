"""The rules of validation: what is expected of a column, and the reason code of those who fail.

Lots, each judged on what the lot before let through: what a row says by itself, whether a user
corrected it, whether its transcript is its own, and whether it is there twice. A rule is
data; `data.expectations` turns it into an expectation of Great Expectations, which decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voiceforge.params import ValidationParams

Expectation = Literal[
    "ExpectColumnValuesToBeBetween",
    "ExpectColumnValuesToBeInSet",
    "ExpectColumnValuesToBeNull",
    "ExpectColumnValuesToNotBeInSet",
    "ExpectColumnValuesToNotMatchRegex",
]
"""The built-in expectations that are used, by their names in `great_expectations.expectations`."""

_NOTES = r"[\[\]<>{}]|^\s*\(.*\)\s*$"
"""Square, angle or curly brackets anywhere, round ones around everything. Words in round brackets
inside a text are often spoken."""

_DAMAGE = "\ufffd|[\x00-\x1f\x7f]|[ÂÃÐÑ][\u0080-\u00bf]|â€"
"""The replacement character, control characters, UTF-8 read as Latin-1 or Windows-1252."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation of one column.

    Attributes:
        reason: code of those who do not meet it.
        detail: sentence for the quarantine; `{column}` is filled from the failing row.
        arguments: of the expectation, besides the column.
    """

    reason: str
    column: str
    expectation: Expectation
    detail: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def row_rules(params: ValidationParams, *, measured: bool = True) -> list[Rule]:
    """What can be told of an utterance by itself.

    Args:
        measured: whether the frame has measurements; without, only tables are judged.
    """
    rules = [
        _least("too-short", "duration", params.minimum_seconds, "It lasts {duration:.2f} s"),
        _most("too-long", "duration", params.maximum_seconds, "It lasts {duration:.2f} s"),
        _least("empty-text", "characters", 1, "The text {text!r:.80} has {characters} letters"),
        Rule(
            "bracketed-text",
            "text",
            "ExpectColumnValuesToNotMatchRegex",
            "The text has notes in brackets: {text!r:.80}.",
            {"regex": _NOTES},
        ),
        Rule(
            "damaged-text",
            "text",
            "ExpectColumnValuesToNotMatchRegex",
            "The text lost letters to its encoding: {text!r:.80}.",
            {"regex": _DAMAGE},
        ),
        _most(
            "wrong-script",
            "foreign_letters",
            params.foreign_letters,
            "{foreign_letters:.0%} of the letters of {text!r:.80} are in a script that the "
            "language {language} is not written in",
        ),
        _most(
            "too-fast",
            "characters_per_second",
            params.maximum_characters_per_second,
            "{characters} letters and digits in {duration:.2f} s are "
            "{characters_per_second:.1f} a second",
        ),
        Rule(
            "refused-consent",
            "consent_for_audio",
            "ExpectColumnValuesToNotBeInSet",
            "The speaker refused ({consent} for this row).",
            {"value_set": ["refused"]},
        ),
    ]
    if params.require_consent:
        rules.append(
            Rule(
                "no-consent",
                "consent",
                "ExpectColumnValuesToNotBeInSet",
                "The consent of {speaker} is unknown.",
                {"value_set": ["unknown"]},
            )
        )
    if params.licences:
        rules.append(
            Rule(
                "licence",
                "licence",
                "ExpectColumnValuesToBeInSet",
                f"The licence {{licence!r}} is none of {', '.join(params.licences)}.",
                {"value_set": list(params.licences)},
            )
        )
    return rules + (_signal_rules(params) if measured else [])


def correction_rules() -> list[Rule]:
    """Whether a user put the text right: asked before the texts of one audio are compared."""
    return [
        Rule(
            "corrected",
            "corrected_by",
            "ExpectColumnValuesToBeNull",
            "{corrected_by} has the same audio and is a correction of the text.",
        )
    ]


def transcript_rules(params: ValidationParams) -> list[Rule]:
    """Whether the transcript belongs to the audio: among those that share it, and by ear."""
    return [
        Rule(
            "contradicting-texts",
            "contradicts",
            "ExpectColumnValuesToBeNull",
            "{contradicts} has the same audio and another text.",
        ),
        _most(
            "suspect-transcript",
            "character_error_rate",
            params.agreement.maximum_errors,
            "Of {text!r:.80} the base model has {character_error_rate:.0%} of the characters wrong",
        ),
    ]


def copy_rules() -> list[Rule]:
    """Whether an utterance is there once only."""
    return [
        Rule(
            "duplicate-audio",
            "copy_of",
            "ExpectColumnValuesToBeNull",
            "{copy_of} has the same audio and the same text.",
        ),
        Rule(
            "near-duplicate-audio",
            "near_copy_of",
            "ExpectColumnValuesToBeNull",
            "{near_copy_of} has almost the same audio.",
        ),
    ]


def _signal_rules(params: ValidationParams) -> list[Rule]:
    return [
        _most("clipped", "clipped", params.clipping, "{clipped:.1%} of the samples are clipped"),
        _most(
            "mostly-silence", "silence", params.silence, "{silence:.0%} of the recording is silence"
        ),
        Rule(
            "dc-offset",
            "dc",
            "ExpectColumnValuesToBeBetween",
            f"The mean sample is {{dc:.3f}}; at most {params.dc_offset:g} either way.",
            {"min_value": -params.dc_offset, "max_value": params.dc_offset},
        ),
        _least("too-quiet", "level", params.minimum_level, "The active level is {level:.1f} dBFS"),
        _least(
            "narrow-band",
            "bandwidth",
            params.minimum_bandwidth,
            "Above {bandwidth:.0f} Hz all power is 50 dB below the strongest",
        ),
        _least(
            "no-speech",
            "sure_speech",
            params.minimum_speech,
            "{speech:.2f} s of speech are heard in {duration:.2f} s",
        ),
        _least(
            "too-slow",
            "characters_per_speech",
            params.minimum_characters_per_second,
            "{characters} letters and digits in {speech:.2f} s of speech are "
            "{characters_per_speech:.2f} a second",
        ),
    ]


def _least(reason: str, column: str, bound: float, detail: str) -> Rule:
    arguments = {"min_value": bound}
    return Rule(reason, column, "ExpectColumnValuesToBeBetween",
                f"{detail}; at least {bound:g}.", arguments)  # fmt: skip


def _most(reason: str, column: str, bound: float, detail: str) -> Rule:
    arguments = {"max_value": bound}
    return Rule(reason, column, "ExpectColumnValuesToBeBetween",
                f"{detail}; at most {bound:g}.", arguments)  # fmt: skip
