"""Tiny checkpoints of the real NeMo classes, random weights: what public ones are too large for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

CANARY_LANGUAGES = ("en", "it")
_PROMPT = ("startofcontext", "emo:undefined", "itn", "noitn", "timestamp", "notimestamp",
           "diarize", "nodiarize", "pnc", "nopnc")  # fmt: skip


def build(kind: str, texts: Sequence[str], folder: Path) -> Path:
    """A `.nemo` file of a new model; `kind` is ctc, rnnt, tdt, hybrid or canary.

    Args:
        texts: what its tokenizer is trained on.
        folder: to write in.
    """
    import torch
    from omegaconf import OmegaConf

    from training.nemo.toolkit import nemo_asr

    models = nemo_asr().models
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    if kind == "canary":
        model = models.EncDecMultiTaskModel(OmegaConf.create(_canary(texts, folder)))
    else:
        tokenizer = {"dir": str(_bpe(texts, folder / "bpe", 64)), "type": "bpe"}
        build_one = {"ctc": _ctc, "rnnt": _rnnt, "tdt": _rnnt, "hybrid": _rnnt}[kind]
        config = _common(64, "ctc" if kind == "ctc" else "rnnt") | {"tokenizer": tokenizer}
        config |= build_one(kind)
        cls = {"ctc": "EncDecCTCModelBPE", "hybrid": "EncDecHybridRNNTCTCBPEModel"}
        model = getattr(models, cls.get(kind, "EncDecRNNTBPEModel"))(OmegaConf.create(config))
    path = folder / f"tiny-{kind}.nemo"
    model.save_to(str(path))
    return path


def _common(width: int, kind: str) -> dict[str, Any]:
    return {
        "sample_rate": 16000,
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            "sample_rate": 16000,
            "normalize": "per_feature",
            "window_size": 0.025,
            "window_stride": 0.01,
            "features": 80,
            "n_fft": 512,
            "dither": 1e-5,
            "pad_to": 0,
        },
        "spec_augment": {
            "_target_": "nemo.collections.asr.modules.SpectrogramAugmentation",
            "freq_masks": 2,
            "time_masks": 2,
            "freq_width": 27,
            "time_width": 0.05,
        },
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder",
            "feat_in": 80,
            "feat_out": -1,
            "n_layers": 2,
            "d_model": width,
            "subsampling": "dw_striding",
            "subsampling_factor": 4 if kind == "ctc" else 8,
            "subsampling_conv_channels": 32,
            "ff_expansion_factor": 2,
            "self_attention_model": "rel_pos",
            "n_heads": 4,
            "att_context_size": [-1, -1],
            "conv_kernel_size": 9,
            "conv_norm_type": "batch_norm",
            "dropout": 0.0,
            "dropout_pre_encoder": 0.0,
            "dropout_emb": 0.0,
            "dropout_att": 0.0,
        },
        # Transcription by NeMo itself asks for it.
        "validation_ds": {
            "manifest_filepath": None,
            "sample_rate": 16000,
            "batch_size": 4,
            "shuffle": False,
            "use_start_end_token": False,
        },
    }


def _ctc(_: str) -> dict[str, Any]:
    return {
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
            "feat_in": None,
            "num_classes": -1,
            "vocabulary": [],
        },
        "decoding": {"strategy": "greedy"},
    }


def _rnnt(kind: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "model_defaults": {"enc_hidden": 64, "pred_hidden": 48, "joint_hidden": 48},
        "decoder": {
            "_target_": "nemo.collections.asr.modules.RNNTDecoder",
            "normalization_mode": None,
            "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {"pred_hidden": 48, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.0},
        },
        "joint": {
            "_target_": "nemo.collections.asr.modules.RNNTJoint",
            "log_softmax": None,
            "preserve_memory": False,
            # As in Parakeet: joint, loss and sub-batches in one.
            "fuse_loss_wer": kind == "tdt",
            "fused_batch_size": 2,
            "jointnet": {"joint_hidden": 48, "activation": "relu", "dropout": 0.0},
        },
        "decoding": {"strategy": "greedy_batch", "greedy": {"max_symbols": 5}},
        "loss": {"loss_name": "default"},
    }
    if kind == "tdt":
        durations = [0, 1, 2]
        config["loss"] = {
            "loss_name": "tdt",
            "tdt_kwargs": {"durations": durations, "sigma": 0.02, "omega": 0.1},
        }
        config["joint"]["num_extra_outputs"] = len(durations)
        config["decoding"] |= {"model_type": "tdt", "durations": durations}
        config["model_defaults"] |= {"tdt_durations": durations, "num_tdt_durations": 3}
    if kind == "hybrid":
        config["aux_ctc"] = {
            "ctc_loss_weight": 0.3,
            "use_cer": False,
            "ctc_reduction": "mean_batch",
            "decoder": {**_ctc(kind)["decoder"], "feat_in": None},
            "decoding": {"strategy": "greedy"},
        }
    return config


def _canary(texts: Sequence[str], folder: Path) -> dict[str, Any]:
    from nemo.collections.common.tokenizers.canary_tokenizer import CanaryTokenizer

    special = folder / "special"
    CanaryTokenizer.build_special_tokenizer(
        [*_PROMPT, *CANARY_LANGUAGES, *(str(digit) for digit in range(20))], special
    )
    parts = {"spl_tokens": special}
    parts |= {name: _bpe(texts, folder / name, 64) for name in CANARY_LANGUAGES}
    width = 64
    common = _common(width, "canary")
    del common["validation_ds"]
    return {
        **common,
        "target": "nemo.collections.asr.models.aed_multitask_models.EncDecMultiTaskModel",
        "prompt_format": "canary2",
        # NeMo would look for it in whatever this process has restored last.
        "restore_timestamps_model": False,
        "model_defaults": {"asr_enc_hidden": width, "lm_enc_hidden": width, "lm_dec_hidden": width},
        "tokenizer": {
            "type": "agg",
            "dir": None,
            "langs": {name: {"dir": str(at), "type": "bpe"} for name, at in parts.items()},
            "custom_tokenizer": {
                "_target_": "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer",
                "tokenizers": None,
            },
        },
        "transf_encoder": {
            "_target_": "nemo.collections.asr.modules.transformer.transformer_modules."
            "TransformerEncoder",
            "num_layers": 0,
            "hidden_size": width,
            "inner_size": 2 * width,
            "num_attention_heads": 2,
        },
        "transf_decoder": {
            "_target_": "nemo.collections.asr.modules.transformer.get_nemo_transformer",
            "model_name": None,
            "pretrained": False,
            "encoder": None,
            "pre_ln_final_layer_norm": True,
            "config_dict": {
                "max_sequence_length": 128,
                "num_token_types": 0,
                "embedding_dropout": 0.0,
                "learn_positional_encodings": False,
                "hidden_size": width,
                "inner_size": 2 * width,
                "num_layers": 2,
                "num_attention_heads": 2,
                "ffn_dropout": 0.0,
                "attn_score_dropout": 0.0,
                "attn_layer_dropout": 0.0,
                "hidden_act": "relu",
                "pre_ln": True,
                "vocab_size": None,
            },
        },
        "head": {
            "_target_": "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
            "num_layers": 1,
            "activation": "relu",
            "log_softmax": True,
            "hidden_size": width,
            "num_classes": None,
            "dropout": 0.0,
            "use_transformer_init": True,
        },
        "decoding": {"strategy": "beam", "beam": {"beam_size": 1}},
        "loss": {
            "_target_": "nemo.collections.common.losses.smoothed_cross_entropy."
            "SmoothedCrossEntropyLoss",
            "label_smoothing": 0.0,
            "pad_id": None,
        },
    }


def _bpe(texts: Sequence[str], folder: Path, size: int) -> Path:
    """A tokenizer of `size` pieces, more where the texts have that many letters."""
    from nemo.collections.common.tokenizers.sentencepiece_tokenizer import create_spt_model

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "text.txt"
    source.write_text("\n".join(texts) + "\n")
    create_spt_model(
        str(source),
        vocab_size=max(size, len(set("".join(texts))) + 32),
        sample_size=-1,
        do_lower_case=False,
        tokenizer_type="bpe",
        output_dir=str(folder),
    )
    return folder
