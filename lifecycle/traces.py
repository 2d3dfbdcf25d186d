"""What of a domain's artifacts and models holds a speaker, or learned from one.

Tables name speakers; everything else is found by lineage: an adapter's manifest names the splits
and the replayed speech it was trained on, a model version's tags and a certificate's summary
likewise. Before such a table is deleted, the speakers of its sides are kept as hashes, so that a
later question about another speaker still finds its answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifecycle import (
    adapter,
    certificate,
    predictions,
    replay,
    reports,
    signal_to_noise,
    splits,
)
from lifecycle.artifacts import MANIFEST, Artifact
from lifecycle.workspace import Workspace
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from data.forgotten import Forgotten
    from serving.registry import Registry

Learned = Literal["yes", "possibly"]
"""Whether a model was trained on the speaker; "possibly" where the corpus held them and the splits
it was trained on are gone."""

_SPLITS_TAG, _REPLAY_TAG, _CORPUS_TAG = "splits_sha256", "replay_sha256", "corpus_md5"
_HEARD = (splits.STAGE, replay.STAGE)
"""Whose tables say who was trained on."""
_EXAMPLES = ("worst", "losses")
_TABLES = ("utterances.parquet", "quarantine.parquet", predictions.TABLE)


@dataclass(frozen=True)
class Traces:
    """What a speaker left in a domain. Holds no names: it is written down.

    Attributes:
        remove: artifacts that hold the speaker's words, `STAGE/KEY`, to be deleted.
        adapters: key of an adapter -> whether it learned from the speaker.
        versions: model version -> likewise.
        champions: those of them that are champion.
        certificates: key of a certificate -> what it has to do with the speaker: "tested", where
            its held-out set has their recordings, else "model", where its model learned from them.
    """

    remove: tuple[str, ...] = ()
    adapters: Mapping[str, Learned] = field(default_factory=dict)
    versions: Mapping[str, Learned] = field(default_factory=dict)
    champions: tuple[str, ...] = ()
    certificates: Mapping[str, Literal["tested", "model"]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.remove or self.adapters or self.versions or self.certificates)

    def merged(self, earlier: Mapping[str, Any]) -> Traces:
        """Together with what was written before a kill: what was removed is found no more."""

        def surest(name: str, new: Mapping[str, Any], best: str) -> dict[str, Any]:
            old = earlier.get(name, {})
            return {
                key: best if best in (new.get(key), old.get(key)) else new.get(key) or old[key]
                for key in sorted({*new, *old})
            }

        return Traces(
            remove=tuple(sorted({*self.remove, *earlier.get("remove", ())})),
            adapters=surest("adapters", self.adapters, "yes"),
            versions=surest("versions", self.versions, "yes"),
            champions=tuple(sorted({*self.champions, *earlier.get("champions", ())})),
            certificates=surest("certificates", self.certificates, "tested"),
        )


def find_traces(
    workspace: Workspace,
    registry: Registry | None,
    speaker: str,
    forgotten: Forgotten,
    ids: Collection[str],
    corpora: Collection[str],
) -> Traces:
    """Look through every artifact and model version of a domain.

    Args:
        registry: None where no model was ever registered.
        speaker: the id.
        ids: utterances known to be the speaker's; those of tables found here are added.
        corpora: DVC's md5 of corpus versions that held the speaker.
    """
    from serving.registry import CHAMPION

    store, domain = workspace.store, workspace.domain.name
    tables = list(_tables(workspace))
    theirs = {*ids, *(name for table in tables for name in table.ids_of(speaker, forgotten))}
    held = [table for table in tables if table.holds(theirs)]
    remove = {table.name for table in held}
    words = {table.sha256 for table in held if table.stage == predictions.STAGE}
    for stage in (reports.ACCURACY, reports.ACCENT):
        for report in store.history(domain, stage):
            if words & set(report.inputs.values()):  # they quote what was heard worst
                remove.add(f"{stage}/{report.key}")
    heard = {table.sha256 for table in held if table.stage == splits.STAGE}
    for measured in store.history(domain, signal_to_noise.STAGE):  # it names their utterances
        if heard & set(measured.inputs.values()):
            remove.add(f"{signal_to_noise.STAGE}/{measured.key}")
    sides = _Sides(workspace, speaker, forgotten, tables)
    known = registry.versions(domain) if registry else []
    versions = {
        entry.version: how
        for entry in known
        if (how := sides.learned(entry.tags, _SPLITS_TAG, _REPLAY_TAG))
        and (how == "yes" or entry.tags.get(_CORPUS_TAG) in corpora)
    }
    return Traces(
        remove=tuple(sorted(remove)),
        adapters={
            made.key: how
            for made in store.history(domain, adapter.STAGE)
            if (how := sides.learned(made.inputs, *_HEARD))
        },
        versions=versions,
        champions=tuple(
            e.version for e in known if e.version in versions and CHAMPION in e.aliases
        ),
        certificates=_certificates(workspace, sides, versions),
    )


def keep_sides(workspace: Workspace, forgotten: Forgotten) -> None:
    """Write down, as hashes, who is on which side of all that there is to train on."""
    for table in _tables(workspace):
        if table.stage in _HEARD:
            path = _sides_file(workspace, table.sha256)
            if not path.is_file():
                heard = table.sides()
                hashed = {
                    side: sorted(forgotten.speaker_hash(name) for name in heard[side])
                    for side in sorted(heard)
                }
                write_json(path, hashed)


def redact(registry: Registry, domain: str, speaker: str) -> int:
    """Take a speaker's utterances out of the examples in the registry's copies of reports.

    Returns how many files were rewritten. Certificates are left as they are.
    """
    changed = 0
    for entry in registry.versions(domain):
        folder = registry.model_folder(domain, entry.version).parent
        for path in sorted(folder.glob(f"report-*/**/{reports.FILE}")):
            fields = read_json(path)
            kept = {
                name: [example for example in fields[name] if example["speaker"] != speaker]
                for name in _EXAMPLES
                if name in fields
            }
            if any(len(kept[name]) != len(fields[name]) for name in kept):
                write_json(path, {**fields, **kept})
                changed += 1
    return changed


def _certificates(
    workspace: Workspace, sides: _Sides, versions: Collection[str]
) -> dict[str, Literal["tested", "model"]]:
    found: dict[str, Literal["tested", "model"]] = {}
    for decided in workspace.store.history(workspace.domain.name, certificate.STAGE):
        if sides.tested(str(decided.summary.get("splits", ""))):
            found[decided.key] = "tested"
        elif str(decided.summary["version"]) in versions:
            found[decided.key] = "model"
    return found


class _Table:
    """A table of an artifact, of any version of VoiceForge, read when it is asked."""

    def __init__(self, artifact: Artifact, path: Path) -> None:
        self.stage = artifact.stage
        self.name = f"{artifact.stage}/{artifact.key}"
        self.sha256 = artifact.sha256
        self._path = path

    def ids_of(self, speaker: str, forgotten: Forgotten) -> list[str]:
        """Ids of a speaker's utterances, under their name or, same audio, another."""
        rows = self._rows("id", "speaker", "audio_sha256")
        if not {"id", "speaker"} <= set(rows):
            return []
        audio = rows.get("audio_sha256", [""] * len(rows["id"]))
        return [
            name
            for name, who, sound in zip(rows["id"], rows["speaker"], audio, strict=True)
            if who == speaker or forgotten.holds_audio(sound)
        ]

    def holds(self, ids: Collection[str]) -> bool:
        """Whether it has rows of these utterances."""
        rows = self._rows("id", "utterance_id")
        return any(name in ids for column in rows.values() for name in column)

    def sides(self) -> dict[str, set[str]]:
        """Split -> its speakers."""
        rows = self._rows("speaker", "split")
        found: dict[str, set[str]] = {}
        for who, split in zip(rows.get("speaker", []), rows.get("split", []), strict=True):
            found.setdefault(split, set()).add(who)
        return found

    def _rows(self, *columns: str) -> dict[str, list[str]]:
        import pyarrow.parquet as pq

        there = [name for name in columns if name in pq.read_schema(self._path).names]
        rows: dict[str, list[str]] = pq.read_table(self._path, columns=there).to_pydict()
        return rows


