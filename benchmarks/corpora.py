"""The corpora's numbers, beside what a user would pick instead.

    python -m benchmarks.corpora [ingest|manifests] [--ffmpeg PATH] [--files 5000]
                                 [--rows 1000000] [--write]

`ingest` decodes, measures and validates the prompts of five languages, runs FFmpeg on the same
files with as many processes, and ingests a folder of the user's own once, again, and again with 50
new files. `manifests` splits, validates and compares tables of a million rows. Without either word
both are done. --write adds the results to the project's docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import shutil

from benchmarks import ingestion, manifests
from benchmarks.record import Part, measure_parts
from voiceforge.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("part", nargs="?", choices=("ingest", "manifests"), help="both without")
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"), help="the binary, for ingest")
    parser.add_argument("--files", type=int, default=5000, help="of the folder ingested again")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the tables")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    settings = load_settings()
    if given.ffmpeg is None and given.part != "manifests":
        parser.error("there is no ffmpeg on the PATH; give one with --ffmpeg (the package "
                     "imageio-ffmpeg brings a binary)")  # fmt: skip
    parts = {
        "ingest": Part(
            "Corpora: ingestion",
            "python -m benchmarks.corpora ingest",
            lambda: ingestion.measure(settings, given.ffmpeg, given.files),
        ),
        "manifests": Part(
            "Corpora: tables",
            "python -m benchmarks.corpora manifests",
            lambda: manifests.measure(given.rows),
        ),
    }
    chosen = [given.part] if given.part else list(parts)
    measure_parts(parts, chosen, settings.project if given.write else None, given.remark)


if __name__ == "__main__":
    main()
