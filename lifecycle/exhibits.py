"""The effects of `training.augmentation` as things to show: one by one, and as a training mixes
them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from data.augmentation.chain import Augmenter, Recipe
from voiceforge.errors import UsageError
from voiceforge.params import AugmentationParams

EVERYTHING, CHAIN = "everything", "chain"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One thing to show.

    Attributes:
        name: as `--effect` takes it.
        meaning: one sentence.
        params: what makes it happen.
        share: of the drawn clips that a training does this to.
    """

    name: str
    title: str
    meaning: str
    params: AugmentationParams
    share: float


def exhibits(params: AugmentationParams, names: Sequence[str], clips: int) -> list[Exhibit]:
    """What to show of a domain's augmentation, in the order of a call.

    Every effect always happens here, with values from the domain's ranges; only the chain follows
    the probabilities.

    Args:
        names: names of exhibits or of effects ("noise" for all of its kinds); none for all.
        clips: how many clips there are; from a single one no babble can be mixed.

    Raises:
        UsageError: an unknown name.
    """
    known = _all(params)
    if clips < 2:
        known = [_quiet(one) for one in known if one.name != "babble"]
    groups = {one.name: {one.name} for one in known}
    groups["noise"] = {"white", "pink", "babble"}
    groups["codec"] = {"mu-law", "a-law", "gsm", "opus"}
    unknown = [name for name in names if name not in groups]
    if unknown:
        raise UsageError(
            f"There is no effect {unknown[0]!r} to show. There are: {', '.join(groups)}."
        )
    wanted = set().union(*(groups[name] for name in names)) if names else set(groups)
    return [one for one in known if one.name in wanted]


def describe(recipe: Recipe, augmenter: Augmenter, length: int) -> str:
    """What happens to a clip of `length` samples afterwards: "speed 0.94, pink noise at 12 dB"."""
    parts = []
    if recipe.speed != 1.0:
        parts.append(f"speed {recipe.speed:.2f}")
    if recipe.room is not None:
        room = augmenter.room(recipe.room)
        size = " × ".join(f"{metres:.1f}" for metres in room.size)
        parts.append(f"room of {size} m, RT60 {room.rt60:.2f} s, {room.distance:.1f} m away")
    if noise := recipe.noise:
        of = f" of {noise.talkers} voices" if noise.kind == "babble" else " noise"
        parts.append(f"{noise.kind}{of} at {noise.snr:.0f} dB SNR")
    if codec := recipe.codec:
        rate = f" at {codec.bit_rate / 1000:.1f} kbit/s" if codec.kind == "opus" else ""
        parts.append(f"{_CODECS[codec.kind]}{rate}")
    if loss := recipe.packet_loss:
        instead = {"zero": "silence", "repeat": "repetition"}[loss.concealment]
        lost = augmenter.losses(recipe, length)
        parts.append(
            f"{lost.sum()} of {len(lost)} packets lost ({100 * loss.rate:.1f}% on average, "
            f"{loss.burst:.1f} in a row), {instead} instead"
        )
    if recipe.specaugment:
        parts.append("masks on the spectrogram")
    return ", ".join(parts) or "nothing"


_CODECS = {"mu-law": "G.711 mu-law", "a-law": "G.711 A-law", "gsm": "GSM 06.10", "opus": "Opus"}


def _all(params: AugmentationParams) -> list[Exhibit]:
    def one(name: str, title: str, meaning: str, effect: str, **changes: object) -> Exhibit:
        kinds = changes.get("kinds")
        own = params.effects[effect]
        offered = getattr(own, "kinds", ())
        share = own.probability
        if isinstance(kinds, tuple):
            share *= offered.count(kinds[0]) / len(offered)
        return Exhibit(name, title, meaning, _only(params, effect, **changes), share)

    every = _at(params, lambda _: 1.0)
    return [
        one("speed", "Speed", "Played faster or slower, the pitch with it.", "speed"),
        one("room", "Room", "Heard by a microphone in a room that echoes.", "room"),
        one("white", "White noise", "Hiss, as much of it at every frequency.", "noise",
            kinds=("white",)),
        one("pink", "Pink noise", "Rumble and hiss, as much of it in every octave.", "noise",
            kinds=("pink",)),
        one("babble", "Babble", "Other people talk, mixed from other clips of the corpus.",
            "noise", kinds=("babble",)),
        one("mu-law", "G.711 mu-law", "A telephone line of North America or Japan.", "codec",
            kinds=("mu-law",)),
        one("a-law", "G.711 A-law", "A telephone line of the rest of the world.", "codec",
            kinds=("a-law",)),
        one("gsm", "GSM full rate", "An old mobile telephone, 13 kbit/s.", "codec",
            kinds=("gsm",)),
        one("opus", "Opus", "A call over the internet.", "codec", kinds=("opus",)),
        one("packet-loss", "Packet loss", "Packets of 20 ms are lost, several in a row.",
            "packet_loss"),
        one("specaugment", "SpecAugment", "Masks on what the model sees; nothing to hear.",
            "specaugment"),
        Exhibit(EVERYTHING, "Everything at once", "The most that a clip could meet.", every, 0.0),
        Exhibit(CHAIN, "As configured", "What a training with these parameters draws for these "
                "clips.", params, float(params.is_on)),
    ]  # fmt: skip


def _quiet(exhibit: Exhibit) -> Exhibit:
    """The same without babble."""
    noise = exhibit.params.noise
    kinds = tuple(kind for kind in noise.kinds if kind != "babble") or ("white",)
    others = exhibit.params.model_copy(update={"noise": noise.model_copy(update={"kinds": kinds})})
    return replace(exhibit, params=others)


def _only(params: AugmentationParams, effect: str, **changes: object) -> AugmentationParams:
    """The parameters with this effect always on, changed so, and every other off."""
    alone = _at(params, lambda name: float(name == effect))
    own = alone.effects[effect].model_copy(update=changes)
    return alone.model_copy(update={effect: own})


def _at(params: AugmentationParams, probability: Callable[[str], float]) -> AugmentationParams:
    effects = {
        name: effect.model_copy(update={"probability": probability(name)})
        for name, effect in params.effects.items()
    }
    return params.model_copy(update=effects)
