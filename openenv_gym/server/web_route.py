"""``/web``: the page on which people look at the environment and play.

The page is one file without anything of other places. It speaks the JSON of ``/ws`` as any client
does, and asks ``/schema``, ``/metadata`` and ``/readyz``. Its URLs are relative to its own, so that
it works under a prefix too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from fastapi import APIRouter, Response

PAGE = "web"
"""Where the page is, relative to the server's address."""

_POLICY = (
    "default-src 'none'",
    "connect-src 'self'",
    "img-src data: blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    # Browsers that know these two refuse what makes elements of text, such as `innerHTML`.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
"""What the page may do, beside its own script and style."""


def page_route() -> APIRouter:
    """Return the route of the page."""
    html = resources.files("openenv_gym.server").joinpath("web", "page.html").read_bytes()
    headers = {
        "Content-Security-Policy": content_security_policy(html.decode()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # another version of the server has another page
    }
    router = APIRouter()

    @router.get(f"/{PAGE}", include_in_schema=False)
    async def page() -> Response:
        return Response(html, headers=headers, media_type="text/html")

    return router


def content_security_policy(html: str) -> str:
    """Return the policy under which a page runs the scripts and styles that it has, and no others.

    >>> content_security_policy("<style>p {}</style>").partition(";")[0]
    "style-src 'sha256-SNJDlN1Iy2mnt7DOjQIyDb2LQE6O5PQiSZomcdzawQ4='"
    """
    own = [
        f"{kind}-src {' '.join(map(_source, found))}"
        for kind in ("script", "style")
        if (found := re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL))
    ]
    return "; ".join([*own, *_POLICY])


def _source(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
