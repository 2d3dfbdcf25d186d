"""Run Whisper's two graphs on ONNX Runtime; keys and values stay in its own memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.engines.alignment import align_attention
from serving.engines.contracts import EngineDescription
from serving.engines.description import read_description, verify_files
from serving.engines.onnx.graphs import DECODER, DECODING, ENCODER, names
from serving.engines.search import Logits, Rules, beam_search, greedy, sample
from serving.engines.whisper import Aligned, Generated, Mels, Sampling, WhisperEngine
from voiceforge.errors import IntegrityError
from voiceforge.files import read_json

_Ints = npt.NDArray[np.int64]


def load(path: Path, *, threads: int) -> OnnxEngine:
    """Load an engine folder after checking every file against `engine.json`.

    Raises:
        StorageError: there is no engine.json.
        IntegrityError: a file is not what was built, or no graph of a Whisper model.
        UsageError: the model does not know the engine's language.
    """
    description = read_description(path)
    verify_files(path, description)
    if not (path / DECODING).is_file():
        raise IntegrityError(
            f"{path} is {description.kind}:{description.precision} and has no {DECODING}: it is no "
            "engine of ONNX Runtime. Load it with serving.engines.load_engine."
        )
    return OnnxEngine(path, description, threads)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Keys and values of the encoder, as ONNX Runtime's own tensors, in the order of the graphs."""

    states: Sequence[Any]
    clips: int


