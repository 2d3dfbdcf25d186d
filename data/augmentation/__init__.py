"""What may happen to a clip between a mouth and a model, for training: pure, seeded effects.

One module an effect, each a function of samples (mono, 16 kHz, float32, -1..1) to samples of the
same kind; `chain` draws which of them a clip meets and applies them in the order of a call.
"""
