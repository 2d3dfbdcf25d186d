"""What the two graphs and the file beside them are called."""

from __future__ import annotations

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
DECODING = "decoding.json"
"""What generation_config.json says of texts, and `FACTS`."""
FACTS = ("layers", "n_mels", "opset", "producer", "graphs")
"""Of the exported model: decoder layers, mel bands, ONNX opset, what wrote the graphs, files."""


def names(prefix: str, layers: int) -> list[str]:
    """Of the keys and values of all decoder layers, in the order of the graphs."""
    return [f"{prefix}_{kind}_{layer}" for layer in range(layers) for kind in ("key", "value")]
