"""Which files make up a split of a Hugging Face dataset, and fetching those of the Hub.

`datasets` finds them by names and dataset card in a folder. For the Hub that folder is a mirror of
empty files with the real card, so that one question to the Hub is enough, and only the files that
are needed are downloaded: into a folder of their own, each whole, with a note once all are there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.fetch import locked
from data.sources.base import Reach, slug
from voiceforge.errors import IntegrityError, SourceError, StorageError, UsageError
from voiceforge.files import read_json, storage_errors, write_json

_TABLES = ("parquet", "csv", "json")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class DataFiles:
    """A split of a dataset.

    Attributes:
        layout: "disk" (what `save_to_disk` writes), "audiofolder", "parquet", "csv" or "json".
        paths: relative to the dataset's folder: a folder each of layout "disk", tables otherwise.
        others: files that the tables name, as far as they are known.
    """

    layout: str
    paths: tuple[str, ...]
    others: tuple[str, ...] = ()


def find_files(folder: Path, config: str | None, split: str) -> DataFiles:
    """The files of a configuration's split in a folder.

    Raises:
        UsageError: there is no such configuration or split, or its layout is not read.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = read_json(folder / "dataset_dict.json").get("splits", [])
        return DataFiles("disk", (_named(folder, split, splits),))
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        own = read_json(folder / "state.json").get("_split")
        _named(folder, split, [split if own is None else own])
        return DataFiles("disk", (".",))
    from datasets import load_dataset_builder

    try:
        with tempfile.TemporaryDirectory() as unused:
            builder = load_dataset_builder(str(folder.resolve()), name=config, cache_dir=unused)
    except Exception as error:  # of many kinds; all say what the folder or the request lacks
        raise UsageError(
            f"{folder} cannot be read as a dataset"
            f"{'' if config is None else f' with the configuration {config!r}'}: {error}"
        ) from error
    layout = type(builder).__module__.rpartition(".")[2]
    found = {
        str(name): [_inside(folder, str(file)) for file in files]
        for name, files in (builder.config.data_files or {}).items()
    }
    files = found[_named(folder, split, list(found))]
    if layout == "audiofolder":
        tables = tuple(file for file in files if Path(file).name in _METADATA)
        if not tables:
            raise UsageError(
                f"{folder} holds audio without a {', '.join(_METADATA)}, so there are no texts. "
                "Write one with the columns file_name and text."
            )
        return DataFiles(layout, tables, tuple(file for file in files if file not in tables))
    if layout not in _TABLES:
        raise UsageError(
            f"{folder} is a dataset of the kind {layout!r}, which is not read. Read are what "
            f"`save_to_disk` writes, audiofolder, {', '.join(_TABLES)}: load it with `datasets` "
            "and write it as one of these."
        )
    return DataFiles(layout, tuple(files))


def _inside(folder: Path, file: str) -> str:
    """A file that a dataset's card may have named, from its folder on."""
    path = Path(os.path.normpath(file))
    if not path.is_relative_to(folder.resolve()):
        raise UsageError(
            f"The card of the dataset {folder} names {file}, which lies outside of it. Only files "
            "inside it count."
        )
    return path.relative_to(folder.resolve()).as_posix()


def _named(folder: Path, split: str, splits: Sequence[str]) -> str:
    if split not in splits:
        raise UsageError(
            f"{folder} has no split {split!r}. `split` of the source in params.yaml may be: "
            f"{', '.join(splits) or 'none'}."
        )
    return split


