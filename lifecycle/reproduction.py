"""Making a model again from its data version, code revision and parameters, or refusing to.

A model card names the command. It holds the hash of the parameters (the seed among them) and the
adapter's key, which is a hash over parameters, splits and base model: equal keys, equal training.
"""

from __future__ import annotations

import shlex

from lifecycle import adapter, checks, corpus, splits
from lifecycle.artifacts import Artifact
from lifecycle.base_engine import make_base_engine
from lifecycle.merged_model import make_merged_model
from lifecycle.validation import make_validation
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError, UsageError
from voiceforge.files import sha256_json

_DIGITS = 16


def parameters_hash(trained: Artifact) -> str:
    """Hash of what an adapter was trained with."""
    return hash_of(trained.parameters)


def hash_of(parameters: object) -> str:
    return sha256_json(parameters)[:_DIGITS]


def command(domain: str, md5: str, key: str, parameters: str) -> str:
    """The command that makes the adapter of that key again."""
    return shlex.join(
        ["voiceforge", "reproduce", domain, "--corpus", md5, "--adapter", key,
         "--parameters", parameters]
    )  # fmt: skip


def reproduce(workspace: Workspace, md5: str, key: str, parameters: str) -> Artifact:
    """Train the adapter of that key from that version of the corpus; returns the merged model.

    Raises:
        UsageError: params.yaml gives other training parameters.
        StageError: corpus, splits or base model are not those that the adapter was made from.
        IntegrityError, SourceError, StorageError: the corpus version cannot be had.
    """
    now = hash_of(adapter.parameters(workspace))
    if now != parameters:
        raise UsageError(
            f"params.yaml gives {workspace.domain.name} training parameters with the hash {now}, "
            f"and the model was made with {parameters}. Check out the revision that its card "
            "names; parameters.json beside the card has them in full."
        )
    _restore(workspace, md5)
    make_base_engine(workspace)
    make_validation(workspace)
    splits.make_splits(workspace)
    checks.required(checks.splits_are_disjoint, "Training would leak.")(workspace)
    asked = adapter.question(workspace)
    if asked.key != key:
        has = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in asked.inputs.items())
        raise StageError(
            f"The adapter would get the key {asked.key}, and the model's has {key}: parameters are "
            f"the same, so that its splits or base model were others. Here they are {has}; the "
            "card lists its own. Check out the revision that the card names, with its ledgers in "
            f"{workspace.ledgers}."
        )
    adapter.make_adapter(workspace)
    return make_merged_model(workspace)


def _restore(workspace: Workspace, md5: str) -> None:
    """The corpus folder as that version, found where it is that already."""
    from data.repository import pointer_of
    from data.versions import full_md5

    pointer = pointer_of(workspace.corpus)
    there = pointer.is_file() and full_md5(md5) in pointer.read_text()
    if not (there and workspace.corpus.is_dir()):
        corpus.restore_version(workspace.settings, workspace.domain.name, md5)
    workspace.keep(corpus.STAGE, workspace.store.load(workspace.corpus))
