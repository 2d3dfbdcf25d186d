"""Reading an uploaded recording: multipart or raw, counted while it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

FIELD = "file"


class UploadTooLargeError(Exception):
    """More bytes than allowed arrived; the rest is not read."""


class BadUploadError(Exception):
    """The request holds no recording; the message says what to send."""


@dataclass(frozen=True)
class Upload:
    """A recording's bytes, and its file name as the client gave it."""

    content: bytes
    name: str


async def read_upload(request: Request, most_bytes: int) -> Upload:
    """The recording of a request: the multipart field `file`, or the raw body.

    Raises:
        UploadTooLargeError: the body has more than `most_bytes`, whatever its headers promise.
        BadUploadError: the multipart form is broken or has no file.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        body = b"".join([chunk async for chunk in _counted(request, most_bytes)])
        return Upload(body, request.query_params.get("name", "upload"))
    try:
        form = await MultiPartParser(request.headers, _counted(request, most_bytes)).parse()
    except (MultiPartException, KeyError) as error:
        raise BadUploadError(f"The multipart form cannot be read ({error}).") from error
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise BadUploadError(
                f"The form has no file named {FIELD!r}. Send the recording in a field of that name."
            )
        return Upload(await file.read(), file.filename or "upload")
    finally:
        await form.close()


async def _counted(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > most_bytes:
            raise UploadTooLargeError
        yield chunk
