"""What `voiceforge corpus diff` prints of the difference that it found."""

from __future__ import annotations

import pytest

from cli.corpus_diff import _print
from data.diff import Diff, DiffRow, Move


def test_what_crossed_between_train_dev_and_test_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits, crossed = Move("b", "train", "left-out"), Move("a", "train", "test")
    _print(Diff((), (), (), (waits,), 3, ()), "old", "new")
    said = capsys.readouterr()
    assert "b (train → left-out)" in said.out and said.err == ""
    _print(Diff((), (), (), (crossed, waits), 3, ()), "old", "new")
    said = capsys.readouterr()
    assert "Warning: 1: a (train → test) crossed between train, dev and test." in said.err
    assert "left-out" not in said.err


def test_splits_are_a_column_only_where_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    def said(split: str) -> str:
        row = DiffRow("folder:a", "en", split, 3, 4, 60.0, 90.0)
        _print(Diff((), (), (), (), 3, (row,)), "old", "new", "As [built].")
        return capsys.readouterr().out

    assert "split" in said("train") and "train" in said("train")
    bare = said("")
    assert "split" not in bare and "3 → 4" in bare and "As [built]." in bare.splitlines()
