"""A form with files, as it is uploaded: read into memory, never onto the disk. Knows no route."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agent.errors import RequestError

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request


@asynccontextmanager
async def form_of(request: Request, files: int, fields: int) -> AsyncGenerator[FormData]:
    """The form of a request with at most so many files and fields; empty where the body is none.

    Its size is that of the body, which is limited (`server.body`). Raises RequestError for a form that is
    damaged, or holds more.
    """
    from starlette.datastructures import FormData
    from starlette.formparsers import MultiPartException, MultiPartParser

    class InMemory(MultiPartParser):
        """starlette's own would write each file over 1 MB, which is somebody's voice, to the disk."""

        spool_max_size = 0  # SpooledTemporaryFile's "no limit"

    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        yield FormData()
        return
    try:
        parser = InMemory(request.headers, request.stream(), max_files=files, max_fields=fields)
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(f"the form cannot be read: {error.message}") from error
    try:
        yield form
    finally:
        await form.close()