class OnnxEngine(WhisperEngine):
    """A loaded Whisper engine; see `serving.engines.contracts.Engine`."""

    def __init__(self, path: Path, description: EngineDescription, threads: int) -> None:
        super().__init__(path, description)
        decoding = read_json(path / DECODING)
        try:
            self._layers = int(decoding["layers"])
            self._rules = Rules(
                end=self.tokens.end,
                # Whisper's vocabularies have it before the token that turns times off.
                no_speech=self.tokens.special("<|notimestamps|>") - 1,
                suppressed=tuple(decoding["suppressed"]),
                suppressed_first=tuple(decoding["suppressed_first"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{path / DECODING} does not say how to decode ({error!r}). Build the engine again."
            ) from error
        states = names("cross", self._layers)
        self._encoder = _session(path / ENCODER, threads, ["mel", *states])
        self._decoder = _session(
            path / DECODER,
            threads,
            ["ids", "places", "logits", "attention", *states]
            + [name for of in ("past", "present") for name in names(of, self._layers)],
        )

    def encode(self, mels: Mels) -> _Encoded:
        binding = self._encoder.io_binding()
        binding.bind_cpu_input("mel", np.ascontiguousarray(mels))
        for name in names("cross", self._layers):
            binding.bind_output(name, "cpu")
        self._encoder.run_with_iobinding(binding)
        return _Encoded(binding.get_outputs(), len(mels))

    def generate(
        self,
        encoded: _Encoded,
        prompt: Sequence[int],
        limit: int,
        *,
        beam_size: int,
        penalty: float,
        sampling: Sampling | None = None,
    ) -> list[Generated]:
        decoding = _Decoding(self._decoder, self._layers, encoded)
        asked: dict[str, Any] = {
            "clips": encoded.clips,
            "opening": list(prompt).index(self.tokens.special("<|startoftranscript|>")),
            "limit": limit,
            "penalty": penalty,
        }
        if sampling is not None:
            return sample(decoding, prompt, self._rules, sampling=sampling, **asked)
        if beam_size == 1:
            return greedy(decoding, prompt, self._rules, **asked)
        return beam_search(decoding, prompt, self._rules, beam_size=beam_size, **asked)

    def align(
        self,
        encoded: _Encoded,
        start: Sequence[int],
        tokens: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Aligned]:
        opened = [*start, self.tokens.special("<|notimestamps|>")]
        longest = max(map(len, tokens))
        ids = [[*opened, *text, *[self.tokens.end] * (longest - len(text))] for text in tokens]
        decoding = _Decoding(self._decoder, self._layers, encoded)
        attention = decoding.attention(np.asarray(ids, np.int64))
        first = len(opened) - 1
        return [
            Aligned(
                align_attention(
                    attention[clip, :, first : first + len(text) + 1],
                    min(attention.shape[3], max(1, positions[clip] // 2)),
                )
            )
            for clip, text in enumerate(tokens)
        ]

    def likeliest_language(self, mel: Mels) -> str:
        opening = self.tokens.special("<|startoftranscript|>")
        decoding = _Decoding(self._decoder, self._layers, self.encode(mel))
        logits, _ = decoding.begin([opening], 0)
        known = self.tokens.languages()
        return max(known, key=lambda code: logits[0, known[code]])


class _Decoding:
    """One decoding of a batch: see `serving.engines.search.Decoder`."""

    def __init__(self, session: Any, layers: int, encoded: _Encoded) -> None:
        self._session, self._layers = session, layers
        self._cross = list(encoded.states)
        self._clips = np.arange(encoded.clips)
        _, heads, _, width = self._cross[0].shape()
        empty = np.zeros((encoded.clips, heads, 0, width), _dtype(self._cross[0]))
        self._past = [_tensor(empty) for _ in self._cross]

    def begin(self, prompt: Sequence[int], opening: int) -> tuple[Logits, Logits]:
        ids = np.tile(np.asarray(prompt, np.int64), (len(self._clips), 1))
        logits = self._run(ids, [len(prompt) - 1, opening])
        return logits[:, 0], logits[:, 1]

    def step(self, tokens: _Ints) -> Logits:
        return self._run(np.asarray(tokens, np.int64)[:, None], [0])[:, 0]

    def take(self, rows: _Ints) -> None:
        self._past = [_tensor(state.numpy()[rows]) for state in self._past]
        clips = self._clips[rows]
        if not np.array_equal(clips, self._clips):  # beams of a clip share what it hears
            self._cross = [_tensor(state.numpy()[rows]) for state in self._cross]
            self._clips = clips

    def attention(self, ids: _Ints) -> npt.NDArray[np.float32]:
        """Of the alignment heads, shape [clips, heads, tokens, positions]."""
        binding = self._bound(ids, [0])
        binding.bind_output("attention", "cpu")
        self._session.run_with_iobinding(binding, _fetched_alone())
        found: npt.NDArray[np.float32] = binding.get_outputs()[0].numpy()
        return found.astype(np.float32, copy=False)

    def _run(self, ids: _Ints, places: Sequence[int]) -> npt.NDArray[np.float32]:
        binding = self._bound(ids, places)
        for name in ("logits", *names("present", self._layers)):
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding, _fetched_alone())
        logits, *self._past = binding.get_outputs()
        found: npt.NDArray[np.float32] = logits.numpy()
        return found.astype(np.float32, copy=False)

    def _bound(self, ids: _Ints, places: Sequence[int]) -> Any:
        binding = self._session.io_binding()
        binding.bind_cpu_input("ids", np.ascontiguousarray(ids))
        binding.bind_cpu_input("places", np.asarray(places, np.int64))
        for prefix, states in (("past", self._past), ("cross", self._cross)):
            for name, state in zip(names(prefix, self._layers), states, strict=True):
                binding.bind_ortvalue_input(name, state)
        return binding


def _session(path: Path, threads: int, tensors: Sequence[str]) -> Any:
    """The graph, ready to run, with inputs and outputs of these names.

    Raises:
        IntegrityError: it is no graph, or one that this ONNX Runtime or this engine cannot run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Two sessions take turns: threads that spin for work would take it from the other's.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common but this
        raise IntegrityError(
            f"{path} is no graph that ONNX Runtime {onnxruntime.__version__} can run ({error}). "
            "Build the engine again with this version of VoiceForge."
        ) from error
    has = {one.name for one in [*session.get_inputs(), *session.get_outputs()]}
    if has != set(tensors):
        differing = ", ".join(sorted(has ^ set(tensors))[:4])
        raise IntegrityError(
            f"{path} is no graph of this engine: its inputs and outputs differ in {differing}. "
            "Build the engine again with this version of VoiceForge."
        )
    return session


def _fetched_alone() -> Any:
    """What no fetched output needs, such as the attention of a step, is not computed."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def _tensor(values: npt.NDArray[Any]) -> Any:
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values))


def _dtype(tensor: Any) -> Any:
    return {"tensor(float)": np.float32, "tensor(float16)": np.float16}[tensor.data_type()]
