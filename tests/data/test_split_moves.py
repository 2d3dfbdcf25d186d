"""Whatever happens to a corpus, no utterance moves between train, dev and test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from data.gate import Gate, gate_problems, leaks, new_gate, seal
from data.ledger import Ledger, read_ledger, speaker_id, text_id, write_ledger
from data.splits import assign, check_splits, text_key
from data.utterance import Split, Utterance
from voiceforge.params import SplitParams

DECLARED: dict[str, Split] = {"robot-1": "train", "robot-2": "dev", "robot-3": "test"}
HEARD = ("train", "dev", "test")
TEXTS = [f"{word} {number}" for number in range(12) for word in ("press one for", "press 1 for")]
SOURCES = ("folder:a", "folder:b", "folder:c")
SPEAKERS = [f"{source}:{name}" for source in SOURCES for name in "pqrstuv"] + ["folder:a:p"]


def same(text: str) -> str:
    """Two spellings of one text."""
    return text_key(text.replace("one", "1"))


class Moves(RuleBasedStateMachine):
    """A corpus that people add to, take from, correct and configure, run by run."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "splits.csv"
        self.params = SplitParams(train=0.5, dev=0.2, test=0.3, minimum_speakers=4, seed=3)
        self.rows: dict[str, Utterance] = {}
        self.removed: dict[str, Utterance] = {}
        self.heard: dict[str, str] = {}
        self.gates: list[Gate] = []
        self.sealed: list[Utterance] = []
        self.made = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(
        pairs=st.lists(
            st.tuples(st.sampled_from(TEXTS), st.sampled_from(SPEAKERS)), min_size=4, max_size=25
        )
    )
    def begin(self, pairs: list[tuple[str, str]]) -> None:
        for text, speaker in pairs:
            self._add(text, speaker)
        self._run()

    @rule(
        pairs=st.lists(
            st.tuples(st.sampled_from(TEXTS), st.sampled_from([*SPEAKERS, *DECLARED])),
            min_size=1,
            max_size=12,
        )
    )
    def add(self, pairs: list[tuple[str, str]]) -> None:
        for text, speaker in pairs:
            self._add(text, speaker)
        self._run()

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        for name in data.draw(st.sets(st.sampled_from(sorted(self.rows) or [""]), max_size=8)):
            if name in self.rows:
                self.removed[name] = self.rows.pop(name)
        self._run()

    @rule(source=st.sampled_from(SOURCES))
    def remove_a_source(self, source: str) -> None:
        for name in [name for name, row in self.rows.items() if row.source == source]:
            self.removed[name] = self.rows.pop(name)
        self._run()

    @rule()
    def bring_all_back(self) -> None:
        self.rows |= self.removed
        self.removed = {}
        self._run()

    @rule(data=st.data(), text=st.sampled_from(TEXTS))
    def correct(self, data: st.DataObject, text: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.rows) or [""]))
        if name in self.rows:
            self.rows[name] = replace(self.rows[name], text=text)
        self._run()

    @rule(data=st.data(), text=st.sampled_from(TEXTS), speaker=st.sampled_from(SPEAKERS))
    def add_a_recording_again(self, data: st.DataObject, text: str, speaker: str) -> None:
        """The same audio under another id, text and speaker."""
        name = data.draw(st.sampled_from(sorted(self.rows) or [""]))
        if name in self.rows:
            self._add(text, speaker, audio=self.rows[name].audio_sha256)
        self._run()

    @rule(data=st.data(), number=st.integers(0, 3))
    def rename_a_speaker(self, data: st.DataObject, number: int) -> None:
        known = sorted({row.speaker for row in self.rows.values()} - set(DECLARED))
        old = data.draw(st.sampled_from(known or [""]))
        for name, row in self.rows.items():
            if row.speaker == old:
                self.rows[name] = replace(row, speaker=f"{row.source}:renamed {number}")
        self._run()

    @rule(
        shares=st.sampled_from([(0.5, 0.2, 0.3), (0.1, 0.1, 0.8), (1.0, 0.0, 0.0)]),
        minimum=st.integers(1, 6),
    )
    def configure(self, shares: tuple[float, float, float], minimum: int) -> None:
        train, dev, test = shares
        self.params = SplitParams(
            train=train, dev=dev, test=test, minimum_speakers=minimum, seed=self.params.seed
        )
        self._run()

    @rule()
    def freeze(self) -> None:
        previous = self.gates[-1] if self.gates else None
        rows = self._assigned()
        members = [row.id for row in rows if row.split == "test"]
        if members and (previous is None or sorted(members) != [m.id for m in previous.members]):
            self.gates.append(
                new_gate(
                    rows, name="d", same=same, previous=previous, frozen_at="2026-01-01",
                    frozen_by="a test", reason="to see",
                )
            )  # fmt: skip
        self._run()

    @invariant()
    def nothing_moves(self) -> None:
        for row in self.sealed:
            if row.split in HEARD:
                for what in (f"id {row.id}", f"audio {row.audio_sha256}"):
                    assert self.heard.setdefault(what, row.split) == row.split, what

    @invariant()
    def nothing_leaks(self) -> None:
        ledger = read_ledger(self.path)
        problems = check_splits(self.sealed, self.params, DECLARED, same, ledger)
        assert [problem for problem in problems if "is empty" not in problem] == []
        assert leaks(self.sealed, self.gates, same) == []

    @invariant()
    def test_is_the_gate_as_far_as_it_is_there(self) -> None:
        if not self.gates:
            return
        frozen = {member.id: member for member in self.gates[-1].members}
        assert {row.id for row in self.sealed if row.split == "test"} <= set(frozen)
        there = all(
            name in self.rows
            and self.rows[name].audio_sha256 == member.audio_sha256
            and text_id(text_key(self.rows[name].text)) == member.text
            for name, member in frozen.items()
        )
        # A member renamed to somebody who trains cannot stay in test.
        renamed = any(
            name in self.rows and speaker_id(self.rows[name].speaker) != member.speaker
            for name, member in frozen.items()
        )
        sound = gate_problems(self.sealed, self.gates[-1]) == []
        assert sound == there or (renamed and not sound)

    def _add(self, text: str, speaker: str, audio: str = "") -> None:
        self.made += 1
        source = "espeak" if speaker in DECLARED else speaker.rpartition(":")[0]
        self.rows[f"u{self.made:03d}"] = Utterance(
            id=f"u{self.made:03d}", audio="", duration=1.0, text=text, language="en", accent="en",
            speaker=speaker, domain="d", source=source, licence="unknown", consent="unknown",
            split="", is_synthetic=speaker in DECLARED,
            audio_sha256=audio or f"recording {self.made}",
        )  # fmt: skip

    def _assigned(self) -> list[Utterance]:
        """A run: the ledger is read, extended and written."""
        rows = [self.rows[name] for name in sorted(self.rows)]
        ledger = read_ledger(self.path) or Ledger(self.params.seed)
        made = assign(rows, self.params, DECLARED, same, ledger)
        write_ledger(self.path, made.ledger)
        assert read_ledger(self.path) == made.ledger
        for kind in ("texts", "speakers", "audio"):
            assert getattr(ledger, kind).items() <= getattr(made.ledger, kind).items()
        return [replace(row, split=split) for row, split in zip(rows, made.splits, strict=True)]

    def _run(self) -> None:
        rows = self._assigned()
        splits = [row.split for row in rows]
        if self.gates:
            sealed = seal(rows, splits, self.gates[-1])
            assert sealed.waiting == splits.count("test") - sealed.splits.count("test")
            splits = sealed.splits
        self.sealed = [replace(row, split=split) for row, split in zip(rows, splits, strict=True)]


TestMoves = Moves.TestCase
TestMoves.settings = settings(max_examples=40, stateful_step_count=20)
