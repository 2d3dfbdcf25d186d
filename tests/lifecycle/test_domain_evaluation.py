"""The stage evaluation report: the whole page of an evaluation, from predictions that exist."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from data.audio import write_flac
from data.forgotten import read_forgotten
from data.tables import UTTERANCES, write_utterances
from lifecycle import calibration, domain_evaluation, reports, signal_to_noise
from lifecycle.certificate import PAGE as CERTIFICATE_PAGE
from lifecycle.certificate import make_certificate
from lifecycle.domain_evaluation import asked, evaluate_domain, make_evaluation_report
from lifecycle.evaluated import BASELINE, CANDIDATE, FILE, pair, read
from lifecycle.evaluated_confidence import calibrator_of
from lifecycle.evaluated_speech import read_speech
from lifecycle.garbage import unneeded
from lifecycle.model_version import make_model_version
from lifecycle.predictions import test_utterances as held_out
from lifecycle.progress import Progress, listening
from lifecycle.signal_to_noise import make_signal_to_noise
from lifecycle.traces import find_traces
from tests.lifecycle.test_term_report import DOMAIN, with_terms
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import read_json, write_json


def recorded(world: Any) -> Any:
    """The same with recordings on the disk."""
    world.train("first", 2)
    workspace, noise = world.workspace, np.random.default_rng(1)
    for row in held_out(workspace):
        write_flac(workspace.corpus / row.audio, noise.normal(0, 0.1, 4000).astype(np.float32))
    return world


@pytest.fixture
def heard(world: Any) -> Any:
    """With recordings on the disk. No engine could be loaded: nothing can be heard again."""
    return recorded(world)


def test_it_says_what_the_accuracy_report_says_and_more(heard: Any) -> None:
    told: list[Progress] = []
    make_signal_to_noise(heard.workspace)
    with listening(told.append):
        made = make_evaluation_report(heard.workspace)
    ratios = [one.state for one in told if one.stage == signal_to_noise.STAGE]
    assert ratios == ["working", "unchanged"]
    told = [one for one in told if one.stage != signal_to_noise.STAGE]
    # What else it does on the way is no stage of its own.
    assert {(one.domain, one.stage) for one in told} == {(made.domain, made.stage)}
    assert [one.state for one in told if one.state != "working"] == ["made"]
    beside, alone = (
        read_json(made.path / folder / "report.json") for folder in ("", domain_evaluation.ALONE)
    )
    overall = heard.workspace.current(reports.ACCURACY).summary["slices"][0]
    assert alone["scan"]["overall"]["candidate"]["value"] == overall["word_error_rate"]
    assert alone["scan"]["overall"]["words"] == overall["words"]
    found = beside["scan"]["overall"]
    assert found["difference"]["value"] == pytest.approx(overall["difference"])
    assert (found["words"], beside["answer"]) == (overall["compared_words"], "better")
    assert beside["unshared"] == overall["utterances"] - found["utterances"]
    assert made.summary["answer"] == "better"
    assert made.summary["candidate"]["words"] == overall["compared_words"]
    assert {one["dimension"] for one in beside["scan"]["dimensions"]} >= {"accent", "kind", "snr"}
    raw = {row["level"]: row for row in _levels(heard)}
    for level in ("utterance", "word"):
        measured = alone["calibration"][level]
        assert measured["raw"]["ece"] == raw[level]["ece_before"]
        assert measured["unfitted"] == raw[level]["unfitted"]
    assert make_evaluation_report(heard.workspace).reused


def test_it_is_a_folder_of_an_evaluation_with_its_recordings(heard: Any) -> None:
    made = make_evaluation_report(heard.workspace)
    known = read(made.path)
    assert known.names == ("telephony-en engine", "whisper-tiny.en")
    assert set(known.predictions) == {CANDIDATE, BASELINE}
    assert pair(known, known).names == ("telephony-en engine", "telephony-en engine")
    for folder in (made.path, made.path / domain_evaluation.ALONE):
        page = (folder / "report.html").read_text()
        addresses = re.findall(r'<audio [^>]*src="([^"]+)"', page)
        assert addresses and all((folder / address).is_file() for address in addresses)


def test_the_certificate_leads_to_its_pages(heard: Any) -> None:
    made = make_evaluation_report(heard.workspace)
    make_model_version(heard.workspace)
    decided = make_certificate(heard.workspace)
    text = (decided.path / CERTIFICATE_PAGE).read_text()
    links = re.findall(r'<a href="(\.\.[^"]+)"', text)
    pages = {domain_evaluation.page(made), domain_evaluation.page_alone(made)}
    assert {Path(os.path.normpath(decided.path / link)) for link in links} == pages


def test_a_speaker_who_is_forgotten_takes_it_along(heard: Any) -> None:
    made = make_evaluation_report(heard.workspace)
    workspace = heard.workspace
    speaker = held_out(workspace)[0].speaker
    forgotten = read_forgotten(workspace.ledgers)
    traces = find_traces(workspace, None, speaker, forgotten, (), ())
    assert f"{domain_evaluation.STAGE}/{made.key}" in traces.remove
    ratios = workspace.current(signal_to_noise.STAGE)
    assert f"{signal_to_noise.STAGE}/{ratios.key}" in traces.remove
    # Nobody's words are in the calibration itself.
    assert not [one for one in traces.remove if one.startswith(f"{calibration.STAGE}/")]


def test_a_damaged_calibrator_is_said(heard: Any) -> None:
    made = make_evaluation_report(heard.workspace)
    evaluated = read(made.path)
    broken = {**evaluated.described, "calibrator": {"schema": 7}}
    with pytest.raises(IntegrityError, match="has the schema 7"):
        calibrator_of(broken)
    with pytest.raises(UsageError, match="is no evaluation"):
        read(made.path / domain_evaluation.ALONE)


def _levels(world: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = world.workspace.current(calibration.STAGE).summary["levels"]
    return rows


def test_dagster_shows_headline_and_calibration(
    heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    from assets import evaluation

    monkeypatch.setenv("VOICEFORGE_PROJECT", str(heard.settings.project))
    domain = heard.workspace.domain.name
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("domain", [domain])
        done = dg.materialize(
            [evaluation.calibration, evaluation.evaluation_report],
            partition_key=domain,
            instance=instance,
        )
    shown = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in done.get_asset_materialization_events()
    }
    levels = shown["calibration"]["levels"].records
    assert [row.data["level"] for row in levels] == ["utterance", "word"]
    assert all(row.data["calibrator"].startswith("none: of ") for row in levels)
    report = shown["evaluation_report"]
    assert report["answer"].text.startswith("Better: ")
    page = domain_evaluation.page(heard.workspace.current(domain_evaluation.STAGE))
    assert report["report"].url == page.as_uri()


def test_a_folder_of_the_domains_name_is_not_heard_instead(
    heard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its recordings lie beside params.yaml, or in the folder of all corpora."""
    with_terms(heard, "extension")
    write_utterances(tmp_path / "here" / DOMAIN / UTTERANCES, heard.rows())
    monkeypatch.chdir(tmp_path / "here")
    made = make_evaluation_report(heard.workspace)
    said = read_json(made.path / FILE)
    assert said["speech"]["utterances"] == len(held_out(heard.workspace)) < len(heard.rows())
    assert said["terms"] == {"source": DOMAIN, "terms": ["extension"]}
    speech = read_speech(heard.settings, DOMAIN, tmp_path / "out", language="en")
    assert speech.corpus == heard.workspace.corpus
    assert len(speech.rows) == said["speech"]["utterances"]
    whole = read_speech(heard.settings, f"./{DOMAIN}", tmp_path / "out", language="en")
    assert len(whole.rows) == len(heard.rows())


