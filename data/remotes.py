"""The place outside of this machine, or at least outside of DVC's cache, that holds every version.

A remote is a folder or an S3 address. The default remote of the project's `.dvc/config` comes
first; where there is none, ours is written to `.dvc/config.local`. S3 credentials, region and
endpoint are those of `.dvc/config` (`endpointurl` and its kin) or else of the standard AWS
variables and files (`AWS_ENDPOINT_URL`, `AWS_PROFILE`, ...). S3 is asked once before DVC works with
it: DVC itself tries again for minutes, and its errors seldom say what is wrong.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceforge.errors import StorageError, VoiceForgeError
from voiceforge.files import storage_errors

REMOTE = "voiceforge"
"""Our remote's name; a project whose `.dvc/config` names another default remote keeps that."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """What this machine says of remotes.

    Attributes:
        url: folder or `s3://BUCKET/PREFIX` for projects that name no default remote themselves.
        offline: open no connection: a remote that is no folder is left alone.
        timeout: seconds for S3's first answer.
    """

    url: str
    offline: bool = False
    timeout: float = 10.0


def name_remote(repo: Any, settings: RemoteSettings) -> None:
    """Give the repository a default remote in `.dvc/config.local`, unless it has one of its own.

    Raises:
        StorageError: the folder, or `.dvc`, cannot be written.
    """
    default = repo.config["core"].get("remote")
    if default not in (None, REMOTE):
        return
    known = repo.config["remote"].get(REMOTE, {}).get("url", "")
    is_folder = "://" not in settings.url
    if is_folder:
        with storage_errors(Path(settings.url)):
            Path(settings.url).mkdir(parents=True, exist_ok=True)
    if default == REMOTE and known == settings.url:
        return
    with storage_errors(Path(repo.dvc_dir)), repo.config.edit("local") as local:
        local.setdefault("core", {})["remote"] = REMOTE
        local.setdefault("remote", {})[REMOTE] = {"url": settings.url}


def remote_url(repo: Any, name: str | None = None) -> str:
    """The address of a remote, by default the default one; "" where there is none."""
    name = name or repo.config["core"].get("remote")
    return str(repo.config["remote"][name]["url"]) if name else ""


def open_remote(
    repo: Any, settings: RemoteSettings | None, name: str | None = None, *, comfort: str = ""
) -> Any:
    """DVC's remote, the default one unless named, when it has answered; None where there is none.

    Also None when it is no folder and `settings.offline` forbids the connection; that is logged.

    Args:
        comfort: last sentence of an error: what is not lost.

    Raises:
        StorageError: it cannot be reached or used; says why.
    """
    url = remote_url(repo, name)
    if not url:
        return None
    settings = settings or RemoteSettings(url)
    if url.startswith("s3://"):
        _need_s3(url, comfort)
    with remote_errors(url, comfort):
        remote = repo.cloud.get_remote(name)
    if remote.fs.protocol == "local":
        return remote
    if settings.offline:
        _LOG.warning("VOICEFORGE_OFFLINE is 1: the remote %s is left alone.", url)
        return None
    if remote.fs.protocol == "s3":
        with remote_errors(url, comfort):
            _ask_s3(remote, settings.timeout)
    return remote


@contextmanager
def remote_errors(url: str, comfort: str = "") -> Iterator[None]:
    """Whatever a remote and the libraries that speak with it throw, as one `StorageError`.

    Args:
        comfort: its last sentence.
    """
    heard = _Listener()
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    propagated = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(heard)
        logger.propagate = False  # what it says is in our error
    try:
        yield
    except VoiceForgeError:
        raise
    except Exception as error:
        # DVC counts the files that failed, and says why in its log alone.
        cause = heard.first or error
        text = f"DVC's remote {url} cannot be used: {_reason(cause)}. {_advice(cause)} {comfort}"
        raise StorageError(text.rstrip()) from error
    finally:
        for logger, propagate in zip(loggers, propagated, strict=True):
            logger.removeHandler(heard)
            logger.propagate = propagate


class _Listener(logging.Handler):
    """Keeps the first exception that was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.first is None and record.exc_info:
            self.first = record.exc_info[1]


def _need_s3(url: str, comfort: str) -> None:
    try:
        import dvc_s3  # noqa: F401
        import s3fs  # noqa: F401
    except ImportError as error:
        text = (
            f"DVC's remote is {url}, and the packages that speak with S3 are not installed "
            f"({error}). Install them: pip install 'voiceforge[s3]'. {comfort}"
        )
        raise StorageError(text.rstrip()) from error


def _ask_s3(remote: Any, timeout: float) -> None:
    """One request with DVC's own credentials and endpoint, tried once, for `timeout` seconds."""
    import s3fs

    arguments = copy.deepcopy(dict(remote.fs.fs_args))
    arguments["config_kwargs"] = {
        **arguments.get("config_kwargs", {}),
        "connect_timeout": timeout,
        "read_timeout": timeout,
        "retries": {"max_attempts": 0},
    }
    arguments["cache_regions"] = False
    system = s3fs.S3FileSystem(**arguments)
    system.retries = 1
    bucket, _, prefix = remote.path.strip("/").partition("/")
    system.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)


def _reason(error: BaseException) -> str:
    """The service's own words and error code where there are any."""
    told = error.__cause__ if hasattr(error.__cause__, "response") else error
    text = " ".join(str(told).split()).rstrip(".")
    return text or type(error).__name__


def _advice(error: BaseException) -> str:
    """What to do about it, by what botocore and s3fs call it."""
    if isinstance(error, FileNotFoundError):
        return "Make that bucket, or name another."
    credentials = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound")
    if isinstance(error, PermissionError) or type(error).__name__ in credentials:
        return (
            "Look at the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or "
            "`dvc remote modify --local`) and at what they are allowed to do there: list, read, "
            "write and delete."
        )
    return (
        "Look at the address, at AWS_ENDPOINT_URL or the remote's `endpointurl` in .dvc/config, "
        "and at the network."
    )
