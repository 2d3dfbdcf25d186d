"""The kinds of sources that a domain's corpus may be built from; `data.sources` reads each."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from voiceforge.params.base import Consent, LanguageCode, Positive, Strict

PromptLanguage = Literal["en", "es", "fr", "it", "ru"]
SENTENCE_LANGUAGES = ("en", "es", "it")
"""Of which the catalogue has everyday sentences."""


class _OwnRecordings(Strict):
    """What sources of a user's own recordings have in common."""

    path: str = Field(description="Where it lies, absolute or relative to params.yaml.")
    language: LanguageCode = Field(description="Language of rows that name none.")
    licence: str = Field(default="unknown", description="Licence of rows that name none.")
    consent: Consent = Field(
        default="unknown", description="Whether the speakers of rows that say nothing agreed."
    )


class FolderSource(_OwnRecordings):
    """Your own recordings: a folder with a CSV or TSV of `audio,text[,speaker,accent,...]`
    ([adapt.md](adapt.md))."""

    kind: Literal["folder"] = Field(description="This kind of source.")
    table: str | None = Field(
        default=None,
        description="Name of the CSV or TSV, needed where the folder holds several.",
    )


class CommonVoiceSource(_OwnRecordings):
    """A release of Mozilla Common Voice, or recordings laid out like one: tables of clips and a
    folder `clips` ([data-sources.md](data-sources.md#common-voice))."""

    kind: Literal["common-voice"] = Field(description="This kind of source.")
    path: str = Field(
        description="The release's folder of one language, which holds `clips`, absolute or "
        "relative to params.yaml."
    )
    licence: str = Field(default="CC0-1.0", description="Licence of the clips.")
    tables: tuple[str, ...] = Field(
        default=("validated",),
        min_length=1,
        description="Tables to read, without `.tsv`; a clip counts once.",
    )


class LibriSpeechSource(_OwnRecordings):
    """LibriSpeech, or recordings laid out like it: `SUBSET/SPEAKER/CHAPTER/*.trans.txt` beside
    FLAC files ([data-sources.md](data-sources.md#librispeech))."""

    kind: Literal["librispeech"] = Field(description="This kind of source.")
    path: str = Field(
        description="The folder that holds the subsets, absolute or relative to params.yaml."
    )
    licence: str = Field(default="CC-BY-4.0", description="Licence of the recordings.")
    subsets: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Subsets to read, such as `train-clean-100`; all where none is named.",
    )


class NemoManifestSource(_OwnRecordings):
    """A NeMo manifest: a file with a JSON object a line, of `audio_filepath`, `text`, `duration`
    ([data-sources.md](data-sources.md#nemo-manifest))."""

    kind: Literal["nemo-manifest"] = Field(description="This kind of source.")
    path: str = Field(description="The manifest, absolute or relative to params.yaml.")
    audio_root: str | None = Field(
        default=None,
        description="Folder that absolute `audio_filepath`s must lie in; without it only paths "
        "relative to the manifest are read.",
    )


class HuggingFaceColumns(Strict):
    """Which columns of a dataset hold what."""

    audio: str = Field(default="audio", description="Column of the audio.")
    text: str = Field(default="text", description="Column of the transcript.")
    speaker: str | None = Field(default=None, description="Column of the speaker.")
    accent: str | None = Field(default=None, description="Column of the accent, a language tag.")
    language: str | None = Field(default=None, description="Column of the language tag.")
    licence: str | None = Field(default=None, description="Column of the licence.")
    consent: str | None = Field(default=None, description="Column of the consent.")
    id: str | None = Field(default=None, description="Column of an id.")


