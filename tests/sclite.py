"""NIST's scoring toolkit (SCTK): its sclite and sc_stats, by which the field has compared itself.

Debian's package `sctk` is fetched once into the shared cache by apt-get, which checks its sha256
against Debian's signed lists, and unpacked there without root; the folder is sealed with the
sha256 of its files. Where it cannot be had the tests that need it fail and say why.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from data.catalogue import Debian, File
from data.downloads import Unavailable, from_debian
from data.fetch import locked
from data.sealed import check_sealed, seal, sealed_facts
from voiceforge.files import new_folder

_PACKAGE = Debian((File("sctk"),))
_TIMEOUT = 30.0  # seconds without a byte from the mirror
_UTTERANCE = re.compile(r"^id: \((\S+)\)$", re.M)
_SCORES = re.compile(r"^Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)$", re.M)


@dataclass(frozen=True)
class Sctk:
    """The toolkit's programs, in one folder."""

    programs: Path

    def run(self, program: str, *arguments: str, folder: Path, standard_input: str = "") -> str:
        """What a program writes to standard output, run in `folder`; it must succeed."""
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=folder,
            input=standard_input.encode(),
            capture_output=True,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        assert done.returncode == 0, (
            f"{program} {' '.join(arguments)} ended with {done.returncode}: "
            f"{text[-2000:]} {done.stderr.decode(errors='replace')[-2000:]}"
        )
        return text


def trn(texts: Sequence[str], speakers: Sequence[str] | None = None) -> str:
    """Texts in the form `trn`: one a line, its utterance's name `(speaker-number)` behind it.

    Args:
        texts: normalised texts; words must hold none of `( ) { } / @ ; *`, which sclite reads as
            its own marks.
        speakers: of each text, letters and digits only; all texts are of speaker `s` without.
    """
    named = speakers or ["s"] * len(texts)
    return "".join(
        f"{text} ({speaker}-{number:06d})\n"
        for number, (text, speaker) in enumerate(zip(texts, named, strict=True))
    )


def counts_of_sclite(
    sctk: Sctk, references: Sequence[str], hypotheses: Sequence[str], *, folder: Path
) -> npt.NDArray[np.int64]:
    """What sclite says of each utterance, [n, 4]: substitutions, deletions, insertions, hits."""
    (folder / "reference").write_text(trn(references))
    (folder / "hypothesis").write_text(trn(hypotheses))
    files = ("-r", "reference", "trn", "-h", "hypothesis", "trn", "-i", "rm", "-e", "utf-8")
    said = sctk.run("sclite", *files, "-o", "pra", "stdout", folder=folder)
    names, scores = _UTTERANCE.findall(said), _SCORES.findall(said)
    assert len(names) == len(scores) == len(references)
    table = np.zeros((len(names), 4), dtype=np.int64)
    for name, (hits, changed, missing, added) in zip(names, scores, strict=True):
        table[int(name.split("-")[1])] = int(changed), int(missing), int(added), int(hits)
    return table


@pytest.fixture(scope="session")
def sctk(cache: Path) -> Sctk:
    """Debian's sctk, from the shared cache or fetched into it."""
    return fetch_sctk(cache)


def fetch_sctk(cache: Path) -> Sctk:
    """The package unpacked below a cache folder; the test fails where it cannot be had."""
    folder = cache / "tools" / "sctk"
    with locked(cache, "sctk"):
        if sealed_facts(folder) is None:
            try:
                with new_folder(folder) as new:
                    with tempfile.TemporaryDirectory(dir=new) as work:
                        from_debian(_PACKAGE, new, Path(work), _TIMEOUT, print)
                    seal(new, {"name": "sctk", "source": _PACKAGE.title})
            except Unavailable as reason:
                pytest.fail(
                    f"NIST's sclite could not be fetched as Debian's package sctk: {reason}. Check "
                    "that apt-get reaches a Debian mirror, or copy the folder "
                    f"{folder} from a machine that has it.",
                    pytrace=False,
                )
        check_sealed(folder)
    return Sctk(folder / "usr/lib/sctk/bin")
