"""The REST API under /api/v1: the application services and views, over HTTP.

One declaration per operation (`operation`) gives routing, checks, serialisation and the OpenAPI document (`openapi`).
`server` is the shell around them, `authentication` says who calls, `call` is one request as an operation sees it,
`etag` keeps two people from overwriting each other, `problems` is all that can go wrong.
"""

from .authentication import Authenticate, Caller, Callers, Tokens, Via
from .call import ApiParts
from .server import PREFIX, build_api

__all__ = ["PREFIX", "ApiParts", "Authenticate", "Caller", "Callers", "Tokens", "Via", "build_api"]
