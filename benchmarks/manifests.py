"""Operations on a corpus's tables at a million rows: splitting, validating, comparing and more.

The rows are made up from a seed: texts of about eight words of the language's most frequent ones,
three in five of them said once, by two thousand people. Making them is not measured. Each operation
runs in a process of its own, from files to files, as a stage would; a second split finds every
text, speaker and recording in the ledger and adds one row in a hundred. Validation is that without
audio: rules of schema, texts, durations and copies.
"""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.record import Row
from data.columns import column, with_splits
from data.diff import diff
from data.ledger import read_ledger, write_ledger
from data.splits import assign, check_splits, split_summary
from data.tables import read_utterance_table, write_rejects, write_utterance_table
from lifecycle.ledgers import same_text
from lifecycle.workspace import open_workspace
from voiceforge.memory import peak_memory

_DOMAIN = "telephony-en"
_SPEAKERS = 2000
_ONCE = 0.6
"""Distinct texts, as a share of the rows."""


def measure(count: int) -> Iterator[Row]:
    """Every operation, and what splitting, validating and comparing take together.

    Args:
        count: rows of the first version; the second has one in a hundred more.
    """
    with tempfile.TemporaryDirectory() as made:
        folder, size = Path(made), f"{count:,} rows"
        _apart(_make, folder, count)
        taken: list[tuple[float, float, int]] = []
        for name, work, given, asked in (
            ("read and write a table", _copy, (folder,), False),
            ("split anew, write table and ledger", _split, (folder, "first"), True),
            ("split again, 1% more rows", _split, (folder, "second"), False),
            ("check for leaks", _check, (folder,), False),
            ("validate without audio", _validate, (folder,), True),
            ("compare both versions", _compare, (folder,), True),
        ):
            figures = _apart(work, *given)
            yield Row(name, _figures(*figures), size)
            if asked:
                taken.append(figures)
        seconds, cpu, used = zip(*taken, strict=True)
        total = _figures(sum(seconds), sum(cpu), max(used))
        yield Row("split anew, validate and compare, one after another", total, size)


def _figures(seconds: float, cpu: float, used: int) -> str:
    return f"{seconds:.1f} s ({cpu:.1f} s of CPU), {used / 1e9:.2f} GB"


def _apart(work: Callable[..., object], *given: Any) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak resident bytes of some work in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, given).result()


def _measured(work: Callable[..., object], given: tuple[Any, ...]) -> tuple[float, float, int]:
    began, busy = time.perf_counter(), time.process_time()
    work(*given)
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    return seconds, cpu, peak_memory()


def _make(folder: Path, count: int) -> None:
    """Two versions of a corpus: the later has one row in a hundred more, some others corrected."""
    import numpy as np
    import pyarrow as pa

    from data.utterance import Utterance

    every = count + count // 100
    words = _words()
    generator = np.random.default_rng(20)
    lengths = np.clip(generator.poisson(8, every), 1, 20)
    # Zipf's law, as real texts have it
    weights = 1 / np.arange(2, len(words) + 2)
    drawn = generator.choice(len(words), int(lengths.sum()), p=weights / weights.sum())
    cuts = np.cumsum(lengths)[:-1]
    distinct = int(every * _ONCE)
    pool = [
        " ".join(words[at] for at in part).capitalize() + "."
        for part in np.split(drawn, cuts)[:distinct]
    ]
    seeded = random.Random(20)
    texts = [*pool, *(seeded.choice(pool) for _ in range(every - distinct))]
    hashes = [f"{seeded.getrandbits(256):064x}" for _ in range(every)]
    fields: dict[str, list[Any]] = {
        "id": [f"folder-recordings-clip-{at:07d}" for at in range(every)],
        "audio": [f"audio/{name[:2]}/{name}.flac" for name in hashes],
        "duration": generator.gamma(4, 1.2, every).round(3).tolist(),
        "text": texts,
        "language": ["en"] * every,
        "accent": [("en-us", "en-gb", "en-in")[at % 3] for at in range(every)],
        "speaker": [f"folder:person {at * 7919 % _SPEAKERS}" for at in range(every)],
        "domain": ["bench"] * every,
        "source": ["folder:recordings"] * every,
        "licence": ["CC0-1.0"] * every,
        "consent": ["granted"] * every,
        "split": [""] * every,
        "is_synthetic": [False] * every,
        "audio_sha256": hashes,
    }
    names = list(Utterance.__dataclass_fields__)
    whole = pa.table([pa.array(fields.pop(name)) for name in names], names=names)
    not_null = pa.schema([pa.field(one.name, one.type, nullable=False) for one in whole.schema])
    whole = whole.cast(not_null)
    write_utterance_table(folder / "first.parquet", whole.slice(0, count))
    for at in range(0, every, 1000):
        texts[at] += " please"
    changed = whole.set_column(names.index("text"), not_null.field("text"), pa.array(texts))
    write_utterance_table(folder / "second.parquet", changed)