def fetch_dataset(
    name: str, revision: str, config: str | None, split: str, reach: Reach
) -> tuple[Path, DataFiles]:
    """A folder with the files of a split of the Hub's dataset at a commit, and which they are.

    What was fetched whole once needs no connection again.

    Raises:
        UsageError: as `find_files`.
        IntegrityError: the cached copy is not what was fetched.
        SourceError: the Hub cannot be reached, or does not have or give it; says what was tried.
        StorageError: the disk is full or read-only.
    """
    folder = reach.cache / "huggingface" / "datasets" / f"{slug(name)}-{revision[:12]}"
    note = folder / ".voiceforge" / f"{slug(config or 'default')}.{slug(split)}.json"
    with locked(reach.cache, f"huggingface-{folder.name}"):
        if (kept := _noted(note, folder)) is not None:
            return folder, kept
        if reach.offline:
            raise SourceError(
                f"{name} at {revision} is not in the cache ({folder}), and offline mode opens no "
                "connection. Run once with VOICEFORGE_OFFLINE unset, or copy that folder from a "
                "machine that has it."
            )
        files = _fetch(name, revision, config, split, folder, reach.timeout)
        sizes = {path: (folder / path).stat().st_size for path in files.paths + files.others}
        write_json(note, {**asdict(files), "sizes": sizes})
    return folder, files


def _noted(note: Path, folder: Path) -> DataFiles | None:
    """What an earlier fetch left; None where there was none."""
    if not note.is_file():
        return None
    facts: dict[str, Any] = read_json(note)
    for path, size in facts["sizes"].items():
        found = (folder / path).stat().st_size if (folder / path).is_file() else 0
        if found != size:
            raise IntegrityError(
                f"{folder / path} has {found} bytes, and had {size} when it was fetched. Delete "
                f"{folder} and run again: it will be fetched anew."
            )
    return DataFiles(facts["layout"], tuple(facts["paths"]), tuple(facts["others"]))


def _fetch(
    name: str, revision: str, config: str | None, split: str, folder: Path, timeout: float
) -> DataFiles:
    from huggingface_hub import HfApi, constants, hf_hub_download

    asked = f"the dataset {name} at {revision} of {constants.ENDPOINT}"
    if constants.HF_HUB_OFFLINE:
        raise SourceError(
            f"HF_HUB_OFFLINE is set, and {asked} is not in the cache ({folder}). Unset it and run "
            "again, or copy that folder from a machine that has it."
        )

    def download(path: str, what: str) -> None:
        with _asking(asked, what, folder):
            hf_hub_download(
                name,
                path,
                repo_type="dataset",
                revision=revision,
                local_dir=folder,
                etag_timeout=timeout,
                endpoint=constants.ENDPOINT,
            )

    with _asking(asked, "its list of files", folder):
        info = HfApi(constants.ENDPOINT).dataset_info(name, revision=revision, timeout=timeout)
    there = [one.rfilename for one in info.siblings or []]
    with tempfile.TemporaryDirectory() as mirror:
        for path in there:
            if not Path(path).is_absolute() and ".." not in Path(path).parts:
                (Path(mirror) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(mirror) / path).touch()
        if _CARD in there:
            download(_CARD, _CARD)
            (Path(mirror) / _CARD).write_bytes((folder / _CARD).read_bytes())
        try:
            files = find_files(Path(mirror), config, split)
        except UsageError as error:
            raise UsageError(str(error).replace(mirror, f"{name} of the Hub")) from error
    wanted = files.paths + files.others
    for number, path in enumerate(wanted, 1):
        download(path, f"file {number} of {len(wanted)}, {path}")
    return files


@contextlib.contextmanager
def _asking(asked: str, what: str, folder: Path) -> Iterator[None]:
    """Turn whatever the Hub's client throws into a `SourceError`, but for errors of the disk."""
    try:
        with storage_errors(folder):
            yield
    except StorageError:
        raise
    except Exception as error:
        # The client says of every lost connection that the file is not in its cache.
        first = error.__cause__ or error
        why = " ".join(str(first).split()) or type(first).__name__
        raise SourceError(
            f"Tried {asked}, and stopped at {what}: {why}. Nothing of it entered the corpus; whole "
            "files are kept. Check name, revision, the network and, for a dataset that asks for "
            "it, HF_TOKEN, and run again."
        ) from error
