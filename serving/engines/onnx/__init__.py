"""Whisper on ONNX Runtime: own graphs, their precisions, and what runs them."""

from serving.engines.onnx.build import KIND, build
from serving.engines.onnx.runtime import load

__all__ = ["KIND", "build", "load"]