class HuggingFaceSource(Strict):
    """A dataset as Hugging Face `datasets` stores it, in a folder or on the Hub
    ([data-sources.md](data-sources.md#hugging-face-datasets))."""

    kind: Literal["huggingface"] = Field(description="This kind of source.")
    path: str | None = Field(
        default=None, description="A local dataset's folder, absolute or relative to params.yaml."
    )
    dataset: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$",
        description="A dataset of the Hub, instead of `path`.",
    )
    revision: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{40}$",
        description="Commit of the Hub's dataset, so that every build reads the same.",
    )
    config: str | None = Field(default=None, description="Configuration, where there are several.")
    split: str = Field(
        default="train",
        pattern=r"^\w+(\.\w+)*$",
        description="Split of the dataset to read; the corpus is split anew.",
    )
    columns: HuggingFaceColumns = HuggingFaceColumns()
    language: LanguageCode = Field(description="Language of rows that name none.")
    licence: str = Field(default="unknown", description="Licence of rows that name none.")
    consent: Consent = Field(
        default="unknown", description="Whether the speakers of rows that say nothing agreed."
    )

    @model_validator(mode="after")
    def _one_place(self) -> HuggingFaceSource:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give either path (a folder) or dataset (of the Hub)")
        if (self.dataset is None) != (self.revision is None):
            raise ValueError(
                "a dataset of the Hub needs revision, the 40 digits of a commit; a folder has none"
            )
        return self


class CorrectionsSource(Strict):
    """Corrections that the service exported: `corrections.jsonl` and the audio beside it
    ([data-sources.md](data-sources.md#corrections))."""

    kind: Literal["corrections"] = Field(description="This kind of source.")
    path: str = Field(description="The exported folder, absolute or relative to params.yaml.")
    language: LanguageCode = Field(
        description="Language of the domain; corrections in others are skipped."
    )


class PromptsSource(Strict):
    """Telephone prompts that a professional speaker reads."""

    kind: Literal["prompts"] = Field(description="This kind of source.")
    language: PromptLanguage = Field(description="Which of the catalogue's prompts.")


