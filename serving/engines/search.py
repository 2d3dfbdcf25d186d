"""Greedy search, sampling and beam search over any decoder that can be run a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from serving.engines.whisper import Generated, Sampling

Logits = npt.NDArray[np.float32]
"""Unnormalised scores of the next token, shape [rows, vocabulary]."""
_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


class Decoder(Protocol):
    """One decoding of a batch. It has a row for each clip to begin with."""

    def begin(self, prompt: Sequence[int], opening: int) -> tuple[Logits, Logits]:
        """Read the prompt; logits after its last token, and after the one at index `opening`."""
        ...

    def step(self, tokens: _Ints) -> Logits:
        """Append a token to each row; shape [rows]."""
        ...

    def take(self, rows: _Ints) -> None:
        """Go on with these rows, in this order; a row may be left out, or taken several times."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What a text may hold, of the model's generation_config.json.

    Attributes:
        end: token that ends a text.
        no_speech: token whose probability at the opening says that nobody speaks.
        suppressed: tokens that are never written.
        suppressed_first: tokens that no text begins with.
    """

    end: int
    no_speech: int
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]

    def no_speech_probability(self, logits: Logits) -> _Floats:
        """Shape [rows], of the logits at the opening, before anything is suppressed."""
        return np.exp(log_softmax(logits)[:, self.no_speech])

    def logprobs(
        self, logits: Logits, written: Sequence[Sequence[int]], *, penalty: float
    ) -> _Floats:
        """Log-probabilities of the next token, shape [rows, vocabulary].

        Args:
            written: the tokens of each row so far; all rows have as many.
            penalty: divides the score of what was written already (multiplies a negative one).
        """
        scores = np.array(logits, np.float32)
        if penalty != 1.0 and written and written[0]:
            rows, tokens = np.arange(len(written))[:, None], np.asarray(written)
            before = scores[rows, tokens]
            scores[rows, tokens] = np.where(before < 0, before * penalty, before / penalty)
        scores[:, self.suppressed] = -np.inf
        if not written or not written[0]:
            scores[:, self.suppressed_first] = -np.inf
        return log_softmax(scores)


def log_softmax(scores: Logits) -> _Floats:
    """Along the last axis, in float64: a sum of 50,000 float32 loses digits."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True, dtype=np.float64)
    result: _Floats = shifted - np.log(total)
    return result


def greedy(
    decoder: Decoder,
    prompt: Sequence[int],
    rules: Rules,
    *,
    clips: int,
    opening: int,
    limit: int,
    penalty: float = 1.0,
) -> list[Generated]:
    """The likeliest token at each step; a row that has ended leaves the batch.

    Args:
        clips: rows that the decoder has.
        opening: index in `prompt` of the token that opens a transcript.
        limit: most new tokens of a clip.
    """

    def likeliest(logprobs: _Floats, rows: _Ints) -> _Ints:
        chosen: _Ints = logprobs.argmax(axis=1)
        return chosen

    return _step_by_step(decoder, prompt, rules, likeliest, clips, opening, limit, penalty)


def sample(
    decoder: Decoder,
    prompt: Sequence[int],
    rules: Rules,
    *,
    clips: int,
    opening: int,
    limit: int,
    sampling: Sampling,
    penalty: float = 1.0,
) -> list[Generated]:
    """Each token drawn by its probability at a temperature; arguments as in `greedy`.

    The draws of a clip depend on the seed and on its place in the batch alone. Source: the Gumbel
    maximum, which is distributed as the softmax (Maddison et al. 2014, arXiv:1411.0030).
    """
    draws = [np.random.default_rng([sampling.seed, clip]) for clip in range(clips)]

    def drawn(logprobs: _Floats, rows: _Ints) -> _Ints:
        noise = np.stack([draws[row].gumbel(size=logprobs.shape[1]) for row in rows])
        chosen: _Ints = (logprobs / sampling.temperature + noise).argmax(axis=1)
        return chosen

    return _step_by_step(decoder, prompt, rules, drawn, clips, opening, limit, penalty)


