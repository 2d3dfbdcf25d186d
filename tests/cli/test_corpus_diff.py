"""What `voiceforge corpus diff` prints of the difference that it found."""

from __future__ import annotations

import pytest

from cli.corpus_diff import _print
from data.diff import Diff, Move


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
