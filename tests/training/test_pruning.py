"""A decoder that lost layers: which stay, that it decodes, that a run trains and keeps it."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.audio import read_flac
from data.tables import read_utterances
from serving.engines import ctranslate2, load_engine, onnx
from serving.engines.contracts import DecodingOptions, EngineSpec
from training.backends import prepare
from training.base_models import tensor_digest
from training.clips import make_mels
from training.context import load_model
from training.lora import train
from training.merging import merge
from training.pruning import kept_heads, kept_layers, prune_decoder
from training.recipe import TrainingSpec
from training.scoring import score
from voiceforge.errors import UsageError
from voiceforge.files import read_json


@given(there=st.integers(2, 32), data=st.data())
def test_the_layers_kept_lie_as_far_apart_as_they_can(there: int, data: st.DataObject) -> None:
    layers = kept_layers(there, data.draw(st.integers(1, there - 1)))
    gaps = [after - before for before, after in pairwise(layers)]
    assert layers[-1] == there - 1
    if gaps:
        assert layers[0] == 0 and max(gaps) - min(gaps) <= 1 <= min(gaps)


def test_the_layers_kept_are_those_of_distil_whisper() -> None:
    """First and last, as in distil-large-v2; more of them by its create_student_model.py."""
    assert (kept_layers(32, 2), kept_layers(24, 2)) == ((0, 31), (0, 23))
    assert kept_layers(12, 4) == (0, 3, 7, 11)


@pytest.mark.parametrize("wanted", [0, 4, 5])
def test_a_number_that_takes_none_or_all_is_refused(wanted: int) -> None:
    with pytest.raises(UsageError, match=rf"decoder_layers is {wanted}, .* 4 layers. Give 1 to 3"):
        kept_layers(4, wanted)


def test_heads_by_which_words_are_timed_are_renumbered() -> None:
    assert kept_heads([[1, 0], [2, 5], [3, 0], [3, 4]], (0, 3)) == [[1, 0], [1, 4]]
    assert kept_heads([], (0, 3)) == []
    with pytest.raises(UsageError, match=r"keeps \(0, 3\) none holds a head"):
        kept_heads([[1, 0], [2, 5]], (0, 3))


def test_a_pruned_decoder_steps_through_its_cache_as_it_reads_at_once(tiny_en: Path) -> None:
    model, whole = load_model(tiny_en), load_model(tiny_en)
    prune_decoder(model, 2)
    for place, layer in enumerate((0, 3)):
        kept, was = model.model.decoder.layers[place], whole.model.decoder.layers[layer]
        for one, other in zip(kept.parameters(), was.parameters(), strict=True):
            assert torch.equal(one, other)
    mels = torch.from_numpy(make_mels([np.zeros(16_000, np.float32)] * 2, 200, 80))
    tokens = torch.tensor([[50257, 50362, 770, 318], [50257, 50362, 257, 1332]])
    with torch.no_grad():
        encoded = model.model.encoder(mels)
        together = model(encoder_outputs=encoded, decoder_input_ids=tokens).logits
        past, steps = None, []
        for place in range(tokens.shape[1]):
            step = model(
                encoder_outputs=encoded, decoder_input_ids=tokens[:, place : place + 1],
                past_key_values=past, use_cache=True,
            )  # fmt: skip
            past = step.past_key_values
            steps.append(step.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), together, rtol=0, atol=1e-3)


@pytest.mark.system
def test_a_run_trains_and_keeps_the_pruned_model(
    spec: TrainingSpec, tiny_en: Path, prompts_corpus: Path, tmp_path: Path
) -> None:
    few = {"decoder_layers": 2, "steps": 30, "evaluate_every": 15, "checkpoint_every": 15}
    spec = dataclasses.replace(spec, params=spec.params.model_copy(update=few))
    report = train(spec, tmp_path / "workspace", lambda _: None)
    assert report.losses[-1].loss < 0.7 * report.losses[0].loss

    merged = tmp_path / "merged"
    assert merge(tiny_en, spec.output, merged) == tensor_digest(merged)
    assert read_json(merged / "config.json")["decoder_layers"] == 2
    heads = read_json(merged / "generation_config.json")["alignment_heads"]
    assert {layer for layer, _ in heads} == {1}
    run = prepare(dataclasses.replace(spec, base=merged, params=_whole(spec)))
    best = next(one for one in report.dev if one.step == report.best_step)
    found = score(report.best_step, run.dev, run.transcribe(run.dev), spec)[0]
    assert (found.errors, found.words) == (best.errors, best.words)

    row = read_utterances(prompts_corpus / "utterances.parquet")[0]
    clip = read_flac(prompts_corpus / row.audio)
    said = []
    for kind in (ctranslate2, onnx):
        folder = tmp_path / kind.KIND
        folder.mkdir()
        asked = EngineSpec(kind.KIND, "float32", report.minimum_mel_frames, "en")
        kind.build(merged, folder, asked, "0" * 64, 0.5)
        engine = load_engine(folder, 1)
        heard = engine.transcribe([clip], DecodingOptions(word_times=True))[0]
        said.append(heard.text)
        starts = [word.start for word in heard.words]
        assert starts == sorted(starts) and len(starts) == len(heard.text.split())
        assert all(word.end <= len(clip) / 16_000 + 0.5 for word in heard.words)
    assert said[0] == said[1]


def _whole(spec: TrainingSpec) -> object:
    return spec.params.model_copy(update={"decoder_layers": None})


def test_too_many_layers_are_refused_before_anything_is_heard(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    params = spec.params.model_copy(update={"decoder_layers": 4})
    with pytest.raises(UsageError, match=r"training\.decoder_layers is 4"):
        prepare(dataclasses.replace(spec, params=params), tmp_path)
