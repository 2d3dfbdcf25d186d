"""What a test does to its audio: the names of conditions, for speech and for audio without any.

`data.augmentation.conditions` makes the audio; measures of what a condition costs need its name
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

SpeechKind = Literal[
    "white noise", "pink noise", "babble", "clipping", "room", "mu-law", "a-law", "gsm", "opus",
    "packet loss",
]  # fmt: skip
NoSpeechKind = Literal["silence", "white noise", "pink noise", "tones", "music"]

UNITS: dict[str, str] = {
    "white noise": "dB SNR",
    "pink noise": "dB SNR",
    "babble": "dB SNR",
    "clipping": "dB over speech",
    "room": "s RT60",
    "opus": "kbit/s",
    "packet loss": "% lost",
}
"""What the level of a condition is measured in; the others have none."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way in which speech is heard worse.

    Attributes:
        kind: what happens; points of one kind make one curve.
        level: how much of it, in the kind's unit: SNR against the active speech level (ITU-T P.56),
            ceiling above that level of clipping, reverberation time, bit rate, share of packets.

    Raises:
        ValueError: an unknown kind, or a level where there is none, or none where there is one.
    """

    kind: SpeechKind
    level: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(SpeechKind):
            known = ", ".join(get_args(SpeechKind))
            raise ValueError(f"There is no condition {self.kind!r}. There are: {known}.")
        if (self.level is None) == (self.kind in UNITS):
            unit = UNITS.get(self.kind)
            wanted = f"a level in {unit}" if unit else "no level"
            raise ValueError(f"{self.kind} takes {wanted}, and has {self.level}.")

    @property
    def title(self) -> str:
        """Such as "pink noise, 10 dB SNR"."""
        if self.level is None:
            return self.kind
        return f"{self.kind}, {self.level:g} {UNITS[self.kind]}"


SPEECH_CONDITIONS: tuple[Condition, ...] = (
    *(Condition("pink noise", snr) for snr in (20.0, 15.0, 10.0, 5.0, 0.0, -5.0)),
    *(Condition("babble", snr) for snr in (20.0, 15.0, 10.0, 5.0, 0.0)),
    *(Condition("clipping", ceiling) for ceiling in (6.0, 0.0, -6.0, -12.0)),
    *(Condition("room", seconds) for seconds in (0.3, 0.6)),
    Condition("mu-law"),
    Condition("gsm"),
    *(Condition("opus", rate) for rate in (24.0, 12.0, 8.0)),
    *(Condition("packet loss", share) for share in (2.0, 5.0, 10.0)),
)
"""From bearable to hard, curve by curve."""

NO_SPEECH_CONDITIONS: tuple[NoSpeechKind, ...] = get_args(NoSpeechKind)
