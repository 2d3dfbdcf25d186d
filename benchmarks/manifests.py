"""Operations on a corpus's tables at a million rows: reading, splitting, checking, comparing.

    python -m benchmarks.manifests [--rows 1000000] [--write]

The rows are made up from a seed: texts of about eight words of the language's most frequent ones,
three in five of them said once, by two thousand people. Making them is not measured. Each operation
runs in a process of its own, from files to files, as a stage would; a second split finds every
text, speaker and recording in the ledger and adds one row in a hundred. --write adds the result to
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import platform
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.record import Row, write_section
from data.columns import column, with_splits
from data.diff import diff
from data.ledger import read_ledger, write_ledger
from data.splits import assign, check_splits, split_summary, text_key
from data.tables import read_utterance_table, write_utterance_table
from evaluation.runners import machine_name
from evaluation.text import normaliser
from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, load_settings

_DOMAIN = "telephony-en"
_SPEAKERS = 2000
_ONCE = 0.6
"""Distinct texts, as a share of the rows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    project = load_settings().project
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(Path(folder), project, given.rows))
    for row in rows:
        print(f"{row.name:<58} {row.value:<34} {row.rests_on}")
    if given.write:
        note = (
            f"{datetime.date.today().isoformat()}, {machine_name()}, Python "
            f"{platform.python_version()}; `python -m benchmarks.manifests`."
        )
        write_section(project / "docs" / "benchmarks.md", "Tables of a corpus", note, rows)


def measure(folder: Path, project: Path, count: int) -> Iterator[Row]:
    """Every operation, then their sum and the largest resident set of any."""
    size = f"{count:,} rows"
    _apart(_make, folder, count)
    total, busy, peak = 0.0, 0.0, 0
    for name, work, given in (
        ("read and write a table", _copy, (folder,)),
        ("split anew, write table and ledger", _split, (folder, project, "first")),
        ("split again, 1% more rows", _split, (folder, project, "second")),
        ("check for leaks", _check, (folder, project)),
        ("compare both versions", _compare, (folder,)),
    ):
        seconds, cpu, used = _apart(work, *given)
        total, busy, peak = total + seconds, busy + cpu, max(peak, used)
        yield Row(name, _figures(seconds, cpu, used), size)
    yield Row("all of these", _figures(total, busy, peak), f"{size}, 1 run")


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
    return seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _make(folder: Path, count: int) -> None:
    """Two versions of a corpus: the later has one row in a hundred more, some others corrected."""
    import numpy as np
    import pyarrow as pa

    from data.utterance import Utterance

    words = _words()
    generator = np.random.default_rng(20)
    lengths = np.clip(generator.poisson(8, count), 1, 20)
    # Zipf's law, as real texts have it
    weights = 1 / np.arange(2, len(words) + 2)
    drawn = generator.choice(len(words), int(lengths.sum()), p=weights / weights.sum())
    cuts = np.cumsum(lengths)[:-1]
    distinct = int(count * _ONCE)
    pool = [
        " ".join(words[at] for at in part).capitalize() + "."
        for part in np.split(drawn, cuts)[:distinct]
    ]
    seeded = random.Random(20)
    texts = [*pool, *(seeded.choice(pool) for _ in range(count - distinct))]
    hashes = [f"{seeded.getrandbits(256):064x}" for _ in range(count)]
    fields: dict[str, list[Any]] = {
        "id": [f"folder-recordings-clip-{at:07d}" for at in range(count)],
        "audio": [f"audio/{name[:2]}/{name}.flac" for name in hashes],
        "duration": generator.gamma(4, 1.2, count).round(3).tolist(),
        "text": texts,
        "language": ["en"] * count,
        "accent": [("en-us", "en-gb", "en-in")[at % 3] for at in range(count)],
        "speaker": [f"folder:person {at * 7919 % _SPEAKERS}" for at in range(count)],
        "domain": ["bench"] * count,
        "source": ["folder:recordings"] * count,
        "licence": ["CC0-1.0"] * count,
        "consent": ["granted"] * count,
        "split": [""] * count,
        "is_synthetic": [False] * count,
        "audio_sha256": hashes,
    }
    names = list(Utterance.__dataclass_fields__)
    whole = pa.table([pa.array(fields.pop(name)) for name in names], names=names)
    not_null = pa.schema([pa.field(one.name, one.type, nullable=False) for one in whole.schema])
    whole = whole.cast(not_null)
    write_utterance_table(folder / "first.parquet", whole.slice(0, count - count // 100))
    for at in range(0, count, 1000):
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


def _split(folder: Path, project: Path, version: str) -> None:
    """What the splits stage does: assign, extend the ledger, write the table, sum it up."""
    table = read_utterance_table(folder / f"{version}.parquet")
    params = load_params(project / PARAMS_FILE)[_DOMAIN].splits
    made = assign(table, params, {}, _same(), read_ledger(folder / "splits.csv"))
    write_ledger(folder / "splits.csv", made.ledger)
    table = with_splits(table, made.splits)
    split_summary(table)
    write_utterance_table(folder / f"{version}-split.parquet", table)


def _check(folder: Path, project: Path) -> None:
    table = read_utterance_table(folder / "second-split.parquet")
    params = load_params(project / PARAMS_FILE)[_DOMAIN].splits
    problems = check_splits(table, params, {}, _same(), read_ledger(folder / "splits.csv"))
    assert not problems, problems[:3]


def _compare(folder: Path) -> None:
    first = read_utterance_table(folder / "first-split.parquet")
    found = diff(first, read_utterance_table(folder / "second-split.parquet"))
    assert found.added and found.changed and not found.removed and not found.crossed
    assert found.unchanged + len(found.changed) == len(column(first, "id"))


def _same() -> Callable[[str], str]:
    """What makes two texts one in an English domain, as `lifecycle.splits.same_text` has it."""
    scored = normaliser("whisper-english", "en")
    return lambda text: text_key(scored(text)) or text_key(text)


if __name__ == "__main__":
    main()
