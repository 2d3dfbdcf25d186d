"""The `.nemo` file without NeMo: what it says, what is refused, and what a new one keeps."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from training.nemo.archive import describe, read_weights, repack, tensor_digest
from training.nemo.models import check_model
from voiceforge.errors import IntegrityError, UsageError

CONFIG = {
    "target": "nemo.collections.asr.models.aed_multitask_models.EncDecMultiTaskModel",
    "prompt_format": "canary2",
    "preprocessor": {"sample_rate": 16000, "features": 128},
    "tokenizer": {"type": "agg", "langs": {"spl_tokens": {}, "en": {}, "de": {}}},
}


def weights(scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {"b.weight": scale * torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


class Harm:
    def __reduce__(self) -> Any:
        return (print, ("this ran",))


def archive(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def saved(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def members(config: Any = CONFIG, content: Any = None) -> dict[str, bytes]:
    return {
        "./model_config.yaml": yaml.safe_dump(config).encode(),
        "./model_weights.ckpt": saved(weights() if content is None else content),
        "./0123_tokenizer.model": b"letters",
    }


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_file_is_described_from_its_configuration(tmp_path: Path, mode: str) -> None:
    described = describe(archive(tmp_path / "m.nemo", members(), mode))
    assert described.model == "EncDecMultiTaskModel"
    assert (described.sample_rate, described.n_mels) == (16000, 128)
    assert described.languages == ("de", "en")
    assert described.prompted


def test_the_same_weights_have_one_digest_however_packed(tmp_path: Path) -> None:
    one = archive(tmp_path / "one.nemo", members())
    half = {name: tensor.half() for name, tensor in reversed(weights().items())}
    other = archive(tmp_path / "other.nemo", members({**CONFIG, "x": 1}, half), "w:gz")
    assert tensor_digest(one) == tensor_digest(other)
    assert tensor_digest(archive(tmp_path / "c.nemo", members(content=weights(2.0)))) != (
        tensor_digest(one)
    )


@pytest.mark.parametrize("name", ["model_weights.ckpt", "timestamps_asr_model_weights.ckpt"])
@pytest.mark.parametrize("way", ["zip", "plain"])
def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run_it(
    tmp_path: Path, name: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {**weights(), "x": Harm()}
    content = saved(bad) if way == "zip" else pickle.dumps(bad)
    path = archive(tmp_path / "m.nemo", {**members(), f"./{name}": content})
    with pytest.raises(UsageError, match=rf"{name} in .*m\.nemo holds more than weights"):
        read_weights(path)
    assert "this ran" not in capsys.readouterr().out


def test_damage_is_named(tmp_path: Path) -> None:
    whole = archive(tmp_path / "m.nemo", members())
    half = tmp_path / "half.nemo"
    half.write_bytes(whole.read_bytes()[:700])
    with pytest.raises(IntegrityError, match=r"no whole \.nemo file"):
        describe(half)
    (tmp_path / "text.nemo").write_text("no tar at all")
    with pytest.raises(IntegrityError, match=r"no whole \.nemo file"):
        describe(tmp_path / "text.nemo")
    cut = {**members(), "./model_weights.ckpt": saved(weights())[:200]}
    with pytest.raises(IntegrityError, match="damaged"):
        read_weights(archive(tmp_path / "cut.nemo", cut))
    with pytest.raises(IntegrityError, match=r"holds no model_weights\.ckpt"):
        read_weights(archive(tmp_path / "empty.nemo", {"./model_config.yaml": b"{}"}))
    with pytest.raises(IntegrityError, match="not that of a speech recognition model"):
        describe(archive(tmp_path / "other.nemo", members({"target": "x.Y"})))


def test_nothing_is_unpacked_outside(tmp_path: Path) -> None:
    for name in ("../outside.ckpt", "/tmp/outside.ckpt", "folder/inside.ckpt"):  # noqa: S108
        path = archive(tmp_path / "m.nemo", {**members(), name: b"x"})
        with pytest.raises(IntegrityError, match="plain files without folders"):
            read_weights(path)
    assert not (tmp_path.parent / "outside.ckpt").exists()


def test_other_classes_and_rates_are_refused_with_what_is_allowed(tmp_path: Path) -> None:
    titanet = {**CONFIG, "target": "nemo.collections.asr.models.EncDecSpeakerLabelModel"}
    with pytest.raises(UsageError, match=r"EncDecSpeakerLabelModel\. .*EncDecMultiTaskModel"):
        check_model(archive(tmp_path / "s.nemo", members(titanet)))
    narrow = {**CONFIG, "preprocessor": {"sample_rate": 8000, "features": 64}}
    with pytest.raises(UsageError, match="hears 8000 Hz"):
        check_model(archive(tmp_path / "n.nemo", members(narrow)))


def test_a_new_file_keeps_everything_but_the_weights(tmp_path: Path) -> None:
    """The second model that Canary carries for timestamps, and the tokenizer by its name."""
    second = saved({"c.weight": torch.zeros(3)})
    path = archive(
        tmp_path / "m.nemo", {**members(), "./timestamps_asr_model_weights.ckpt": second}
    )
    repack(path, weights(3.0), tmp_path / "new.nemo")
    with tarfile.open(path) as before, tarfile.open(tmp_path / "new.nemo") as after:
        assert sorted(after.getnames()) == sorted(before.getnames())
        for name in before.getnames():
            one, other = (tar.extractfile(name) for tar in (before, after))
            assert one is not None
            assert other is not None
            assert (one.read() == other.read()) == (name != "./model_weights.ckpt"), name
    assert torch.equal(read_weights(tmp_path / "new.nemo")["b.weight"], weights(3.0)["b.weight"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda known: known | {"lora_A": torch.ones(1)}, "lora_A is unknown"),
        (lambda known: {"a.bias": known["a.bias"]}, r"b\.weight is missing"),
        (lambda known: known | {"a.bias": torch.ones(3)}, r"a\.bias has another shape"),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path: Path, change: Any, says: str) -> None:
    """Such as those of a model whose LoRA matrices were not merged, which NeMo would save."""
    path = archive(tmp_path / "m.nemo", members())
    with pytest.raises(IntegrityError, match=says):
        repack(path, change(weights()), tmp_path / "new.nemo")
    assert not (tmp_path / "new.nemo").exists()