def _step_by_step(
    decoder: Decoder,
    prompt: Sequence[int],
    rules: Rules,
    choose: Callable[[_Floats, _Ints], _Ints],
    clips: int,
    opening: int,
    limit: int,
    penalty: float,
) -> list[Generated]:
    """One token a step and clip; `choose` gets log-probabilities and the clips of their rows."""
    logits, at_opening = decoder.begin(prompt, opening)
    silence = rules.no_speech_probability(at_opening)
    tokens: list[list[int]] = [[] for _ in range(clips)]
    logprobs: list[list[float]] = [[] for _ in range(clips)]
    totals = np.zeros(clips)
    rows = np.arange(clips)
    for step in range(limit):
        found = rules.logprobs(logits, [tokens[row] for row in rows], penalty=penalty)
        chosen = choose(found, rows)
        totals[rows] += found[np.arange(len(rows)), chosen]
        goes_on = chosen != rules.end
        for place in np.flatnonzero(goes_on):
            tokens[rows[place]].append(int(chosen[place]))
            logprobs[rows[place]].append(float(found[place, chosen[place]]))
        if not goes_on.any() or step == limit - 1:
            break
        if not goes_on.all():
            kept = np.flatnonzero(goes_on)
            decoder.take(kept)
            rows, chosen = rows[kept], chosen[kept]
        logits = decoder.step(chosen)
    return [
        Generated(tokens[clip], logprobs[clip], float(silence[clip]), float(totals[clip]))
        for clip in range(clips)
    ]


@dataclass(slots=True)
class _Beam:
    """A text that is being written, or has ended."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    score: float = 0.0

    @property
    def normalised(self) -> float:
        """Log-probability by token; the end of the text is not counted among them."""
        return self.score / max(1, len(self.tokens))


def beam_search(
    decoder: Decoder,
    prompt: Sequence[int],
    rules: Rules,
    *,
    clips: int,
    opening: int,
    limit: int,
    beam_size: int,
    penalty: float = 1.0,
) -> list[Generated]:
    """The likeliest text of `beam_size` that are followed, by its log-probability a token.

    As OpenAI's BeamSearchDecoder with a patience of 1 and its MaximumLikelihoodRanker (a clip is
    done when as many texts have ended as there are beams), but that a text ends only where its end
    is among the likeliest continuations, as in transformers and CTranslate2. Arguments as in
    `greedy`.
    """
    logits, at_opening = decoder.begin(prompt, opening)
    silence = rules.no_speech_probability(at_opening)
    beams: dict[int, list[_Beam]] = {clip: [_Beam()] for clip in range(clips)}
    ended: list[list[_Beam]] = [[] for _ in range(clips)]
    for step in range(limit):
        rows = [(clip, beam) for clip, of_clip in beams.items() for beam in of_clip]
        found = rules.logprobs(logits, [beam.tokens for _, beam in rows], penalty=penalty)
        chosen: list[int] = []
        parents: list[int] = []
        at = 0
        for clip in list(beams):
            count = len(beams[clip])
            kept = _widened(beams[clip], found[at : at + count], rules.end, beam_size, ended[clip])
            if len(ended[clip]) >= beam_size or step == limit - 1:
                ended[clip] += [beam for _, _, beam in kept] if step == limit - 1 else []
                del beams[clip]
            else:
                beams[clip] = [beam for _, _, beam in kept]
                parents += [at + parent for parent, _, _ in kept]
                chosen += [token for _, token, _ in kept]
            at += count
        if not beams:
            break
        decoder.take(np.asarray(parents))
        logits = decoder.step(np.asarray(chosen))
    best = [max(of_clip, key=lambda beam: beam.normalised) for of_clip in ended]
    return [
        Generated(beam.tokens, beam.logprobs, float(silence[clip]), beam.score)
        for clip, beam in enumerate(best)
    ]


def _widened(
    beams: Sequence[_Beam], logprobs: _Floats, end: int, size: int, ended: list[_Beam]
) -> list[tuple[int, int, _Beam]]:
    """The `size` likeliest continuations, as (parent, token, beam); what ends goes to `ended`."""
    totals = logprobs + np.array([[beam.score] for beam in beams])
    # Of the best 2 x size at most half end, as each beam ends in one way. An end that ranks behind
    # `size` texts is none yet: it would stop the search before the likelier ones have ended.
    most = min(2 * size, totals.size)
    best = np.argpartition(-totals, most - 1, axis=None)[:most]
    best = best[np.argsort(-totals.ravel()[best], kind="stable")]
    kept: list[tuple[int, int, _Beam]] = []
    for rank, flat in enumerate(best):
        parent, token = divmod(int(flat), totals.shape[1])
        score = float(totals[parent, token])
        if len(kept) == size or not np.isfinite(score):
            break
        beam = beams[parent]
        if token == end:
            if rank < size and len(ended) < size:
                ended.append(_Beam(beam.tokens, beam.logprobs, score))
        else:
            logprob = float(logprobs[parent, token])
            kept.append(
                (parent, token, _Beam([*beam.tokens, token], [*beam.logprobs, logprob], score))
            )
    return kept
