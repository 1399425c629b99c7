"""The page: one shell for every view, and static files whose addresses carry a content hash."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(str(files("web").joinpath("static")))
router = APIRouter()


def content_version() -> str:
    """A hash over all static files: a new release has new addresses."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


SHELL = (STATIC / "index.html").read_text("utf-8").replace("__V__", content_version())


@router.get("/", include_in_schema=False)
@router.get("/chat", include_in_schema=False)
@router.get("/chat/{conversation}", include_in_schema=False)
@router.get("/admin", include_in_schema=False)
@router.get("/login", include_in_schema=False)
async def shell() -> Response:
    """The shell of every view."""
    return Response(SHELL, media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})


class Assets(StaticFiles):
    """Static files; those asked for by their hash never change."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, cached for a year when its address carries the version."""
        response = await super().get_response(path, scope)
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response
