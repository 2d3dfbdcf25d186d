"""Term recall and precision: which words of a vocabulary were heard, and which were made up.

All on normalised texts. An occurrence is a run of words that is a term, found from the left, the
longest term first, so that "new york times" is not also "new york". One of the reference is found
where an alignment with the fewest word errors puts the same term of the hypothesis opposite to it,
word by word; of several such alignments the one that finds most terms counts (of texts with more
than 500 words: of the alignments that `evaluation.anchors` leaves). Then

    recall    = found / occurrences in the references
    precision = found / occurrences in the hypotheses

Alignment as for word error rates (Levenshtein 1966); recall and precision of a list of terms as in
evaluations of contextual biasing, such as Le et al. 2021, "Contextualized Streaming End-to-End
Speech Recognition with Trie-Based Deep Biasing and Shallow Fusion".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.anchors import parts
from evaluation.significance import Integers, Interval, bootstrap_rate, paired_bootstrap

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A term in a text: which, and where its first word stands."""

    term: int
    start: int


class Vocabulary:
    """Terms by their normalised words.

    Args:
        terms: normalised texts of terms; their places in this order are what results name.

    Raises:
        ValueError: a term without a word, or two that are the same.
    """

    def __init__(self, terms: Sequence[str]) -> None:
        self.terms: tuple[Words, ...] = tuple(tuple(term.split()) for term in terms)
        self._by_first: dict[str, list[tuple[Words, int]]] = {}
        for number, words in enumerate(self.terms):
            if not words:
                raise ValueError(f"Term {number} has no words left after normalisation.")
            if words in self.terms[:number]:
                raise ValueError(f"The term {' '.join(words)!r} is there twice.")
            self._by_first.setdefault(words[0], []).append((words, number))
        for known in self._by_first.values():
            known.sort(key=lambda pair: -len(pair[0]))

    def find(self, words: Sequence[str]) -> list[Occurrence]:
        """Occurrences in a text, from left to right; they do not overlap."""
        found: list[Occurrence] = []
        at = 0
        while at < len(words):
            for term, number in self._by_first.get(words[at], ()):
                if tuple(words[at : at + len(term)]) == term:
                    found.append(Occurrence(number, at))
                    at += len(term) - 1
                    break
            at += 1
        return found

    def match(self, reference: Sequence[str], hypothesis: Sequence[str]) -> list[Occurrence]:
        """The occurrences of the reference that were found in the hypothesis."""
        said, heard = self.find(reference), self.find(hypothesis)
        if not {one.term for one in said} & {one.term for one in heard}:
            return []
        inside = self._inside(said), self._inside(heard)
        cut = parts(reference, hypothesis, lambda i, j: i not in inside[0] and j not in inside[1])
        return [
            replace(one, start=one.start + left.start)
            for left, right in cut
            for one in self._match_part(reference[left], hypothesis[right])
        ]

    def _inside(self, found: Sequence[Occurrence]) -> set[int]:
        """Places between the words of an occurrence."""
        return {one.start + at for one in found for at in range(1, len(self.terms[one.term]))}

    def _match_part(self, reference: Sequence[str], hypothesis: Sequence[str]) -> list[Occurrence]:
        here = {one.start + len(self.terms[one.term]): one for one in self.find(reference)}
        there = {one.start + len(self.terms[one.term]): one.term for one in self.find(hypothesis)}
        if not here or not set(there.values()) & {one.term for one in here.values()}:
            return []
        costs = self._costs(reference, hypothesis, here, there)
        return self._trace(costs, reference, hypothesis, here, there)

    def _costs(
        self,
        reference: Sequence[str],
        hypothesis: Sequence[str],
        here: Mapping[int, Occurrence],
        there: Mapping[int, int],
    ) -> list[list[int]]:
        """Cost of aligning the first i with the first j words, [n + 1][m + 1].

        A word error costs more than all terms of the text can win, and a found term wins 1.
        """
        error = len(here) + 1
        costs = [[j * error for j in range(len(hypothesis) + 1)]]
        for i, word in enumerate(reference, start=1):
            row = [i * error]
            for j, said in enumerate(hypothesis, start=1):
                best = min(
                    costs[i - 1][j - 1] + error * (word != said),
                    costs[i - 1][j] + error,
                    row[j - 1] + error,
                )
                length = self._common(i, j, here, there)
                if length:
                    best = min(best, costs[i - length][j - length] - 1)
                row.append(best)
            costs.append(row)
        return costs

    def _trace(
        self,
        costs: list[list[int]],
        reference: Sequence[str],
        hypothesis: Sequence[str],
        here: Mapping[int, Occurrence],
        there: Mapping[int, int],
    ) -> list[Occurrence]:
        error = len(here) + 1
        i, j = len(reference), len(hypothesis)
        found: list[Occurrence] = []
        while i and j:
            length = self._common(i, j, here, there)
            if length and costs[i][j] == costs[i - length][j - length] - 1:
                found.append(here[i])
                i, j = i - length, j - length
            elif costs[i][j] == costs[i - 1][j] + error:
                i -= 1
            elif costs[i][j] == costs[i][j - 1] + error:
                j -= 1
            else:
                i, j = i - 1, j - 1
        return found[::-1]

    def _common(
        self, i: int, j: int, here: Mapping[int, Occurrence], there: Mapping[int, int]
    ) -> int:
        """Words of the term that ends before both i and j; 0 where none or another does."""
        one = here.get(i)
        return len(self.terms[one.term]) if one and there.get(j) == one.term else 0


