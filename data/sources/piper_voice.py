"""Piper's voices: what a voice says of itself, and speech from text, in-process."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from data.audio import Samples, resample
from voiceforge.errors import AudioError, UsageError

_SEED = 20
"""Of the noise that Piper draws for pitch and pace."""

_speaking = threading.Lock()


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """A voice.

    Attributes:
        model: its .onnx file.
        name: as the file is called, such as "en_US-joe-medium".
        language: BCP 47 tag in lower case, such as "en-us"; "" where the voice does not say.
    """

    model: Path
    name: str
    language: str


def piper_version() -> str:
    """The version of Piper that is installed.

    Raises:
        UsageError: none is; names the extra.
    """
    try:
        return version("piper-tts")
    except PackageNotFoundError as error:
        raise UsageError(
            "A source of the kind piper needs the extra `piper`, which is not installed. Install "
            "it: `pip install 'voiceforge[piper]'`, or take the source out of params.yaml."
        ) from error


def read_facts(model: Path) -> VoiceFacts:
    """What a voice's configuration says.

    Raises:
        UsageError: it is no configuration of a Piper voice.
    """
    path = model.with_name(f"{model.name}.json")
    try:
        config = json.loads(path.read_bytes())
        code = str(config.get("language", {}).get("code", ""))
        int(config["audio"]["sample_rate"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is no configuration of a Piper voice ({type(error).__name__}: {error}). Fetch "
            "the voice again, both its files."
        ) from error
    language = code.lower().replace("_", "-")
    known = re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", language)
    return VoiceFacts(model, model.name.removesuffix(".onnx"), language if known else "")


def speak(text: str, model: str) -> Samples:
    """Speak a text; equal arguments give equal samples on one kind of processor.

    A voice draws noise, and ONNX Runtime goes on drawing where the last text stopped. It begins
    anew with the seed in a new session, for about 0.3 s a text; without noise Piper sounds flat.
    Several speakers in one voice: the default one speaks. Loudness is left as the voice gives it.

    Args:
        text: what to say.
        model: path of the voice's .onnx file, its configuration beside it.

    Raises:
        UsageError: the extra `piper` is not installed, or the voice cannot be loaded.
        AudioError: it said nothing, reason "synthesis".
    """
    piper_version()
    import onnxruntime
    from piper import PiperConfig, PiperVoice, SynthesisConfig

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # recordings are made at once
    with _speaking:
        onnxruntime.set_seed(_SEED)
        try:
            config = PiperConfig.from_dict(json.loads(Path(f"{model}.json").read_bytes()))
            session = onnxruntime.InferenceSession(
                model, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # whatever ONNX Runtime throws at a file that is no voice
            raise UsageError(
                f"The Piper voice {model} cannot be loaded ({error}). Fetch it again, both its "
                "files."
            ) from error
        voice = PiperVoice(session=session, config=config)
        as_it_is = SynthesisConfig(normalize_audio=False)
        heard = [chunk.audio_float_array for chunk in voice.synthesize(text, as_it_is)]
    if not sum(chunk.size for chunk in heard):
        raise AudioError(f"Piper said nothing for {text!r}.", reason="synthesis")
    return resample(np.concatenate(heard).astype(np.float32), int(config.sample_rate))
