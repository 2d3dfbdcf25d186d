"""The commands of docs/nemo.md: a NeMo model from recordings to its merged `.nemo` file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from data.catalogue import entry
from data.fetch import fetch
from data.sources.prompts import plan_prompts
from tests.system.projects import CHECKOUT, DOMAIN, new_project, small_params

Note = Callable[[str, float], None]
_BUILD = """
import sys
from pathlib import Path
from tests.training.nemo.tiny import build
print(build("ctc", sys.stdin.read().splitlines(), Path(sys.argv[1])))
"""


def test_a_nemo_domain_is_trained_and_merged_and_refused_where_it_ends(
    cache: Path, tmp_path: Path, measured: Note
) -> None:
    params = small_params(
        backend="nemo",
        targets=["linear_q", "linear_v"],
        steps=6,
        evaluate_every=6,
        dev_utterances=4,
        trailing_silence=[0.0, 0.2],
    )
    domain = params["domains"][DOMAIN]
    domain["base_model"] = "models/tiny-ctc.nemo"
    domain["sources"] = [one for one in domain["sources"] if one["kind"] == "prompts"]
    project = new_project(tmp_path / "project", cache, params)
    source = fetch("prompts-en", cache=cache, offline=False, timeout=30.0)
    texts = [one.text for one in plan_prompts(source, "en", entry("prompts-en").licence).recordings]
    subprocess.run(
        [sys.executable, "-c", _BUILD, str(project.path / "models")],
        input="\n".join(texts), text=True, check=True, cwd=CHECKOUT,
    )  # fmt: skip

    whole = project.voiceforge("run", "--domain", DOMAIN, code=2)
    assert "this version builds no engines for NeMo models" in " ".join(whole.err.split())
    heard = project.voiceforge("stage", "corpus", "--domain", DOMAIN, code=2)
    assert "validation.agreement.enabled" in heard.err
    project.set_params(
        lambda content: content["defaults"]["validation"]["agreement"].update(enabled=False)
    )
    for name in ("corpus", "adapter", "merged_model"):
        ended = project.voiceforge("stage", name, "--domain", DOMAIN)
        measured(f"voiceforge stage {name} of a NeMo domain", ended.seconds)
    assert (project.current("merged_model") / "model.nemo").is_file()
    assert (project.current("adapter") / "adapter_model.safetensors").is_file()
    assert project.manifest("merged_model")["summary"]["non_finite"] == []
    engine = project.voiceforge("stage", "engine", "--domain", DOMAIN, code=2)
    assert "voiceforge stage merged_model" in " ".join(engine.err.split())
