"""Simulated speakers whose true word error rates are known: what intervals are held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

TRUE_RATE = 0.1
TRUE_DIFFERENCE = -0.011


@dataclass(frozen=True)
class Speech:
    """Utterances that two models heard, each array [n].

    Attributes:
        speakers: number of who speaks.
        texts: number of what is read.
        words: reference words.
        a: errors of model a.
        b: errors of model b.
    """

    speakers: IntArray
    texts: IntArray
    words: IntArray
    a: IntArray
    b: IntArray


def conversation(
    seed: int, *, speakers: int, utterances: int = 12, uneven: bool = False, shared_texts: int = 0
) -> Speech:
    """Some speakers, some more easily understood than others, some texts harder than others.

    Over all speakers and texts, model b has a word error rate of 10% (speakers' own rates vary by
    6 points, from under 2% to over 25%) and model a one of 8.9%: it avoids some 20% of b's errors,
    of some speakers more than of others, and makes new ones in some 1% of the other words.

    Args:
        utterances: of a speaker, in the mean.
        uneven: whether some speak much more than others (log-normal: the most talkative tenth has
            three tenths of all speech).
        shared_texts: how many texts everybody reads from; 0 where no text is read twice.
    """
    generator = np.random.default_rng(seed)
    if uneven:
        each = np.maximum(1, utterances * generator.lognormal(-0.245, 0.7, speakers)).astype(int)
    else:
        each = np.maximum(1, generator.poisson(utterances, speakers))
    who = np.repeat(np.arange(speakers), each)
    count = len(who)
    texts = generator.integers(0, shared_texts, count) if shared_texts else np.arange(count)
    several = int(texts.max()) + 1
    words = generator.integers(3, 15, several)[texts]
    hardness = (0.2 + 1.6 * generator.beta(0.7, 0.7, several))[texts]
    trouble = 0.5 * generator.beta(1.6, 6.4, speakers)[who]
    kept = generator.beta(8, 2, speakers)[who]
    fresh = 0.02 * generator.beta(1, 1, speakers)[who]
    b = generator.binomial(words, trouble * hardness)
    a = generator.binomial(b, kept) + generator.binomial(words - b, fresh)
    return Speech(who, texts, words, a, b)