def _words() -> list[str]:
    """Words from most to least frequent: OpenAI's list of spellings after the commonest ones."""
    from whisper_normalizer.english import EnglishSpellingNormalizer

    common = (
        "the to and of a in is it you that he was for on are with as I his they be at one have "
        "this from or had by not but what some we can out other were all there when up use your "
        "how said an each she which do their time if will way about many then them write would "
        "like so these her long make thing see him two has look more day could go come did number "
        "sound no most people my over know water than call first who may down side been now find "
        "don't it's can't I'm won't Mr. Dr. twenty hundred second please thank extension press"
    )
    return [*common.split(), *EnglishSpellingNormalizer().mapping]


def _copy(folder: Path) -> None:
    table = read_utterance_table(folder / "first.parquet")
    write_utterance_table(folder / "copy.parquet", table)


def _split(folder: Path, version: str) -> None:
    """What the splits stage does: assign, extend the ledger, write the table, sum it up."""
    table = read_utterance_table(folder / f"{version}.parquet")
    workspace = open_workspace(_DOMAIN)
    same = same_text(workspace)
    made = assign(table, workspace.domain.splits, {}, same, read_ledger(folder / "splits.csv"))
    write_ledger(folder / "splits.csv", made.ledger)
    table = with_splits(table, made.splits)
    split_summary(table)
    write_utterance_table(folder / f"{version}-split.parquet", table)


def _check(folder: Path) -> None:
    table = read_utterance_table(folder / "second-split.parquet")
    workspace, ledger = open_workspace(_DOMAIN), read_ledger(folder / "splits.csv")
    problems = check_splits(table, workspace.domain.splits, {}, same_text(workspace), ledger)
    assert not problems, problems[:3]


def _validate(folder: Path) -> None:
    """What the validation stage does where nothing was measured or heard."""
    from data.validation import summarise, validate
    from data.validation_columns import join_frame

    frame = join_frame(read_utterance_table(folder / "first.parquet"), None, name=_DOMAIN)
    params = open_workspace(_DOMAIN).domain.validation
    verdict = validate(frame, params, name=_DOMAIN, docs=folder / "data_docs")
    summary = summarise(frame[verdict.accepted], verdict.rejects, verdict.released)
    del frame
    table = read_utterance_table(folder / "first.parquet")
    write_utterance_table(folder / "accepted.parquet", table.filter(verdict.accepted))
    write_rejects(folder / "quarantine.parquet", verdict.rejects)
    assert 0 < summary["utterances"] == len(table) - summary["quarantined"] < len(table), summary


def _compare(folder: Path) -> None:
    first = read_utterance_table(folder / "first-split.parquet")
    found = diff(first, read_utterance_table(folder / "second-split.parquet"))
    assert found.added and found.changed and not found.removed and not found.crossed
    assert found.unchanged + len(found.changed) == len(column(first, "id"))
