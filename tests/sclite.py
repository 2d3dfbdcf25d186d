"""NIST's scoring toolkit (SCTK): its sclite and sc_stats, by which the field has compared itself.

Debian's package `sctk` is fetched once into the shared cache by apt-get, which checks its sha256
against Debian's signed lists, and unpacked there without root; the folder is sealed with the
sha256 of its files. Where it cannot be had the tests that need it fail and say why.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from data.catalogue import Debian, File
from data.downloads import Unavailable, from_debian
from data.fetch import locked
from data.sealed import check_sealed, seal, sealed_facts
from voiceforge.files import new_folder

_PACKAGE = Debian((File("sctk"),))
_TIMEOUT = 30.0  # seconds without a byte from the mirror


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


@pytest.fixture(scope="session")
def sctk(cache: Path) -> Sctk:
    """Debian's sctk, from the shared cache or fetched into it."""
    return Sctk(fetch_sctk(cache) / "usr/lib/sctk/bin")


def fetch_sctk(cache: Path) -> Path:
    """The unpacked package below a cache folder; the test fails where it cannot be had."""
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
    return folder
