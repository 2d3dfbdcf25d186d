"""Agreement: does the base model hear anything like the transcript of what people said?

Its character error rate above `validation.agreement.maximum_errors` makes a transcript suspect. The
bound is meant for texts that belong to another recording, and must be high: what the base model
cannot understand is what a domain wants to teach it. Whatever the bound, leaving out what the base
model hears worst favours the base model in every comparison that follows, so that a fine-tuned
model never seems better for it; what was left out is listed in quarantine and can be released.

What is not judged: synthetic speech, which says its text by construction, and short texts.

Hearing costs. A clip is first heard in a window of 10 s instead of the 30 s that the base model
knows; only where that does not agree, in all of it. On 292 English prompts the short window took a
quarter of the time and left 3 to be heard again. A verdict against a transcript always rests on the
whole window. What was heard is kept below the cache folder by engine and audio, so that only new
audio is heard, and a killed run goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle import base_engine
from lifecycle.workspace import Workspace
from voiceforge.errors import IntegrityError
from voiceforge.files import storage_errors, write_text
from voiceforge.params import AgreementParams

WINDOWS = (1000, 3000)
"""Mel frames of 10 ms that a clip is padded to, at the first hearing and at the second."""

SECOND_NORMALISER = "whisper-basic"
"""Stands beside the domain's own: the more favourable one counts."""

_LETTERS_A_DIGIT = 8
"""Letters of number words for each digit: "settantotto" is 78, "eight hundred and one" is 801."""

_CHUNK = 64
"""Clips between two savings of what was heard."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What is to be heard: `audio` relative to the corpus folder, `duration` in seconds."""

    id: str
    audio: str
    duration: float
    text: str
    audio_sha256: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A row of agreement.parquet.

    Attributes:
        hypothesis: what the base model's engine heard.
        character_error_rate: against the transcript, both normalised; may pass 1.
        window: mel frames that the clip was padded to when this was heard.
    """

    id: str
    audio_sha256: str
    hypothesis: str
    character_error_rate: float
    window: int


def disagreement(reference: str, hypothesis: str, normaliser: str, language: str) -> float:
    """Character error rate of a hypothesis, as favourable as spelling allows.

    Normalisers write "fifth" as "5th", so that "fift" has every character wrong; the better rate
    of the texts with and without the domain's normaliser counts. Where one text has more digits
    than the other, number words on the other side may stand for them: so many errors are forgiven.

    Args:
        reference, hypothesis: as written.
        normaliser, language: as in `evaluation.text.normalise`.

    Returns:
        0 where they agree; it may pass 1.
    """
    from evaluation.metrics import character_error_rate
    from evaluation.text import normalise

    rates = []
    for name in dict.fromkeys((normaliser, SECOND_NORMALISER)):
        left, right = (normalise(text, name, language) for text in (reference, hypothesis))
        if left:
            forgiven = _LETTERS_A_DIGIT * abs(_digits(left) - _digits(right)) / len(left)
            rates.append(max(0.0, character_error_rate([left], [right]) - forgiven))
    return min(rates, default=0.0)


def judged(text: str, params: AgreementParams, normaliser: str, language: str) -> bool:
    """Whether a transcript is long enough to be judged."""
    from evaluation.text import normalise

    return len(normalise(text, normaliser, language)) >= params.minimum_characters


def hear(
    workspace: Workspace,
    clips: Sequence[Clip],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Heard]:
    """Hear the clips whose transcripts can be judged; a row each, in the order given.

    Raises:
        StageError: the base engine has not been built.
        AudioError: a recording of the corpus cannot be read.
        IntegrityError: what was heard before is damaged.
    """
    domain = workspace.domain
    params, normaliser = domain.validation.agreement, domain.evaluation.normaliser
    clips = [one for one in clips if judged(one.text, params, normaliser, domain.language)]
    if not clips:
        return []
    folder = base_engine.engine_folder(workspace.current(base_engine.STAGE))
    memory = _Memory(_memory_file(workspace.settings.cache, folder))
    done: dict[str, Heard] = {}
    waiting: Sequence[Clip] = clips
    for window in WINDOWS:
        new = [one for one in waiting if (one.audio_sha256, window) not in memory.texts]
        _listen(workspace, folder, window, new, memory, _after(len(clips) - len(new), progress))
        for one in waiting:
            text = memory.texts[one.audio_sha256, window]
            rate = disagreement(one.text, text, normaliser, domain.language)
            done[one.id] = Heard(one.id, one.audio_sha256, text, rate, window)
        waiting = [
            one for one in waiting if done[one.id].character_error_rate > params.maximum_errors
        ]
    return [done[one.id] for one in clips]


def forget_heard(cache: Path, audio: Collection[str]) -> int:
    """Remove what was heard of audio with these sha256 from the cache; returns how many texts."""
    removed = 0
    for path in sorted(_folder(cache).glob("*.jsonl")):
        memory = _Memory(path)
        kept = {key: text for key, text in memory.texts.items() if key[0] not in audio}
        if len(kept) < len(memory.texts):
            removed += len(memory.texts) - len(kept)
            write_text(path, "".join(_line(*key, text) for key, text in kept.items()))
    return removed


def _listen(
    workspace: Workspace,
    folder: Path,
    window: int,
    clips: Sequence[Clip],
    memory: _Memory,
    progress: Callable[[int, int], None],
) -> None:
    from data.audio import read_flac
    from serving.engines import load_engine
    from serving.engines.contracts import DecodingOptions

    if not clips:
        return
    engine = load_engine(folder, threads=workspace.settings.threads)
    engine.description = dataclasses.replace(engine.description, minimum_mel_frames=window)
    size = workspace.domain.evaluation.batch_size
    # Equal audio is heard once; clips of like length make batches with little padding.
    once = {one.audio_sha256: one for one in clips}
    ordered = sorted(once.values(), key=lambda one: (one.duration, one.audio_sha256))
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK]
        texts = []
        for at in range(0, len(chunk), size):
            samples = [read_flac(workspace.corpus / one.audio) for one in chunk[at : at + size]]
            texts += [said.text for said in engine.transcribe(samples, DecodingOptions())]
        memory.add(window, zip((one.audio_sha256 for one in chunk), texts, strict=True))
        progress(start + len(chunk), len(ordered))


def _after(before: int, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Progress of what is left, told as progress of everything."""
    return lambda done, left: progress(before + done, before + left)


