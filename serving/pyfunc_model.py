"""Models-from-code: MLflow runs this file when it loads a version as a Python function.

It holds no model code of its own, only the hand-over to the installed package.
"""

import os
from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel

import voiceforge


class VoiceForgeModel(PythonModel):  # type: ignore[misc]
    """Transcribes audio files: paths in, dictionaries (text, words, confidence ...) out."""

    def load_context(self, context: Any) -> None:
        made_with = context.model_config.get("voiceforge", "")
        if made_with.split(".")[:2] != voiceforge.__version__.split(".")[:2]:
            raise RuntimeError(
                f"This model was registered with voiceforge {made_with}, and "
                f"{voiceforge.__version__} is installed. Install voiceforge=={made_with}."
            )
        from pathlib import Path

        from serving.confidence import FOLDER, calibrator_beside, read_calibrator
        from serving.engines import engine_sha256, load_engine

        threads = int(os.environ.get("VOICEFORGE_THREADS", len(os.sched_getaffinity(0))))
        folder = Path(context.artifacts["engine"])
        self.engine = load_engine(folder, threads)
        beside = calibrator_beside(folder)
        if beside is None and FOLDER in context.artifacts:
            raise RuntimeError(
                f"The calibrator that this model was registered with is gone from {folder.parent}: "
                "its confidences would mean something else without a word. Restore it, or run "
                "`voiceforge run` again."
            )
        self.calibrator = read_calibrator(beside, engine_sha256(folder)) if beside else None

    # MLflow makes a signature of the type hints, and none of its types fits the result.
    def predict(self, context, model_input: list[str]):  # type: ignore[no-untyped-def]
        from pathlib import Path

        from serving.transcription import transcribe_file

        return [
            transcribe_file(self.engine, Path(path), calibrator=self.calibrator).as_dict()
            for path in model_input
        ]


mlflow.models.set_model(VoiceForgeModel())
