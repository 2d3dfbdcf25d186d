"""The errors that a person is meant to read.

An error is one paragraph: what could not be done, why, and what to do about it. The command line
prints it without a traceback and ends with the error's exit code: 2 where the caller's words were
off (an unknown domain, a bad value), 1 where the work failed.
"""

from __future__ import annotations


class VoiceForgeError(Exception):
    """Base of every error that VoiceForge raises on purpose."""

    exit_code = 1


class UsageError(VoiceForgeError):
    """What the caller asked for cannot be meant: a wrong name, key, value or path."""

    exit_code = 2


class SourceError(VoiceForgeError):
    """No source of a model or corpus could deliver it; names each source that was tried."""


class IntegrityError(VoiceForgeError):
    """A file is not what its recorded sha256 says it is."""


class AudioError(VoiceForgeError):
    """A recording could not be read as audio. `reason` is a stable short code for quarantine."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StorageError(VoiceForgeError):
    """A disk is full, read-only, or does not hold what it should."""


class StageError(VoiceForgeError):
    """A stage of the lifecycle failed; what it had finished before is kept."""


class GivenUpError(VoiceForgeError):
    """The caller gave up on work that had begun; what it had done is dropped."""
