"""NVIDIA NeMo as a training backend: Canary, FastConformer and Parakeet from and to `.nemo`."""