class Voices(Strict):
    """eSpeak voice variants by split: a voice is a speaker, and no split hears another's."""

    train: tuple[str, ...] = Field(min_length=1, description="Voice variants that training hears.")
    dev: tuple[str, ...] = Field(min_length=1, description="Voice variants of dev.")
    test: tuple[str, ...] = Field(
        min_length=1,
        description="Voice variants of test. No variant may be in two of the three lists.",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> Voices:
        every = [*self.train, *self.dev, *self.test]
        shared = sorted({voice for voice in every if every.count(voice) > 1})
        if shared:
            raise ValueError(f"the voice {shared[0]} is named twice; each belongs to one split")
        return self


class ClipsPerAccent(Strict):
    train: Positive = Field(description="Clips for training, of each accent.")
    dev: int = Field(ge=0, description="Clips for dev, of each accent; 0 for none.")


Texts = Literal["prompts", "sentences"]
"""What machines speak."""


class _MachineSpeech(Strict):
    """Texts that a machine speaks."""

    texts: Texts = Field(
        description="What is spoken: the telephone prompts of the catalogue, or its everyday "
        f"sentences ({', '.join(SENTENCE_LANGUAGES)})."
    )
    language: PromptLanguage = Field(description="Language of the texts and voices.")

    @model_validator(mode="after")
    def _has_texts(self) -> Self:
        if self.texts == "sentences" and self.language not in SENTENCE_LANGUAGES:
            raise ValueError(
                f"the catalogue has no sentences in {self.language!r}, only in "
                f"{', '.join(SENTENCE_LANGUAGES)}"
            )
        return self


class EspeakSource(_MachineSpeech):
    """Synthetic accents: eSpeak NG speaks the texts of another source."""

    kind: Literal["espeak"] = Field(description="This kind of source.")
    accents: tuple[str, ...] = Field(
        min_length=1, description="eSpeak accents, such as `en-gb-scotland`."
    )
    voices: Voices
    clips_per_accent: ClipsPerAccent
    words_per_accent: int = Field(
        ge=0,
        description="Held-out words of each accent, as far as texts and test voices reach; 0 for "
        "none, where the source is for training alone.",
    )


class PiperSource(_MachineSpeech):
    """A natural synthetic voice: Piper speaks the texts of another source (needs the extra
    `piper`)."""

    kind: Literal["piper"] = Field(description="This kind of source.")
    voice: str = Field(
        description="Name in the catalogue ([data-sources.md](data-sources.md#piper)), or the path "
        "of a voice's `.onnx` with its `.onnx.json` beside it."
    )
    clips: Positive = Field(description="Texts that are spoken, as far as there are so many.")
    licence: str | None = Field(
        default=None,
        description="Licence of the voice, for one of your own; the catalogue knows its own.",
    )

    @field_validator("voice")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a voice is a name of the catalogue or the path of an .onnx file")
        return value


class ClipsPerTerm(Strict):
    train: Positive = Field(default=16, description="Clips for training, of each term.")
    dev: Positive = Field(default=2, description="Clips for dev, of each term.")
    test: Positive = Field(default=8, description="Held-out clips of each term.")


class TermsSource(Strict):
    """Sentences around each term of the domain's `vocabulary`, spoken by eSpeak NG
    ([vocabulary.md](vocabulary.md))."""

    kind: Literal["terms"] = Field(description="This kind of source.")
    language: LanguageCode = Field(description="Language of the sentences and voices.")
    accents: tuple[str, ...] = Field(min_length=1, description="eSpeak accents, such as `en-gb`.")
    voices: Voices
    texts: str | None = Field(
        default=None,
        description="Sentences of the domain into which terms are put, besides the built-in ones: "
        "`prompts`, or a text file with a sentence a line, absolute or relative to params.yaml. A "
        "`{term}` in a line says where; otherwise the term takes the place of its longest word.",
    )
    clips_per_term: ClipsPerTerm = ClipsPerTerm()
    piper_voices: tuple[str, ...] = Field(
        default=(),
        description="Voices of Piper that training hears as well, each as often as an accent "
        "(needs the extra `piper`): names in the catalogue or paths of an `.onnx`.",
    )


ReadingName = Literal["austen", "dickens", "warzone", "stamps", "potato"]
READINGS: dict[ReadingName, tuple[str, ...]] = {
    "austen": ("en",),
    "dickens": ("en",),
    "warzone": ("en",),
    "stamps": ("ca", "da", "de", "el", "en", "es", "fr", "it", "nl", "pt", "ro", "ru"),
    "potato": ("en",),
}
"""Set of readings -> its languages."""


class ReadingsSource(Strict):
    """Real people in recordings that packages ship with their texts, for testing only: all of it is
    held out ([data-sources.md](data-sources.md#readings))."""

    kind: Literal["readings"] = Field(description="This kind of source.")
    set: ReadingName = Field(description="Which package's recordings.")
    language: LanguageCode = Field(description="Which of the languages that the set has.")

    @model_validator(mode="after")
    def _spoken(self) -> ReadingsSource:
        known = READINGS[self.set]
        if self.language not in known:
            raise ValueError(
                f"the readings {self.set} have no {self.language!r}, only {', '.join(known)}"
            )
        return self


Source = Annotated[
    PromptsSource
    | EspeakSource
    | PiperSource
    | TermsSource
    | ReadingsSource
    | FolderSource
    | CommonVoiceSource
    | LibriSpeechSource
    | NemoManifestSource
    | HuggingFaceSource
    | CorrectionsSource,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[Strict]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model
    for model in (
        FolderSource,
        CommonVoiceSource,
        LibriSpeechSource,
        NemoManifestSource,
        HuggingFaceSource,
        CorrectionsSource,
        PromptsSource,
        EspeakSource,
        PiperSource,
        TermsSource,
        ReadingsSource,
    )
}
"""Kind of source -> its parameters, in the order of docs/parameters.md; `Source` is the union."""
