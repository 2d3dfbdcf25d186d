"""The model card: read by the Hub's own library, true to the artifacts, and its command holds."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.main import app
from lifecycle import adapter, splits
from lifecycle.adapter import parameters
from lifecycle.model_card import FILE, STAGE, make_model_card
from lifecycle.model_version import make_model_version
from lifecycle.reproduction import hash_of, reproduce
from lifecycle.workspace import open_workspace
from voiceforge.errors import UsageError
from voiceforge.settings import load_settings

DOMAIN = "telephony-en"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(project: Path) -> str:
    (project / ".gitignore").write_text("/var\n/data/corpora\n")
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", "-A")
    git(project, "commit", "--quiet", "-m", "a project")
    return git(project, "rev-parse", "HEAD")


def test_the_hubs_library_reads_the_head_and_its_results(world: Any) -> None:
    from huggingface_hub import ModelCard

    world.train("first", 1)
    made = make_model_card(world.workspace)
    card = ModelCard((made.path / FILE).read_text(), ignore_metadata_errors=False)
    assert card.data.language == ["en"]
    assert card.data.base_model == "openai/whisper-tiny.en"
    assert card.data.pipeline_tag == "automatic-speech-recognition"
    results = {one.dataset_config: one for one in card.data.eval_results or []}
    rows = world.workspace.current("accuracy_report").summary["slices"]
    assert {str(row["slice"]) for row in rows} <= set(results)
    overall = results["overall"]
    assert overall.metric_type == "wer" and overall.dataset_revision == "0a1b2c.dir"
    assert overall.metric_value == round(100 * rows[0]["word_error_rate"], 2)
    assert f"{rows[0]['words']:,} words" in str(overall.metric_name)


def test_the_card_counts_what_was_trained_on_and_says_what_it_does_not_know(world: Any) -> None:
    world.train("first", 1)
    made = make_model_card(world.workspace)
    text = (made.path / FILE).read_text()
    train = [row for row in splits.read_splits(world.workspace) if row.split == "train"]
    for synthetic, who in ((False, "people"), (True, "machines")):
        rows = [row for row in train if row.is_synthetic == synthetic]
        hours = sum(row.duration for row in rows) / 3600
        speakers = len({row.speaker for row in rows})
        accents = ", ".join({row.accent for row in rows})
        assert (
            f"| laid down | {who} | {speakers} | {accents} | {len(rows)} | {hours:.2f} | unknown "
            "| granted |"
        ) in text
    share = sum(row.duration for row in train if row.is_synthetic) / sum(r.duration for r in train)
    assert f"- {share:.0%} of its training speech is synthetic." in text
    assert "Nothing was measured in other languages than 'en'." in text
    # 1 s x threads x 10 W x 1.5, in kWh
    kwh = world.settings.threads * 10.0 * 1.5 / 3.6e6
    assert made.summary["kwh"] == pytest.approx(kwh)
    assert "telephony-en@0a1b2c.dir" in text and world.workspace.current("adapter").sha256 in text


def test_the_card_is_with_the_version_here_and_in_mlflow(world: Any) -> None:
    world.train("first", 1)
    version = make_model_version(world.workspace)
    card = world.workspace.current(STAGE)
    text = (card.path / FILE).read_text()
    assert (version.path / FILE).read_text() == text
    folder = world.registry.model_folder(DOMAIN, str(version.summary["version"]))
    assert (folder.parent / f"report-{STAGE}" / FILE).read_text() == text


def test_the_command_of_a_card_asks_for_the_same_adapter_in_a_fresh_checkout(
    world: Any, tmp_path: Path
) -> None:
    revision = commit(world.settings.project)
    world.train("first", 1)
    text = (make_model_card(world.workspace).path / FILE).read_text()
    block = text.split("```sh\n")[1].split("```")[0].splitlines()
    assert block[0] == f"git checkout {revision}" and "not committed" not in text
    # It is parsed by the command itself,
    name, *arguments = shlex.split(block[1])[1:]
    commands: Any = get_command(app)
    parsed = commands.commands[name].make_context(name, list(arguments))
    trained = world.workspace.current(adapter.STAGE)
    assert parsed.params == {
        "domain": DOMAIN,
        "corpus": "0a1b2c.dir",
        "adapter": trained.key,
        "parameters": hash_of(trained.parameters),
    }
    # and a checkout of that revision elsewhere gives the parameters that it names.
    git(tmp_path, "clone", "--quiet", str(world.settings.project), "elsewhere")
    fresh = open_workspace(DOMAIN, load_settings({}, tmp_path / "elsewhere"))
    assert hash_of(parameters(fresh)) == parsed.params["parameters"]


def test_uncommitted_changes_and_a_missing_checkout_are_said(world: Any) -> None:
    world.train("first", 1)
    text = (make_model_card(world.workspace).path / FILE).read_text()
    assert "no git checkout" in text and "git checkout" not in text.split("```sh")[1]
    commit(world.settings.project)
    (world.settings.project / "params.yaml").open("a").write("# a change\n")
    assert make_model_card(world.workspace).reused  # a commit makes no other model
    world.train("second", 1)
    assert (
        "held changes that were not committed"
        in (make_model_card(world.workspace).path / FILE).read_text()
    )


def test_other_parameters_are_refused_before_anything_is_done(world: Any) -> None:
    world.train("first", 1)
    wanted = hash_of(parameters(world.workspace))
    path = world.settings.project / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["domains"][DOMAIN].setdefault("training", {})["seed"] = 21
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match=f"and the model was made with {wanted}"):
        reproduce(world.workspace, "0a1b2c.dir", "0" * 16, wanted)
