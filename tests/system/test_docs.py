"""Executes the command blocks of README.md and docs/*.md, in order, so that a page that lies fails.

Every page gets a copy of a finished project of its own, as a clone has it, with a folder
`recordings/` of a user's own speech. In it run, as one shell each:

- ```` ```sh ```` blocks, by bash; any command that fails fails the page;
- ```` ```python ```` blocks.

A comment on the line before a block says what is special about it:

- `<!-- background http://127.0.0.1:3030/readyz -->`: the block is one command that runs until it is
  ended. It is started, the next block waits until that address answers, and at the end of the
  page (or at `<!-- end -->`) it gets a Ctrl-C, as a user would do it.
- `<!-- exit 2 -->`: the block ends with this code, not 0.

Blocks marked ```` ```sh no-test ```` are not executed; `NOT_RUN` says why. Other blocks
(`text`, `json`, `yaml`) show what commands print or files hold and are not compared.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import soundfile

from data.features import SAMPLE_RATE
from data.sources.espeak_library import speak
from data.tables import UTTERANCES, read_utterances
from tests.system.projects import CHECKOUT, DOMAIN, Project

PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")))
PATIENCE = 1200.0
RECORDINGS = 90

NOT_RUN = {
    "git clone": "the test has a project already, and no network",
    "cd ": "goes with git clone",
    "source .venv/bin/activate": "the environment of the tests is active already",
    "voiceforge up": "runs until it is ended; docs/lifecycle.md starts and ends it",
    "make ": "makes an environment or runs whole suites, this test included",
    ". .venv/bin/activate": "the environment of the tests is active already",
    "git checkout 9e1bd61": "the card of a model that the reader has names its own revision",
    "voiceforge evaluate general:en": "375 clips, twice; tests/cli/test_evaluate_texts.py hears 5",
    "voiceforge evaluate recordings --model models:/telephony-en@champion --latency": "minutes of "
    "timing; tests/cli/test_evaluate_speed.py runs it",
    "voiceforge reproduce": "goes with it; tests/lifecycle/test_reproduction.py runs one",
    "python -m benchmarks.vocabulary": "two trainings; its figures are on the page",
    "voiceforge stage examination": "minutes of hearing; tests/system/test_lifecycle.py runs it",
    "bentoml containerize": "needs a container engine",
    "docker ": "needs a container engine",
    "pip install 'voiceforge[s3]'": "goes with a bucket",
    "pip install 'voiceforge[nemo]'": "`make setup` has installed it",
    "voiceforge stage corpus --domain support-nemo": "needs a model; tests/system/test_nemo.py has",
    "voiceforge stage adapter --domain support-nemo": "goes with it",
    "voiceforge stage merged_model --domain support-nemo": "goes with it",
    "dvc remote add --default team s3:": "needs a bucket; tests/data/test_remotes.py has one",
    "git add .dvc/config": "goes with that remote",
}

_FENCE = re.compile(r"(?P<marks>`{3,})(?P<language>\w*) *(?P<rest>.*)")
_COMMENT = re.compile(r"<!-- (?P<name>background|exit|end) ?(?P<value>\S*) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        line: of its first line, from 1.
        no_test: it says that it is not to be executed.
        comment: name and value of the comment before it, both "" where there is none.
    """

    line: int
    language: str
    no_test: bool
    text: str
    comment: tuple[str, str]


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page; `<!-- end -->` comes as an empty block of its own."""
    comment, opened = ("", ""), None
    inside: list[str] = []
    for number, line in enumerate(page.splitlines(), 1):
        if opened is not None:
            if line.strip() == opened["marks"]:
                language, rest = opened["language"], opened["rest"]
                text = "\n".join(inside)
                yield Block(number - len(inside), language, rest == "no-test", text, comment)
                comment, opened, inside = ("", ""), None, []
            else:
                inside.append(line)
        elif fence := _FENCE.fullmatch(line.strip()):
            opened = fence
        elif special := _COMMENT.fullmatch(line.strip()):
            comment = special["name"], special["value"]
            if comment[0] == "end":
                yield Block(number, "", False, "", comment)
                comment = ("", "")
        elif line.strip():
            comment = ("", "")


class Reader:
    """Does what a page says, as a user who follows it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._server: subprocess.Popen[bytes] | None = None

    def follow(self, page: Path) -> None:
        try:
            for block in blocks(page.read_text()):
                self._do(block, f"{page.name}, line {block.line}")
            self._end()
        finally:
            if self._server is not None:
                self._server.kill()
                self._server.wait()

    def _do(self, block: Block, where: str) -> None:
        name, value = block.comment
        if name == "end":
            self._end()
        elif block.no_test or block.language not in ("sh", "python"):
            return
        elif name == "background":
            self._start(block.text, value, where)
        else:
            shell = (
                ["bash", "-euo", "pipefail"] if block.language == "sh" else [sys.executable, "-"]
            )
            done = subprocess.run(
                shell,
                input=block.text,
                cwd=self._project.path,
                env=self._project.environ(),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            said = (
                f"{where} ended with {done.returncode}:\n{block.text}\n{done.stdout}{done.stderr}"
            )
            assert done.returncode == int(value or 0), said
            assert "Traceback" not in done.stderr, said

    def _start(self, command: str, url: str, where: str) -> None:
        assert self._server is None, f"{where}: the server before is still running"
        log = self._project.path / ".logs" / "docs-server.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                shlex.split(command),
                cwd=self._project.path,
                env=self._project.environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            said = f"{where}: {command}\n{log.read_text()}"
            assert self._server.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.3)

    def _end(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            code = self._server.wait(120)
            # 130 where it was still starting: one of its addresses answers before the others.
            assert code in (0, 130), f"Ctrl-C ended the server with {code}"
            self._server = None


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def with_recordings(project: Project) -> Project:
    """The project with recordings as users have them: a table, and a few that are no good."""
    folder = project.path / "recordings"
    folder.mkdir()
    table = project.path / "data" / "corpora" / DOMAIN / UTTERANCES
    said = [row.text for row in read_utterances(table) if not row.is_synthetic]
    texts = [text for text in dict.fromkeys(said) if 4 <= len(text.split()) <= 14]
    voices = ("m1", "m3", "m7", "f1", "f2", "f5")
    lines = ["audio,text,speaker,accent"]
    for number, text in enumerate(texts[:RECORDINGS]):
        voice, name = voices[number % len(voices)], f"{number:03d}.wav"
        soundfile.write(folder / name, speak(text, f"en-gb-scotland+{voice}"), SAMPLE_RATE)
        lines.append(f'{name},"{text}",{voice},en-gb-scotland')
    (folder / "broken.wav").write_text("not a recording\n")
    lines.append("broken.wav,This one is broken.,m1,en-gb-scotland")
    lines.append("missing.wav,This one is not there.,f1,en-gb-scotland")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return project


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_says(
    page: Path, with_recordings: Project, measured: Callable[[str, float], None]
) -> None:
    began = time.monotonic()
    Reader(with_recordings).follow(page)
    measured(f"the commands of {page.name}", time.monotonic() - began)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_executed_has_a_reason(page: Path) -> None:
    for block in blocks(page.read_text()):
        assert block.no_test == (block.language == "sh" and block.no_test), block
        whole = block.text.replace("\\\n", " ")  # a line may go on in the next
        lines = [line for line in whole.splitlines() if line.strip()] if block.no_test else []
        for line in lines:
            assert line.startswith(tuple(NOT_RUN)), f"{page.name}, line {block.line}: {line}"


def test_blocks_are_found_with_what_is_special_about_them() -> None:
    page = """text
<!-- background http://x/readyz -->
```sh
serve
```
<!-- end -->
```sh no-test
make run
```
<!-- exit 2 -->

```sh
bad
```
words
```text
said
```
"""
    assert list(blocks(page)) == [
        Block(4, "sh", False, "serve", ("background", "http://x/readyz")),
        Block(6, "", False, "", ("end", "")),
        Block(8, "sh", True, "make run", ("", "")),
        Block(13, "sh", False, "bad", ("exit", "2")),
        Block(17, "text", False, "said", ("", "")),
    ]
