"""What every room of VoiceForge stands on: errors, files, parameters and settings.

This package imports nothing of the others, and every other may import it.
"""

__version__ = "0.1.0"
