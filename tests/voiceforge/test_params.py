"""params.yaml: overlays, and errors that name the key, the value and what is allowed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.offered import parse_engine
from voiceforge.errors import UsageError
from voiceforge.params import domain_params, load_params, parse_params
from voiceforge.params.evaluation import EngineName


@pytest.fixture(scope="module")
def shipped(project: Path) -> dict[str, Any]:
    content = yaml.safe_load((project / "params.yaml").read_text())
    assert isinstance(content, dict)
    return content


def changed(shipped: dict[str, Any], path: str, value: Any) -> str:
    """The shipped file with one key of telephony-en set."""
    content = copy.deepcopy(shipped)
    *way, last = ["domains", "telephony-en", *path.split(".")]
    place: Any = content
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    place[int(last) if isinstance(place, list) else last] = value
    return yaml.safe_dump(content, sort_keys=False)


def test_a_domain_is_the_defaults_under_its_own_keys(shipped: dict[str, Any]) -> None:
    params = parse_params(changed(shipped, "training.steps", 7), Path("p"))
    assert list(params) == ["telephony-en", "telephony-it"]
    english, italian = params.values()
    assert english.training.steps == 7
    assert english.training.rank == shipped["defaults"]["training"]["rank"]
    assert italian.training.rank == shipped["defaults"]["training"]["rank"]
    own = shipped["domains"]["telephony-it"]["training"]
    assert italian.training.learning_rate == own["learning_rate"]
    assert italian.training.steps == own["steps"] != 7
    assert (italian.evaluation.normaliser, english.evaluation.normaliser) == (
        "whisper-basic",
        "whisper-english",
    )


def test_a_list_replaces_and_a_null_keeps_the_default(shipped: dict[str, Any]) -> None:
    text = changed(shipped, "training.targets", ["fc1"])
    assert parse_params(text, Path("p"))["telephony-en"].training.targets == ("fc1",)
    text = changed(shipped, "training.targets", None)
    default = tuple(shipped["defaults"]["training"]["targets"])
    assert parse_params(text, Path("p"))["telephony-en"].training.targets == default


def test_all_linear_layers_need_no_list(shipped: dict[str, Any]) -> None:
    text = changed(shipped, "training.targets", "all-linear")
    assert parse_params(text, Path("p"))["telephony-en"].training.targets == ("all-linear",)


def test_what_is_off_leaves_an_adapters_key_as_it_was(shipped: dict[str, Any]) -> None:
    def outcome(**training: Any) -> dict[str, Any]:
        content = copy.deepcopy(shipped)
        content["defaults"]["training"] |= training
        text = yaml.safe_dump(content)
        return parse_params(text, Path("p"))["telephony-en"].training.outcome()

    plain = outcome()
    assert not {"rslora", "dora", "quantized_base", "gradient_checkpointing"} & set(plain)
    assert outcome(gradient_checkpointing=True) == plain
    assert outcome(rslora=True) == plain | {"rslora": True}


def test_engines_are_those_that_this_version_builds(shipped: dict[str, Any]) -> None:
    assert {str(parse_engine(name)) for name in get_args(EngineName)} == set(get_args(EngineName))
    content = copy.deepcopy(shipped)
    plain = parse_params(yaml.safe_dump(content), Path("p"))["telephony-en"]
    assert "alternatives" not in plain.engine.model_dump()  # hashes of certificates stay
    content["defaults"]["engine"] |= {"kind": "onnxruntime", "alternatives": ["ctranslate2:int8"]}
    several = parse_params(yaml.safe_dump(content), Path("p"))["telephony-en"].engine
    assert several.names == ("onnxruntime:int8", "ctranslate2:int8")
    assert several.model_dump(mode="json")["alternatives"] == ["ctranslate2:int8"]
    content["defaults"]["engine"]["precision"] = "int8_float32"
    with pytest.raises(UsageError, match="there is no engine onnxruntime:int8_float32; there is"):
        parse_params(yaml.safe_dump(content), Path("p"))


BAD: list[tuple[str, Any, str]] = [
    ("base_model", 3, "base_model is 3: "),
    ("language", "English", "language is 'English': "),
    ("sources", [], "sources is "),
    ("sources.0.kind", "tape", "sources.0 is "),
    ("sources.0.language", "de", "sources.0.language is 'de': input should be 'en', 'es', 'fr'"),
    ("sources.1.accents", [], "sources.1.accents is "),
    ("sources.1.voices.dev", ["m1"], "the voice m1 is named twice"),
    (
        "training.backend",
        "kaldi",
        "training.backend is 'kaldi': input should be 'whisper' or 'nemo'",
    ),
    ("validation.minimum_seconds", 31, "validation.minimum_seconds is 31: "),
    ("validation.maximum_seconds", 0.1, "minimum_seconds 0.1 must be below maximum_seconds 0.1"),
    (
        "validation.maximum_characters_per_second",
        0.5,
        "must be below maximum_characters",
    ),
    ("validation.near_duplicates", 1.5, "validation.near_duplicates is 1.5: "),
    ("validation.minimum_level", 3, "validation.minimum_level is 3: "),
    ("validation.require_consent", "perhaps", "validation.require_consent is 'perhaps': "),
    ("validation.licences", "CC0-1.0", "validation.licences is 'CC0-1.0': "),
    ("validation.agreement.enabled", 7, "validation.agreement.enabled is 7: "),
    ("validation.agreement.maximum_errors", 0, "validation.agreement.maximum_errors is 0: "),
    ("validation.agreement.minimum_characters", 0, "agreement.minimum_characters is 0: "),
    ("splits.train", 0.9, "train + dev + test is 1.4, and must be 1"),
    ("splits.train", -0.1, "splits.train is -0.1: input should be greater than or equal to 0"),
    ("splits.seed", "x", "splits.seed is 'x': input should be a valid integer"),
    ("training.steps", 0, "training.steps is 0: input should be greater than or equal to 1"),
    ("training.steps", 1.5, "training.steps is 1.5: "),
    ("training.learning_rate", 0, "training.learning_rate is 0: input should be greater than 0"),
    ("training.learning_rate", float("nan"), "training.learning_rate is nan: "),
    ("training.dropout", 1.0, "training.dropout is 1.0: input should be less than 1"),
    ("training.trailing_silence", [2, 1], "must be [least, most] seconds"),
    ("training.trailing_silence", [1], "training.trailing_silence.1 is missing"),
    ("training.samples.prompted", 2, "training.samples.prompted is 2: input should be less"),
    ("training.samples.prefix", float("nan"), "training.samples.prefix is nan: input should be"),
    ("training.samples.silence_before", [1, 11], "must be [least, most] seconds, 0 <= least"),
    (
        "training.samples",
        {
            "timestamps": 0.6,
            "prompted": 0.6,
            "no_speech": 0,
            "prefix": 0,
            "leading_silence": 0,
            "silence_before": [0, 1],
        },
        "may add up to 1 at most, and are 1.2",
    ),
    ("training.augmentation.noise.probability", 2, "noise.probability is 2: input should be less"),
    ("training.augmentation.speed.ratio", [1.1, 0.9], "must be [least, most], 0.5 <= least <= "),
    ("training.augmentation.speed.ratio", [0.1, 1], "speed.ratio is [0.1, 1]: must be [least, "),
    ("training.augmentation.room.rt60", [0.2, 9], "must be [least, most] seconds, 0.1 <= least"),
    ("training.augmentation.room.rt60", [float("nan"), 1], "must be [least, most] seconds"),
    ("training.augmentation.room.rooms", 0, "room.rooms is 0: input should be greater than or"),
    ("training.augmentation.noise.snr", [5, 99], "must be [least, most] dB, -10 <= least <= most"),
    ("training.augmentation.noise.kinds", [], "training.augmentation.noise.kinds is "),
    ("training.augmentation.noise.kinds", ["brown"], "input should be 'white', 'pink' or 'babble'"),
    ("training.augmentation.noise.talkers", [1, 3], "must be [least, most], 2 <= least"),
    ("training.augmentation.codec.bit_rate", [5e3, 6e3], "must be [least, most] bit/s, 6000 <="),
    ("training.augmentation.codec.kinds", ["mp3"], "input should be 'mu-law', 'a-law', 'gsm' or"),
    ("training.augmentation.packet_loss.rate", [0, 0.9], "must be [least, most], 0 <= least <="),
    ("training.augmentation.packet_loss.burst", [0.5, 2], "must be [least, most] packets, 1 <="),
    ("training.augmentation.packet_loss.concealment", ["g.711.1"], "should be 'zero' or 'repeat'"),
    ("training.augmentation.specaugment.time_share", 0.6, "time_share is 0.6: input should be"),
    ("training.distillation.logits", -1, "distillation.logits is -1: input should be greater"),
    ("training.distillation.encoder", float("nan"), "training.distillation.encoder is nan: "),
    ("training.distillation.temperature", 0, "distillation.temperature is 0: input should be gr"),
    ("training.replay.share", 1.5, "training.replay.share is 1.5: input should be less than"),
    ("training.replay.sources", [], "share is above 0 and sources is empty: name what to replay"),
    ("training.replay.labels", "mine", "replay.labels is 'mine': input should be 'base-model' or"),
    ("training.replay.sources", [{"kind": "tape"}], "training.replay.sources.0 is "),
    ("engine.precision", "int4", "engine.precision is 'int4': input should be 'int8', "),
    ("engine.alternatives", ["onnx:int8"], "engine.alternatives.0 is 'onnx:int8': input should"),
    ("engine.alternatives", ["ctranslate2:int8"], "ctranslate2:int8 is named twice: alternativ"),
    ("engine.kind", "onnx", "engine.kind is 'onnx': input should be 'ctranslate2'"),
    ("evaluation.confidence", 95, "evaluation.confidence is 95: input should be less than 1"),
    ("evaluation.resamples", 10, "evaluation.resamples is 10: "),
    ("gates.human.kind", "better", "gates.human.kind is 'better': "),
    ("gates.overall.margin", 1.0, "gates.overall is "),
    ("quarantine_limit", 2, "quarantine_limit is 2: input should be less than or equal to 1"),
    ("schedule", "0 3 * *", "schedule is '0 3 * *': it has 4 fields, and must have five"),
    ("schedule", "0 25 * * 1", "schedule is '0 25 * * 1': '25' is no hour (0 to 23"),
    ("schedule", 5, "schedule is 5: "),
]

BAD += [
    ("training.targets", "q_proj", "training.targets is 'q_proj': "),
    ("training.targets", [], "training.targets is []: "),
    ("training.rslora", 3, "training.rslora is 3: input should be a valid boolean"),
    ("training.dora", "deep", "training.dora is 'deep': input should be a valid boolean"),
    ("training.quantized_base", 4, "training.quantized_base is 4: "),
    ("training.gradient_checkpointing", "some", "training.gradient_checkpointing is 'some': "),
    ("training.adapter_weight", 0, "training.adapter_weight is 0: "),
    ("training.adapter_weight", 1.5, "training.adapter_weight is 1.5: "),
    ("training.dora", True, "adapter_weight is 0.8 and dora is true"),
    ("training.decoder_layers", 0, "training.decoder_layers is 0: "),
]

BAD += [
    ("evaluation.replacements", "", "evaluation.replacements is '': "),
    ("evaluation.replacements", ["a.tsv"], "evaluation.replacements is ['a.tsv']: "),
]

_HUB = {"kind": "huggingface", "language": "en", "dataset": "me/talk", "revision": "a" * 40}
_PIPER = {"kind": "piper", "texts": "prompts", "language": "en", "voice": "v", "clips": 9}
BAD += [
    ("sources.0", {**_HUB, "path": "here"}, "give either path (a folder) or dataset (of the Hub)"),
    ("sources.0", {"kind": "huggingface", "language": "en"}, "give either path"),
    ("sources.0", {**_HUB, "revision": None}, "a dataset of the Hub needs revision, the 40 digits"),
    ("sources.0", {**_HUB, "revision": "main"}, "sources.0.revision is 'main': "),
    ("sources.0", {**_HUB, "dataset": "../x"}, "sources.0.dataset is '../x': "),
    ("sources.0", {**_HUB, "split": "train[:5%]"}, "sources.0.split is 'train[:5%]': "),
    ("sources.0", {**_HUB, "columns": {"audio": 3}}, "sources.0.columns.audio is 3: "),
    ("sources.0", {**_HUB, "consent": "yes"}, "sources.0.consent is 'yes': input should be 'grant"),
    ("sources.0", {**_PIPER, "voice": " "}, "a voice is a name of the catalogue or the path"),
    ("sources.0", {**_PIPER, "clips": 0}, "sources.0.clips is 0: "),
    (
        "sources.0",
        {"kind": "readings", "set": "bible", "language": "en"},
        "sources.0.set is 'bible'",
    ),
    (
        "sources.0",
        {"kind": "readings", "set": "austen", "language": "it"},
        "the readings austen have no 'it', only en",
    ),
    ("sources.0", {"kind": "common-voice", "path": "x", "language": "en", "tables": []}, "tables"),
    ("sources.0", {"kind": "librispeech", "path": "x", "language": "en", "subsets": []}, "subsets"),
    ("sources.0", {"kind": "nemo-manifest", "language": "en"}, "sources.0.path is missing"),
    ("sources.0", {"kind": "corrections", "path": "x"}, "sources.0.language is missing"),
]

_VOICES = {"train": ["m1"], "dev": ["m5"], "test": ["m6"]}
_TERMS = {"kind": "terms", "language": "en", "accents": ["en-us"], "voices": _VOICES}
_SWAPPED = {**_VOICES, "train": ["m6"], "test": ["m1"]}
_JOE = "piper-joe-en-us"
BAD += [
    ("vocabulary.terms", ["Zelvora", "zelvora"], "the term 'zelvora' is named twice"),
    ("vocabulary.terms", ["..."], "'...' needs letters or digits on both sides"),
    ("vocabulary.terms", ["a | b | c"], "has more than one bar; write 'term | how it is spoken'"),
    ("vocabulary.terms", ["one two three four five six seven"], "has more than 6 words"),
    ("training.term_factor", 0, "training.term_factor is 0: "),
    ("training.term_factor", 11, "training.term_factor is 11: "),
    ("sources.0", {**_TERMS, "clips_per_term": {"train": 0}}, "clips_per_term.train is 0: "),
    ("sources.0", {**_TERMS, "accents": []}, "sources.0.accents is "),
    ("sources.0", {**_TERMS, "voices": _SWAPPED}, "a voice belongs to one split"),
    (
        "sources",
        [{**_TERMS, "piper_voices": [_JOE]}, {**_PIPER, "voice": _JOE}],
        "the voice piper-joe-en-us speaks for a source of the kind piper as well",
    ),
    ("energy.pue", 0.9, "energy.pue is 0.9: "),
    ("energy.cpu_watts", 0, "energy.cpu_watts is 0: "),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD)
def test_a_bad_value_is_named_with_what_is_allowed(
    shipped: dict[str, Any], path: str, value: Any, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_params(changed(shipped, path, value), Path("here/params.yaml"))
    message = str(caught.value)
    assert message.startswith("here/params.yaml: telephony-en.")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("path", "siblings"),
    [
        ("lerning_rate", "base_model, sources, validation, splits, training"),
        ("training.lerning_rate", "batch_size, learning_rate, warmup"),
        ("training.samples.echo", "timestamps, prompted, no_speech, prefix, leading_silence"),
        ("training.augmentation.echo", "speed, room, noise, codec, packet_loss, specaugment"),
        ("training.augmentation.noise.level", "probability, kinds, snr, talkers"),
        ("gates.human.slack", "kind, margin"),
        ("sources.0.voice", "kind, language"),
        ("sources.1.voices.eval", "train, dev, test"),
        ("sources.1.clips_per_accent.test", "train, dev"),
        ("name", "The name is the key itself"),
    ],
)
def test_an_unknown_key_is_named_with_the_known_ones(
    shipped: dict[str, Any], path: str, siblings: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_params(changed(shipped, path, 1), Path("p"))
    assert f"unknown key {'domains.' if path == 'name' else ''}telephony-en.{path}" in str(
        caught.value
    )
    assert siblings in str(caught.value)


def test_an_unknown_key_of_a_block_in_a_source_is_named(shipped: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"sources\.0\.columns\.gender .*audio, text, speaker"):
        value = {**_HUB, "columns": {"gender": "sex"}}
        parse_params(changed(shipped, "sources.0", value), Path("p"))


def test_a_superiority_gate_takes_no_margin(shipped: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"telephony-en\.gates\.overall .* has no margin"):
        parse_params(changed(shipped, "gates.overall.margin", 0.5), Path("p"))
    gate = {"kind": "non-inferiority", "margin": 0.5}
    params = parse_params(changed(shipped, "gates.overall", gate), Path("p"))
    assert params["telephony-en"].gates.overall.margin == 0.5


def test_a_missing_key_is_named(shipped: dict[str, Any]) -> None:
    content = copy.deepcopy(shipped)
    del content["defaults"]["training"]["rank"]
    with pytest.raises(UsageError, match=r"telephony-en\.training\.rank is missing"):
        parse_params(yaml.safe_dump(content), Path("p"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "is not valid YAML"),
        ("- 1", "must hold the keys 'defaults' and 'domains'"),
        ("", "must hold the keys"),
        ("domain: {}", "unknown key 'domain'. Allowed here: defaults, domains."),
        ("domains: [a]", "domains is ['a']. It must be a mapping."),
        ("defaults: 3", "defaults is 3. It must be a mapping."),
        ("domains: {a: 3}", "domains.a is 3. It must be a mapping."),
    ],
)
def test_a_file_that_is_no_params_file_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_params(text, Path("p"))
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["Upper", "a_b", "-a", "a/b", "", "a" * 64])
def test_a_bad_name_is_refused(shipped: dict[str, Any], name: str) -> None:
    content = {**shipped, "domains": {name: shipped["domains"]["telephony-en"]}}
    with pytest.raises(UsageError, match="name"):
        parse_params(yaml.safe_dump(content), Path("p"))


def test_a_name_that_yaml_reads_as_a_number_is_its_text(shipped: dict[str, Any]) -> None:
    content = {**shipped, "domains": {7: shipped["domains"]["telephony-en"]}}
    (params,) = parse_params(yaml.safe_dump(content), Path("p")).items()
    assert params[0] == params[1].name == "7"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is missing"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        load_params(tmp_path)


def test_an_unknown_domain_is_named_with_the_known_ones(project: Path) -> None:
    with pytest.raises(
        UsageError, match=r"'telefony'.*telephony-en, telephony-it.*corpus add telefony"
    ):
        domain_params(project / "params.yaml", "telefony")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(sorted({path for path, _, _ in BAD})),
)
def test_no_value_of_any_key_is_more_than_a_usage_error(
    shipped: dict[str, Any], value: Any, path: str
) -> None:
    try:
        params = parse_params(changed(shipped, path, value), Path("p"))
    except UsageError as error:
        assert str(error).startswith("p: ") or "is not valid YAML" in str(error)
    else:
        assert params["telephony-en"].name == "telephony-en"
