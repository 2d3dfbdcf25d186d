"""The folder of an evaluation, read back, and two of them taken as one comparison.

It holds `evaluation.json` (what was asked, of what identity), `utterances.parquet`, `snr.json`,
`predictions/candidate.parquet` and, with a second model, `predictions/baseline.parquet`; a table's
recordings are decoded into `corpus`. Every figure derives from these files, so that two folders can
be compared later without the audio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import signal_to_noise
from lifecycle.heard import CONDITIONS, LATENCY, PREDICTIONS, STREAMS
from voiceforge.errors import UsageError
from voiceforge.files import read_json

if TYPE_CHECKING:
    from data.utterance import Utterance
    from evaluation.prediction import Prediction

FILE, SNR = "evaluation.json", signal_to_noise.FILE
SCHEMA = 1
"""Version of evaluation.json."""
CANDIDATE, BASELINE = "candidate", "baseline"


@dataclass(frozen=True)
class Evaluated:
    """A folder of an evaluation, read back.

    Attributes:
        described: the content of evaluation.json.
        predictions: by "candidate" and, with a second model, "baseline".
        snr: signal-to-noise ratio in dB by utterance id; None where a recording does not tell.
        conditions: folders of what each model heard under test conditions, should it have.
        streams: folders of each model's streams, likewise.
        latency: files of each model's latency, likewise.
    """

    folder: Path
    described: Mapping[str, Any]
    utterances: Sequence[Utterance]
    predictions: Mapping[str, Sequence[Prediction]]
    snr: Mapping[str, float | None]
    conditions: Mapping[str, Path]
    streams: Mapping[str, Path]
    latency: Mapping[str, Path]

    @property
    def corpus(self) -> Path:
        """Where the recordings were."""
        return self.folder / str(self.described["speech"]["corpus"])

    @property
    def names(self) -> tuple[str, str]:
        """Of the candidate and the baseline; "" for none."""
        models = self.described["models"]
        return models[CANDIDATE]["name"], models.get(BASELINE, {}).get("name", "")


def read(folder: Path) -> Evaluated:
    """Read the folder of an evaluation.

    Raises:
        UsageError: it is none, is not finished, or of another version.
        StorageError, IntegrityError: a file of it is damaged, or its predictions are not of its
            utterances.
    """
    from data.tables import UTTERANCES, read_utterances
    from lifecycle.evaluated_heard import read_heard

    if not (folder / FILE).is_file():
        raise UsageError(
            f"{folder} is no evaluation: it holds no {FILE}. `voiceforge evaluate` makes one."
        )
    described = read_json(folder / FILE)
    if described.get("schema") != SCHEMA:
        raise UsageError(
            f"{folder / FILE} has the schema {described.get('schema')!r}, and this version reads "
            f"{SCHEMA}. Evaluate again."
        )
    needed = [UTTERANCES, SNR, *(f"{PREDICTIONS}/{role}.parquet" for role in described["models"])]
    for name in needed:
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} is no finished evaluation: {name} is missing. The same `voiceforge "
                "evaluate` again goes on where it was."
            )
    rows, snr = read_utterances(folder / UTTERANCES), read_json(folder / SNR)
    sampled = described.get("sampled", [BASELINE])  # older folders do not say
    predictions = {
        role: read_heard(folder / PREDICTIONS / f"{role}.parquet", rows, whole=role not in sampled)
        for role in described["models"]
    }
    return Evaluated(
        folder,
        described,
        rows,
        predictions,
        snr,
        conditions={role: folder / CONDITIONS / role for role in described["models"]},
        streams={role: folder / STREAMS / role for role in described["models"]},
        latency={role: folder / LATENCY / f"{role}.json" for role in described["models"]},
    )


def pair(one: Evaluated, other: Evaluated, *, force: bool = False) -> Evaluated:
    """The candidates of two evaluations as candidate and baseline of one.

    Raises:
        UsageError: they heard other speech, or are scored with other rules; `force` goes on with
            the utterances of the same id and reference that both heard, and the rules of `one`.
    """
    forced = []
    for name, where in (("speech", "sha256"), ("normaliser", "sha256")):
        ours, theirs = one.described[name][where], other.described[name][where]
        if ours == theirs:
            continue
        others = (
            f"{one.described[name]['name']} ({ours[:12]}) and "
            f"{other.described[name]['name']} ({theirs[:12]})"
        )
        if not force:
            raise UsageError(
                f"{one.folder} and {other.folder} differ in {name}: {others}. What they say "
                "cannot be compared fairly; --force compares the utterances that both heard, with "
                "the rules of the first."
            )
        forced.append(f"they differ in {name}, {others}; the rules of the first count.")
    if one.described["decoding"] != other.described["decoding"]:
        rules = f"{one.described['decoding']} and {other.described['decoding']}"
        if not force:
            raise UsageError(
                f"{one.folder} and {other.folder} were decoded by other rules ({rules}). Evaluate "
                "the older one again into a new folder; --force compares them as they are."
            )
        forced.append(f"they were decoded by other rules, {rules}.")
    references = {row.utterance_id: row.reference for row in one.predictions[CANDIDATE]}
    shared = [
        row
        for row in other.predictions[CANDIDATE]
        if references.get(row.utterance_id) == row.reference
    ]
    if not shared:
        raise UsageError(f"{one.folder} and {other.folder} share no utterance of one reference.")
    described = dict(one.described)
    described["terms"] = one.described.get("terms") or other.described.get("terms")
    described["forced"] = forced
    described["compared"] = {
        "utterances": len(shared),
        "of_candidate": len(one.predictions[CANDIDATE]),
        "of_baseline": len(other.predictions[CANDIDATE]),
    }
    described["models"] = {
        CANDIDATE: one.described["models"][CANDIDATE],
        BASELINE: other.described["models"][CANDIDATE],
    }
    predictions = {CANDIDATE: one.predictions[CANDIDATE], BASELINE: shared}

    def both(ours: Mapping[str, Path], theirs: Mapping[str, Path]) -> dict[str, Path]:
        return {CANDIDATE: ours[CANDIDATE], BASELINE: theirs[CANDIDATE]}

    return replace(
        one,
        described=described,
        predictions=predictions,
        conditions=both(one.conditions, other.conditions),
        streams=both(one.streams, other.streams),
        latency=both(one.latency, other.latency),
    )
