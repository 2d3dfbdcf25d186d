"""One run a domain at a time; progress reaches whoever listens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle.progress import Progress, listening
from lifecycle.stages import GROUPS, check_group
from lifecycle.workspace import domain_lock, open_workspace
from voiceforge.errors import StageError, UsageError
from voiceforge.settings import Settings

HOLD = """
import sys
from pathlib import Path
from lifecycle.workspace import domain_lock
from voiceforge.errors import StageError
from voiceforge.settings import load_settings
settings = load_settings({}, Path(sys.argv[1]))
try:
    with domain_lock(settings, sys.argv[2]):
        print("held", flush=True)
        sys.stdin.read()
except StageError as error:
    print(error)
"""


def other(settings: Settings, domain: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(settings.project), domain]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_another_process_is_told_who_waits_for_what(settings: Settings) -> None:
    with domain_lock(settings, "calls"), domain_lock(settings, "calls"):
        out, _ = other(settings, "calls").communicate("")
        assert out.startswith("Another run of calls is going on")
        assert str(settings.locks / "calls.lock") in out
        out, _ = other(settings, "mails").communicate("")
        assert out == "held\n"
    out, _ = other(settings, "calls").communicate("")
    assert out == "held\n"


def test_the_lock_of_a_killed_process_is_free(settings: Settings) -> None:
    process = other(settings, "calls")
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StageError, match="Another run of calls"), domain_lock(settings, "calls"):
        pass
    process.kill()
    process.communicate()
    with domain_lock(settings, "calls"):
        pass


def test_the_lock_is_free_after_an_error(settings: Settings) -> None:
    with pytest.raises(ValueError), domain_lock(settings, "calls"):
        raise ValueError
    out, _ = other(settings, "calls").communicate("")
    assert out == "held\n"


def test_progress_reaches_every_listener_while_it_listens(settings: Settings) -> None:
    workspace = open_workspace("telephony-en", settings)
    one: list[Progress] = []
    two: list[Progress] = []

    def build(_: Path, __: Path) -> dict[str, Any]:
        workspace.report("s", 1, 2, "half", loss=0.5)
        return {}

    with listening(one.append):
        with listening(two.append):
            workspace.make("s", 1, {}, {}, build)
        workspace.make("s", 1, {}, {}, build, pointer="t")
    workspace.report("s", 2, 2)
    states = [(news.stage, news.state, news.done, news.total) for news in one]
    assert states == [
        ("s", "working", 0, 0),
        ("s", "working", 1, 2),
        ("s", "made", 1, 1),
        ("t", "working", 0, 0),
        ("t", "unchanged", 1, 1),
    ]
    assert two == one[:3]
    assert (one[1].domain, one[1].message, one[1].values) == ("telephony-en", "half", {"loss": 0.5})


def test_a_listener_is_let_go_after_an_error(settings: Settings) -> None:
    heard: list[Progress] = []
    with pytest.raises(ValueError), listening(heard.append):
        raise ValueError
    open_workspace("telephony-en", settings).report("s", 1, 1)
    assert heard == []


def test_groups_are_those_of_dvc_yaml(project: Path) -> None:
    import yaml

    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    assert list(GROUPS) == list(stages)
    with pytest.raises(UsageError, match=r"There is no stage 'x'\. There are: corpus, adapter"):
        check_group("x")
