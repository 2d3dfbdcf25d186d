"""CTranslate2 folder to Hugging Face Whisper folder: weights, configurations, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.ctranslate2_weights import Array, count_layers, read_variables, state_dict
from voiceforge.files import write_json

MULTILINGUAL_VOCABULARY = 51_865
"""English-only Whisper models have 51,864 tokens, multilingual ones at least one more."""


def model_config(variables: dict[str, Array]) -> dict[str, Any]:
    """transformers' `config.json` for these variables; the class has defaults for the rest."""
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    end = 50_256 if vocabulary < MULTILINGUAL_VOCABULARY else 50_257
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": vocabulary,
        "d_model": width,
        "num_mel_bins": variables["encoder/conv1/weight"].shape[1],
        "max_source_positions": variables["encoder/position_encodings/encodings"].shape[0],
        "max_target_positions": variables["decoder/position_encodings/encodings"].shape[0],
        "encoder_layers": count_layers(variables, "encoder"),
        "decoder_layers": count_layers(variables, "decoder"),
        "num_hidden_layers": count_layers(variables, "encoder"),
        "encoder_attention_heads": int(variables["encoder/num_heads"]),
        "decoder_attention_heads": int(variables["decoder/num_heads"]),
        "encoder_ffn_dim": variables["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        "decoder_ffn_dim": variables["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": end + 1,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def convert(source: Path, target: Path) -> None:
    """Fill the folder `target` with the Hugging Face form of the CTranslate2 folder `source`.

    `source` holds `model.bin`, `config.json` and `tokenizer.json`.

    Raises:
        IntegrityError: the weights are damaged or not Whisper's.
        UsageError: the weights are quantized, or of another kind of model.
    """
    from safetensors.numpy import save_file

    variables = read_variables(source / "model.bin")
    tensors = state_dict(variables)
    config = model_config(variables)
    tokenizer = _whole_tokenizer(json.loads((source / "tokenizer.json").read_text()), config)
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    stated = json.loads((source / "config.json").read_text())
    write_json(target / "config.json", config)
    write_json(target / "generation_config.json", _generation_config(config, stated, ids))
    write_json(target / "preprocessor_config.json", _feature_config(config))
    write_json(target / "tokenizer.json", tokenizer)
    write_json(target / "tokenizer_config.json", _tokenizer_config(tokenizer))
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})


def _whole_tokenizer(tokenizer: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer with every token that the model has: some conversions leave times out."""
    added = {token["id"] for token in tokenizer["added_tokens"]}
    first = (
        next(t["id"] for t in tokenizer["added_tokens"] if t["content"] == "<|notimestamps|>") + 1
    )
    for number in range(first, config["vocab_size"]):
        if number not in added:
            tokenizer["added_tokens"].append(
                {
                    "id": number,
                    "content": f"<|{(number - first) * 0.02:.2f}|>",
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": True,
                    "special": False,
                }
            )
    return tokenizer


def _generation_config(
    config: dict[str, Any], stated: dict[str, Any], ids: dict[str, int]
) -> dict[str, Any]:
    multilingual = config["vocab_size"] >= MULTILINGUAL_VOCABULARY
    heads = stated.get("alignment_heads") or [
        # CTranslate2's own default: every head of the upper half of the decoder.
        [layer, head]
        for layer in range(config["decoder_layers"] // 2, config["decoder_layers"])
        for head in range(config["decoder_attention_heads"])
    ]
    generation: dict[str, Any] = {
        key: config[key]
        for key in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    }
    generation |= {
        "max_length": config["max_target_positions"],
        "suppress_tokens": stated["suppress_ids"],
        "begin_suppress_tokens": stated["suppress_ids_begin"],
        "alignment_heads": heads,
        "is_multilingual": multilingual,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "max_initial_timestamp_index": 50,
        "return_timestamps": False,
    }
    if multilingual:
        between = range(ids["<|startoftranscript|>"] + 1, ids["<|translate|>"])
        generation["lang_to_id"] = {text: ids[text] for text in ids if ids[text] in between}
        generation["task_to_id"] = {
            "transcribe": ids["<|transcribe|>"],
            "translate": ids["<|translate|>"],
        }
    return generation


def _feature_config(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": config["num_mel_bins"],
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _tokenizer_config(tokenizer: dict[str, Any]) -> dict[str, Any]:
    end = "<|endoftext|>"
    special = {
        token["id"]: token["content"] for token in tokenizer["added_tokens"] if token["special"]
    }
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
        # In the order of their ids: transformers takes the tokens after the last for times.
        "additional_special_tokens": [special[number] for number in sorted(special)][1:],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
    }
