"""The corpora's numbers, beside what a user would pick instead.

    python -m benchmarks.corpora ingest [--ffmpeg PATH] [--files 5000] [--write]

`ingest` decodes and measures the prompts of five languages, runs FFmpeg on the same files with as
many processes, and ingests a folder of the user's own once, again, and again with 50 new files.
--write adds the result to the project's docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import shutil

import psutil

from benchmarks.ingestion import measure
from benchmarks.record import write_section
from evaluation.runners import machine_name
from voiceforge.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    ingest = commands.add_parser("ingest", help="decoding, beside FFmpeg")
    ingest.add_argument("--ffmpeg", default=shutil.which("ffmpeg"), help="the binary")
    ingest.add_argument("--files", type=int, default=5000, help="of the folder ingested again")
    for command in (ingest,):
        command.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
        command.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    settings = load_settings()
    if given.ffmpeg is None:
        parser.error("there is no ffmpeg on the PATH; give one with --ffmpeg (the package "
                     "imageio-ffmpeg brings a binary)")  # fmt: skip
    rows = measure(settings, given.ffmpeg, given.files)
    for row in rows:
        print(f"{row.name:<58} {row.value:<14} {row.rests_on}")
    if given.write:
        note = (
            f"{datetime.date.today().isoformat()}, {machine_name()}, "
            f"{psutil.virtual_memory().total / 2**30:.0f} GiB, Python "
            f"{platform.python_version()}; `python -m benchmarks.corpora ingest`. {given.remark}"
        ).strip()
        path = settings.project / "docs" / "benchmarks.md"
        write_section(path, "Corpora: ingestion", note, rows)


if __name__ == "__main__":
    main()