def test_an_utterance_in_another_language_is_scored_like_the_rest(world: Any) -> None:
    heard = recorded(replace(world, foreign=1))
    made = make_evaluation_report(heard.workspace)
    overall = heard.workspace.current(reports.ACCURACY).summary["slices"][0]
    alone = read_json(made.path / domain_evaluation.ALONE / "report.json")["scan"]
    assert alone["overall"]["candidate"]["value"] == overall["word_error_rate"]
    assert alone["overall"]["words"] == overall["words"]
    (languages,) = (one for one in alone["dimensions"] if one["dimension"] == "language")
    utterances = {one["name"]: one["utterances"] for one in languages["slices"]}
    assert [utterances[name] for name in utterances if name.startswith("es")] == [1]
    assert sum(utterances.values()) == overall["utterances"]


def test_the_noise_of_recordings_is_measured_once(heard: Any) -> None:
    before = make_evaluation_report(heard.workspace)
    for row in held_out(heard.workspace):
        (heard.workspace.corpus / row.audio).unlink()
    path = heard.settings.project / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["domains"][DOMAIN]["evaluation"] = {"seed": 7}
    path.write_text(yaml.safe_dump(content))
    after = make_evaluation_report(heard.workspace)
    assert after.key != before.key
    assert read(after.path).snr == read(before.path).snr


def test_a_folder_of_an_earlier_checkout_goes_on_unless_the_engine_is_another(
    heard: Any, tmp_path: Path
) -> None:
    made = make_evaluation_report(heard.workspace)
    folder = tmp_path / "earlier"
    shutil.copytree(made.path, folder)
    said = read_json(made.path / FILE)
    corpus = os.path.relpath(heard.workspace.corpus, folder)
    said["speech"]["corpus"] = corpus
    for model in said["models"].values():
        del model["engine"]
    write_json(folder / FILE, said)

    def again() -> Any:
        return evaluate_domain(heard.workspace, "evaluation_report", asked(heard.workspace), folder)

    assert again().described["models"]["candidate"]["engine"] == "ctranslate2:int8"
    said["models"]["candidate"]["engine_sha256"] = "0" * 64
    write_json(folder / FILE, said)
    with pytest.raises(UsageError, match="an evaluation of other models: candidate telephony-en"):
        again()


def test_what_a_certificate_leads_to_is_no_garbage(heard: Any) -> None:
    def week(name: str, *, certified: bool) -> Path:
        heard.train(name, 2)
        made = make_evaluation_report(heard.workspace)
        if certified:
            make_model_version(heard.workspace)
            key = make_certificate(heard.workspace).key
            assert make_certificate(heard.workspace).key == key
        return made.path

    first = week("first", certified=True)
    second, third = week("second", certified=False), week("third", certified=False)
    gone = {one.path for one in unneeded(heard.settings, DOMAIN, 1)}
    assert second in gone and not gone & {first, third}
