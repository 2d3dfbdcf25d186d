"""Write the README's figures from results/DOMAIN, so that no figure is typed by hand.

    python -m benchmarks.readme

Replaces what stands between `<!-- figures -->` and `<!-- /figures -->`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceforge.files import read_json, write_text
from voiceforge.params import domain_params
from voiceforge.settings import PARAMS_FILE

_PROJECT = Path(__file__).resolve().parent.parent
_DOMAIN = "telephony-en"
_BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)


def main() -> None:
    readme = _PROJECT / "README.md"
    confidence = domain_params(_PROJECT / PARAMS_FILE, _DOMAIN).evaluation.confidence
    table = figures(_PROJECT / "results" / _DOMAIN, confidence)
    text, replaced = _BLOCK.subn(lambda match: f"{match[1]}{table}{match[2]}", readme.read_text())
    if replaced != 1:
        raise SystemExit("README.md must hold the figures' markers once.")
    write_text(readme, text)


def figures(results: Path, confidence: float) -> str:
    """The table of word error rates, and one line on speed and verdict, as Markdown.

    Args:
        results: folder of the domain's results.
        confidence: of the intervals in them, the domain's `evaluation.confidence`.
    """
    metrics, decided = read_json(results / "metrics.json"), read_json(results / "certificate.json")
    trained = read_json(results / "adapter.json")
    lines = [
        "| held-out speech | base model | fine-tuned | difference in points | words |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [_row(name, part) for name, part in metrics["accuracy"].items() if "base" in part]
    latency = metrics["latency"]
    lines += [
        "",
        f"Word error rates with {100 * confidence:g}% intervals. The padded base model "
        f"({latency['clips']} timed clips: p50 {latency['base_p50_seconds']:.2f} s) hears a "
        "stratified sample of the synthetic accents and every human prompt; the "
        f"difference is on the words that both heard. The fine-tuned engine takes "
        f"p50 {latency['p50_seconds']:.3f} s a clip; in audio a second it does "
        f"{latency['speedup']:.1f} times the base model's one clip at a time and "
        f"{latency['speedup_batch']:.1f} times in batches ({latency['machine']}). Training took "
        f"{trained['seconds'] / 60:.1f} minutes. Verdict of the certificate: "
        f"**{decided['verdict']}**, {len(decided['gates'])} gates.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, part: Mapping[str, Any]) -> str:
    return (
        f"| {name} | {_interval(part, 'base', 'base_low', 'base_high')} "
        f"| {_interval(part, 'word_error_rate', 'low', 'high')} "
        f"| {100 * part['difference']:+.1f} [{100 * part['difference_low']:+.1f}, "
        f"{100 * part['difference_high']:+.1f}] | {part['compared_words']:,} / {part['words']:,} |"
    )


def _interval(part: Mapping[str, Any], value: str, low: str, high: str) -> str:
    return f"{100 * part[value]:.1f}% [{100 * part[low]:.1f}, {100 * part[high]:.1f}]"


if __name__ == "__main__":
    main()