@dataclass(frozen=True, slots=True)
class TermCounts:
    """How often a term was to be heard, was found, and was said; `found` is at most either."""

    occurrences: int = 0
    found: int = 0
    said: int = 0

    def plus(self, other: TermCounts) -> TermCounts:
        return TermCounts(
            self.occurrences + other.occurrences, self.found + other.found, self.said + other.said
        )


def count_terms(reference: str, hypothesis: str, vocabulary: Vocabulary) -> dict[int, TermCounts]:
    """Counts of every term that is in the reference or the hypothesis, by its place."""
    words, said = reference.split(), hypothesis.split()
    return merge_counts(
        [
            *({one.term: TermCounts(occurrences=1)} for one in vocabulary.find(words)),
            *({one.term: TermCounts(said=1)} for one in vocabulary.find(said)),
            *({one.term: TermCounts(found=1)} for one in vocabulary.match(words, said)),
        ]
    )


def merge_counts(counts: Iterable[Mapping[int, TermCounts]]) -> dict[int, TermCounts]:
    """Counts of several utterances together, by term."""
    total: dict[int, TermCounts] = {}
    for one in counts:
        for term, count in one.items():
            total[term] = total.get(term, TermCounts()).plus(count)
    return dict(sorted(total.items()))


def bootstrap_share(
    found: Integers,
    of: Integers,
    clusters: Integers,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Interval of a pooled share such as recall: found over occurrences.

    A share at either end of 0..1 does not vary between resamples. It gets the bound for nothing
    seen (`evaluation.significance`), on the side of what was not seen: here, of what was missed.

    Args:
        found: [n] of each utterance, each at most `of`.
        of: [n] occurrences of each utterance.
        clusters: [n] integer label; utterances with the same label are drawn together.

    Raises:
        ValueError: as `bootstrap_rate`, or more were found than there are.
    """
    counted, total = np.asarray(found), np.asarray(of)
    if (counted > total).any():
        raise ValueError("More occurrences were found than there are.")
    drawn = {"confidence": confidence, "resamples": resamples, "seed": seed}
    if not counted.any():
        return bootstrap_rate(counted, total, clusters, **drawn)  # type: ignore[arg-type]
    missed = bootstrap_rate(total - counted, total, clusters, **drawn)  # type: ignore[arg-type]
    return Interval(
        value=1.0 - missed.value,
        low=1.0 - missed.high,
        high=1.0 - missed.low,
        confidence=confidence,
        clusters=missed.clusters,
        resamples=missed.resamples,
    )


def bootstrap_gain(
    found: Integers,
    found_before: Integers,
    of: Integers,
    clusters: Integers,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Interval of a difference of two models' recalls on the same utterances; above 0 is better."""
    total = np.asarray(of)
    return _negated(
        paired_bootstrap(
            total - np.asarray(found),
            total - np.asarray(found_before),
            total,
            clusters,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        ).difference
    )


def _negated(interval: Interval) -> Interval:
    return Interval(
        -interval.value, -interval.high, -interval.low,
        interval.confidence, interval.clusters, interval.resamples,
    )  # fmt: skip
