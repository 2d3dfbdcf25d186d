"""NIST's own tools run, and a machine without them fails its tests with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sclite import Sctk, fetch_sctk, trn


def test_sclite_counts_the_errors_of_an_utterance(sctk: Sctk, tmp_path: Path) -> None:
    (tmp_path / "reference").write_text(trn(["a b c", "d e"]))
    (tmp_path / "hypothesis").write_text(trn(["a x c", "d e f"]))
    files = ("-r", "reference", "trn", "-h", "hypothesis", "trn", "-i", "rm")
    text = sctk.run("sclite", *files, "-o", "sgml", "stdout", "-f", "0", folder=tmp_path)
    assert 'C,"a","a":S,"b","x":C,"c","c"' in text
    assert 'C,"d","d":C,"e","e":I,,"f"' in text


def test_a_machine_that_cannot_fetch_sclite_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=r"no apt-get.*Debian mirror"):
        fetch_sctk(tmp_path)
    assert not (tmp_path / "tools" / "sctk").exists()
