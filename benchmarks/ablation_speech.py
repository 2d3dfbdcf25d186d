"""What the variants of an ablation hear: texts set aside, unheard voices, general speech."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import get_args

from data.split_hash import hash_split, text_key
from data.utterance import Split, Utterance
from voiceforge.params import (
    ClipsPerAccent,
    DomainParams,
    EspeakSource,
    PiperSource,
    PromptsSource,
    Source,
    SplitParams,
)
from voiceforge.params.sources import PromptLanguage

_UNHEARD_CLIPS = 120
_SENTENCES = 600


def set_aside(
    rows: Sequence[Utterance], share: float, params: SplitParams
) -> tuple[list[Utterance], list[Utterance]]:
    """What the variants train and choose their step on, and what they are judged on.

    Args:
        rows: a corpus with splits; its test rows are left out of both.
        share: of the train split's texts that are set aside.
        params: of the splits; texts are set aside by a hash of their own.
    """
    apart = params.model_copy(
        update={"train": 1 - share, "dev": 0.0, "test": share, "seed": params.seed + 1}
    )

    def is_aside(row: Utterance) -> bool:
        return row.split == "train" and hash_split(text_key(row.text), apart) == "test"

    judged = [row for row in rows if is_aside(row)]
    texts = {text_key(row.text) for row in judged}
    learnt = [
        row for row in rows if row.split in ("train", "dev") and text_key(row.text) not in texts
    ]
    return learnt, judged


def dev_voices(domain: DomainParams) -> list[Source]:
    """eSpeak's sources of a domain with the texts of train in the voices of dev; may be none."""
    return [
        one.model_copy(
            update={
                "voices": one.voices.model_copy(
                    update={"train": one.voices.dev, "dev": one.voices.train}
                ),
                "clips_per_accent": ClipsPerAccent(train=_UNHEARD_CLIPS, dev=0),
                "words_per_accent": 0,
            }
        )
        for one in domain.sources
        if isinstance(one, EspeakSource)
    ]


def general_speech(domain: DomainParams, *, multilingual: bool) -> tuple[list[Source], Set[Split]]:
    """Sources of general speech, and the splits of their texts that no domain trains on."""
    if multilingual:
        # The test texts of prompts are some domain's test set.
        languages = (one for one in get_args(PromptLanguage) if one != domain.language)
        return [PromptsSource(kind="prompts", language=one) for one in languages], {"dev"}
    sentences = PiperSource(
        kind="piper",
        texts="sentences",
        language="en",
        voice="piper-joe-en-us",
        clips=_SENTENCES,
    )
    return [sentences], {"dev", "test"}
