"""What evaluation costs, beside the tools that others use.

    python -m benchmarks.evaluation [counting|statistics|predictions] [--pairs 100000] [--write]

`counting` counts the errors of words and characters of so many pairs, as jiwer does and as we do.
`statistics` takes the time of resamples and of everything that is said of 10,000 utterances.
`predictions` takes the time in which a finished domain's held-out speech is heard, by its model in
an evaluation's loop, and by a plain faster-whisper loop with the base weights.
Without a word all parts are measured. --write adds the results to the project's docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import counting, evaluation_predictions, evaluation_significance
from benchmarks.record import Part, measure_parts
from voiceforge.settings import load_settings

_PARTS = ("counting", "statistics", "predictions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("part", nargs="?", choices=_PARTS, help="all without")
    parser.add_argument("--pairs", type=int, default=100_000, help="whose errors are counted")
    parser.add_argument("--model", default="models:/telephony-en@champion", help="that is timed")
    parser.add_argument("--base", default="base:whisper-tiny.en", help="for faster-whisper")
    parser.add_argument(
        "--corpus", type=Path, default=Path("data/corpora/telephony-en"), help="that is heard"
    )
    parser.add_argument("--clips", type=int, default=150, help="of it")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    settings = load_settings()
    parts = {
        "counting": Part(
            "Evaluation: counting errors",
            "python -m benchmarks.evaluation counting",
            lambda: counting.measure(settings.cache, given.pairs),
        ),
        "statistics": Part(
            "Evaluation: statistics",
            "python -m benchmarks.evaluation statistics",
            evaluation_significance.measure,
        ),
        "predictions": Part(
            "Evaluation: predictions",
            "python -m benchmarks.evaluation predictions",
            lambda: evaluation_predictions.measure(
                settings, given.model, given.base, given.corpus, given.clips
            ),
        ),
    }
    chosen = [given.part] if given.part else list(parts)
    measure_parts(parts, chosen, settings.project if given.write else None, given.remark)


if __name__ == "__main__":
    main()
