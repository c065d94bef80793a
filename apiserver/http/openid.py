"""What others need to verify service accounts' tokens.

Upstream: page "Configure Service Accounts for Pods", section on issuer discovery.
"""

import orjson
from aiohttp import web

from ..auth.accounts import Accounts
from .call import Call, Handler, Response

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
_CACHE = "public, max-age=3600"


def configuration(accounts: Accounts, address: str) -> Handler:
    """The handler of the discovery document; `address` is where the keys are served."""
    document = {
        "issuer": accounts.issuer,
        "jwks_uri": f"https://{address}{KEYS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    return _fixed(orjson.dumps(document), "application/json")


def keys(accounts: Accounts) -> Handler:
    """The handler of the public keys."""
    return _fixed(orjson.dumps(accounts.key.key_set()), "application/jwk-set+json")


def _fixed(body: bytes, content_type: str) -> Handler:
    async def handler(_call: Call) -> Response:
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": _CACHE})

    return handler