class _Sides:
    """On which side of which splits a speaker is."""

    def __init__(
        self, workspace: Workspace, speaker: str, forgotten: Forgotten, tables: Iterable[_Table]
    ) -> None:
        self._workspace = workspace
        self._hash = forgotten.speaker_hash(speaker)
        self._known = {
            table.sha256: frozenset(side for side, who in table.sides().items() if speaker in who)
            for table in tables
            if table.stage in _HEARD
        }

    def learned(self, made_from: Mapping[str, str], splits: str, replay: str) -> Learned | None:
        """Whether what was made from these tables learned from the speaker.

        Args:
            made_from: name -> sha256 of what it was made from.
            splits, replay: the tables' names in it; a model may have replayed nothing.
        """
        tables = [made_from.get(splits, ""), *([made_from[replay]] if replay in made_from else [])]
        sides = [self._sides(table) for table in tables]
        if any(side is not None and "train" in side for side in sides):
            return "yes"
        return "possibly" if None in sides else None

    def tested(self, splits_sha256: str) -> bool:
        """Whether their held-out set is known to have the speaker."""
        return "test" in (self._sides(splits_sha256) or ())

    def _sides(self, splits_sha256: str) -> frozenset[str] | None:
        path = _sides_file(self._workspace, splits_sha256)
        if splits_sha256 not in self._known and path.is_file():
            hashed = read_json(path)
            self._known[splits_sha256] = frozenset(
                side for side, who in hashed.items() if self._hash in who
            )
        return self._known.get(splits_sha256)


def _tables(workspace: Workspace) -> Iterator[_Table]:
    root = workspace.store.root / workspace.domain.name
    for manifest in sorted(root.glob(f"[!.]*/[!.]*/{MANIFEST}")):
        artifact = workspace.store.load(manifest.parent)
        for name in _TABLES:
            if (path := manifest.with_name(name)).is_file():
                yield _Table(artifact, path)


def _sides_file(workspace: Workspace, splits_sha256: str) -> Path:
    root = workspace.store.root / workspace.domain.name
    return root / "speakers" / f"{splits_sha256 or 'none'}.json"