class _Memory:
    """What an engine heard: (audio sha256, window) -> text, in a file that only grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[tuple[str, int], str] = {}
        if not path.is_file():
            return
        # Not splitlines(), which also ends a line where a text holds a separator of Unicode.
        *lines, rest = path.read_text().split("\n")
        if rest:  # the run was killed while it wrote this one
            write_text(path, "".join(f"{line}\n" for line in lines))
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                self.texts[str(row["audio"]), int(row["window"])] = str(row["text"])
            except (ValueError, KeyError, TypeError) as error:
                raise IntegrityError(
                    f"{path}, line {number} is damaged ({error}). Delete the file and run again: "
                    "the recordings will be heard anew."
                ) from error

    def add(self, window: int, heard: Iterable[tuple[str, str]]) -> None:
        rows = {(audio, window): text for audio, text in heard}
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as stream:
                stream.write("".join(_line(*key, text) for key, text in rows.items()))
        self.texts.update(rows)


def _line(audio: str, window: int, text: str) -> str:
    row: Mapping[str, Any] = {"audio": audio, "window": window, "text": text}
    return json.dumps(row, ensure_ascii=False) + "\n"


def _folder(cache: Path) -> Path:
    return cache / "heard"


def _memory_file(cache: Path, engine: Path) -> Path:
    from serving.engines import engine_sha256
    from serving.engines.contracts import DECODING_VERSION

    return _folder(cache) / f"{engine_sha256(engine)}-{DECODING_VERSION}.jsonl"


def _digits(text: str) -> int:
    return sum(letter.isdigit() for letter in text)
