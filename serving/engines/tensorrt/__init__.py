"""TensorRT plans of Whisper's two ONNX graphs, built ahead of time; nothing here executes a plan.

`flavour` finds which TensorRT there is, `profiles` says which shapes a plan takes, `build` makes
one plan of one graph, `plans` keeps plans by what they were made of, and `ahead` makes those of an
engine folder of ONNX Runtime.
"""

from serving.engines.tensorrt.ahead import plan_engine
from serving.engines.tensorrt.flavour import find_flavour

__all__ = ["find_flavour", "plan_engine"]
