"""A decoder of fewer layers: those that are kept lie as far apart as they can.

Whisper spends most of a step in its decoder, whose layers are run once a token. The layers kept are
those of distil-whisper (Gandhi, von Platen and Rush 2023, "Distil-Whisper: Robust Knowledge
Distillation via Large-Scale Pseudo Labelling", section 4: maximally spaced, the first and the
last among them); the adapter, and what the base model teaches it, have to make up for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voiceforge.errors import UsageError
from voiceforge.files import read_json, write_json

KEY = "decoder_layers"


def kept_layers(there: int, wanted: int) -> tuple[int, ...]:
    """Which of so many layers are kept, in order: evenly spaced, the last always.

    Raises:
        UsageError: as many are wanted as there are, or more, or none.
    """
    if not 1 <= wanted < there:
        raise UsageError(
            f"training.{KEY} is {wanted}, and the decoder of the base model has {there} layers. "
            f"Give 1 to {there - 1}, or leave it out to keep all."
        )
    spaced = [index * (there - 1) // max(1, wanted - 1) for index in range(wanted)]
    return (*spaced[:-1], there - 1)


def kept_heads(heads: Sequence[Sequence[int]], layers: Sequence[int]) -> list[list[int]]:
    """The alignment heads [layer, head] that are in kept layers, by the new numbers of these.

    Raises:
        UsageError: there were heads and none is kept, so that words would have no times.
    """
    places = {layer: place for place, layer in enumerate(layers)}
    found = [[places[layer], head] for layer, head in heads if layer in places]
    if heads and not found:
        raise UsageError(
            f"Of the layers that training.{KEY} keeps ({', '.join(map(str, layers))}) none holds "
            "a head by which words are timed. Keep more."
        )
    return found


def kept_of(model: Any, wanted: int) -> tuple[tuple[int, ...], list[list[int]]]:
    """Layers and alignment heads that `prune_decoder` keeps of a Whisper.

    Raises:
        UsageError: as for `kept_layers` and `kept_heads`.
    """
    layers = kept_layers(model.config.decoder_layers, wanted)
    return layers, kept_heads(_heads(model), layers)


def prune_decoder(model: Any, wanted: int) -> None:
    """Take layers out of a Whisper's decoder, in place, and say so in its configurations.

    Args:
        model: transformers' Whisper, without an adapter.
        wanted: layers that stay.

    Raises:
        UsageError: as for `kept_of`.
    """
    from torch import nn

    layers, heads = kept_of(model, wanted)
    decoder = model.model.decoder
    decoder.layers = nn.ModuleList(decoder.layers[layer] for layer in layers)
    for place, layer in enumerate(decoder.layers):
        # Each attention knows its place in the cache of keys and values.
        layer.self_attn.layer_idx = layer.encoder_attn.layer_idx = place
    model.config.decoder_layers = wanted
    if heads:
        model.generation_config.alignment_heads = heads


def state_pruned(folder: Path, model: Any) -> None:
    """Let a folder's configurations, copied from the base model, say what the pruned one has."""
    stated = {"config.json": {KEY: model.config.decoder_layers}}
    if heads := _heads(model):
        stated["generation_config.json"] = {"alignment_heads": heads}
    for name, fields in stated.items():
        write_json(folder / name, read_json(folder / name) | fields)


def _heads(model: Any) -> list[list[int]]:
    return list(getattr(model.generation_config, "alignment_heads", None) or [])
