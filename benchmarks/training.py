"""The recipe's numbers: what fine-tuning wins, what it forgets, and what it costs.

    python -m benchmarks.training [speech|throughput|memory] [--domain D] [--project FOLDER]
        [--base FOLDER --merged FOLDER] [--words 600] [--heard TSV] [--steps 40] [--write]

`speech` compares the base model with the fine-tuned one on speech that neither was trained on:
held-out accents, the domain's own people, readings by people of other packages, each speaker, a
natural synthetic voice, and for a multilingual model other languages. Both are heard through their
engines, the base model padded to the 30 s that it knows, as the lifecycle does. `throughput` trains
with the recipe and again with every batch padded to 30 s, and prints speech per second, dev word
error rate and memory of both. `memory` trains a model of whisper-small's shape on a multilingual
domain. --project names a clone whose finished domain is measured; --base and
--merged name Hugging Face folders to measure instead of the finished domain's models. Without a
word the first two are done. --write adds the results to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import training_memory, training_speech, training_throughput
from benchmarks.record import Part, measure_parts
from lifecycle.workspace import open_workspace
from voiceforge.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("part", nargs="?", choices=("speech", "throughput", "memory"))
    parser.add_argument("--domain", default="telephony-en")
    parser.add_argument("--project", type=Path, help="where the finished domain is; here without")
    parser.add_argument("--base", type=Path, help="folder of the base model, with --merged")
    parser.add_argument("--merged", type=Path, help="folder of the merged model, with --base")
    parser.add_argument("--words", type=int, default=600, help="of a set, accent or language")
    parser.add_argument("--heard", type=Path, help="TSV of what both models heard, for speech")
    parser.add_argument("--steps", type=int, default=40, help="of each training")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    if (given.base is None) != (given.merged is None):
        parser.error("give both --base and --merged, or neither")
    here = load_settings()
    finished = here if given.project is None else load_settings({}, given.project.resolve())
    workspace = open_workspace(given.domain, finished)
    models = None if given.base is None else (given.base, given.merged)
    command = "python -m benchmarks.training {} --domain " + given.domain
    parts = {
        "speech": Part(
            f"Training: what {given.domain} wins and forgets",
            command.format("speech"),
            lambda: training_speech.measure(workspace, here, models, given.words, given.heard),
        ),
        "throughput": Part(
            f"Training: throughput of {given.domain}",
            command.format("throughput"),
            lambda: training_throughput.measure(workspace, given.steps),
        ),
        "memory": Part(
            "Training: memory of whisper-small",
            command.format("memory"),
            lambda: training_memory.measure(workspace, given.steps),
        ),
    }
    chosen = [given.part] if given.part else ["speech", "throughput"]
    measure_parts(parts, chosen, here.project if given.write else None, given.remark)


if __name__ == "__main__":
    main()
