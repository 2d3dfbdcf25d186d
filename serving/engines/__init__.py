"""Engines: a model in the form that answers requests. Build one, load one, name one."""

from serving.engines.description import engine_sha256
from serving.engines.loading import load_engine

__all__ = ["engine_sha256", "load_engine"]
