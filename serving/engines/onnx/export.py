"""Whisper as two ONNX graphs, from a Hugging Face folder.

`encoder.onnx`: mel [B, n_mels, T] -> the keys and values that every decoder layer attends to,
cross_key_i and cross_value_i [B, heads, T / 2, width], computed once a clip.

`decoder.onnx`: ids [B, n], the places among them to give logits of [k], the keys and values of what
was read before (past_*, [B, heads, P, width], P may be 0) and those of the encoder -> logits
[B, k, vocabulary], present_* [B, heads, P + n, width], and the attention of the model's alignment
heads to the audio [B, alignment heads, n, T / 2]. One graph reads the prompt and makes the steps.

Own modules over transformers' weights: its encoder refuses any window but 30 s, and its generation
keeps its cache in Python. Attention is written out, so that precision can be chosen node by node.
Embedding and projection share one table [hidden, vocabulary], as the projection multiplies it: the
other way round every step would turn it, which took two thirds of a step in int8.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from serving.engines.onnx.graphs import DECODER, ENCODER, names

OPSET = 20


def export(source: Path, out: Path) -> dict[str, Any]:
    """Write both graphs in float32.

    Args:
        source: Hugging Face folder of a Whisper model.
        out: existing folder.

    Returns:
        What a runtime has to know of the model, `graphs.FACTS`.
    """
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(source, dtype=torch.float32).eval()
    heads = _alignment_heads(model)
    layers = model.config.decoder_layers
    encoder = Encoder(model).eval()
    decoder = Decoder(model, heads).eval()
    dynamic = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        mel = torch.zeros(2, model.config.num_mel_bins, 60)
        torch.onnx.export(
            encoder,
            (mel,),
            out / ENCODER,
            input_names=["mel"],
            output_names=names("cross", layers),
            dynamic_shapes=({0: dynamic, 2: dynamic},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        cross = list(encoder(mel))
        past = [torch.zeros(2, state.shape[1], 5, state.shape[3]) for state in cross]
        torch.onnx.export(
            decoder,
            (torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 2]), past, cross),
            out / DECODER,
            input_names=["ids", "places", *names("past", layers), *names("cross", layers)],
            output_names=["logits", "attention", *names("present", layers)],
            dynamic_shapes=(
                {0: dynamic, 1: dynamic},
                {0: dynamic},
                [{0: dynamic, 2: dynamic} for _ in past],
                [{0: dynamic, 2: dynamic} for _ in cross],
            ),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    for name in (ENCODER, DECODER):
        _without_traces(out / name)
    return {
        "layers": layers,
        "n_mels": model.config.num_mel_bins,
        "opset": OPSET,
        "producer": f"pytorch {torch.__version__}",
        "graphs": [ENCODER, DECODER],
    }


def _without_traces(path: Path) -> None:
    """Remove what the exporter says of its own source: an engine's files are its identity, and must
    not depend on where this package lies, nor tell it."""
    graph = onnx.load(path)
    parts = [graph, graph.graph, *graph.graph.node, *graph.graph.initializer]
    parts += [*graph.graph.input, *graph.graph.output, *graph.graph.value_info, *graph.functions]
    parts += [node for function in graph.functions for node in function.node]
    for part in parts:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(graph, path)


class Encoder(nn.Module):
    """Mel to the keys and values that the decoder attends to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.model.encoder
        self.cross = nn.ModuleList(layer.encoder_attn for layer in model.model.decoder.layers)

    def forward(self, mel: Tensor) -> tuple[Tensor, ...]:
        encoder = self.encoder
        hidden = nn.functional.gelu(encoder.conv1(mel))
        hidden = nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        for layer in encoder.layers:
            normed = layer.self_attn_layer_norm(hidden)
            attention = layer.self_attn
            key, value = _keys_values(attention, normed)
            hidden = hidden + _attend(attention, normed, key, value, None)[0]
            hidden = hidden + _feed_forward(layer, hidden)
        hidden = encoder.layer_norm(hidden)
        states: list[Tensor] = []
        for attention in self.cross:
            states += _keys_values(attention, hidden)
        return tuple(states)


class Decoder(nn.Module):
    """Tokens to logits, with the keys and values of what came before."""

    def __init__(self, model: Any, alignment_heads: list[tuple[int, int]]) -> None:
        super().__init__()
        self.decoder = model.model.decoder
        self.table = nn.Parameter(model.proj_out.weight.detach().T.contiguous())
        self.alignment_heads = alignment_heads

    def forward(
        self, ids: Tensor, places: Tensor, past: list[Tensor], cross: list[Tensor]
    ) -> tuple[Tensor, ...]:
        decoder = self.decoder
        read, length = past[0].shape[2], ids.shape[1]
        positions = torch.arange(length) + read
        embedded = self.table.index_select(1, ids.flatten()).T.reshape(*ids.shape, -1)
        hidden = embedded + decoder.embed_positions.weight[positions]
        seen = torch.arange(read + length)[None, :] <= positions[:, None]
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)
        present: list[Tensor] = []
        attentions: list[Tensor] = []
        for number, layer in enumerate(decoder.layers):
            normed = layer.self_attn_layer_norm(hidden)
            key, value = _keys_values(layer.self_attn, normed)
            key = torch.cat([past[2 * number], key], dim=2)
            value = torch.cat([past[2 * number + 1], value], dim=2)
            present += [key, value]
            hidden = hidden + _attend(layer.self_attn, normed, key, value, mask)[0]
            normed = layer.encoder_attn_layer_norm(hidden)
            heard, weights = _attend(
                layer.encoder_attn, normed, cross[2 * number], cross[2 * number + 1], None
            )
            hidden = hidden + heard
            hidden = hidden + _feed_forward(layer, hidden)
            attentions += [
                weights[:, head : head + 1] for of, head in self.alignment_heads if of == number
            ]
        hidden = decoder.layer_norm(hidden[:, places])
        return hidden @ self.table, torch.cat(attentions, dim=1), *present


def _keys_values(attention: Any, states: Tensor) -> tuple[Tensor, Tensor]:
    return _split(attention, attention.k_proj(states)), _split(attention, attention.v_proj(states))


def _attend(
    attention: Any, states: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The attention's output [B, n, hidden] and its weights [B, heads, n, keys]."""
    query = _split(attention, attention.q_proj(states) * attention.scaling)
    scores = query @ key.transpose(2, 3)
    if mask is not None:
        scores = scores + mask
    weights = torch.softmax(scores, dim=-1)
    mixed = (weights @ value).transpose(1, 2).flatten(2)
    return attention.out_proj(mixed), weights


def _feed_forward(layer: Any, hidden: Tensor) -> Tensor:
    inner = nn.functional.gelu(layer.fc1(layer.final_layer_norm(hidden)))
    result: Tensor = layer.fc2(inner)
    return result


def _split(attention: Any, states: Tensor) -> Tensor:
    """[B, n, hidden] as [B, heads, n, width]."""
    heads = (states.shape[0], states.shape[1], attention.num_heads, attention.head_dim)
    return states.view(heads).transpose(1, 2)


def _alignment_heads(model: Any) -> list[tuple[int, int]]:
    """Layer and head of each: the model's own, of those that it has.

    Without any, as in a model whose decoder was pruned, they are all heads of the upper half, as
    OpenAI has it.
    """
    layers, heads = model.config.decoder_layers, model.config.decoder_attention_heads
    listed = getattr(model.generation_config, "alignment_heads", None) or []
    own = [(layer, head) for layer, head in listed if layer < layers and head < heads]
    return own or [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]
