"""Service account tokens: JSON Web Tokens signed with a key of the cluster.

Who may have one and whether it still holds is the API server's matter (and, for tokens in Secrets, the controllers');
here is only the form. Upstream: pkg/serviceaccount.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ALGORITHM = "ES256"
LEGACY_ISSUER = "kubernetes/serviceaccount"
"""Whose name tokens in Secrets bear."""
LEGACY = "kubernetes.io/serviceaccount/"
"""The prefix of their claims."""

Claims = Mapping[str, Any]


class InvalidToken(ValueError):
    """The text is no token that the key has signed."""


def new_key() -> bytes:
    """A private key for tokens, PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Key:
    """A key that signs tokens and knows its own."""

    def __init__(self, pem: bytes) -> None:
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise ValueError("tokens are signed with a private key of the curve P-256")
        self._private = private
        self._public = private.public_key()
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()

    @classmethod
    def load(cls, path: Path) -> "Key":
        """The key in a file."""
        return cls(path.read_bytes())

    @property
    def public_pem(self) -> bytes:
        """The public half, PEM."""
        return self._public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims: Claims) -> str:
        """A token that says this."""
        return jwt.encode(dict(claims), self._private, ALGORITHM, headers={"kid": self.id, "typ": None})

    def read(self, token: str) -> Claims:
        """What a token says. Its times, issuer and audience are the caller's to judge.

        Raises:
            InvalidToken: It is none, or somebody else's.
        """
        unjudged = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        try:
            claims: Claims = jwt.decode(token, self._public, algorithms=[ALGORITHM], options=unjudged)  # type: ignore[arg-type]  # a dict of flags, which is what it takes
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error
        return claims

    def key_set(self) -> dict[str, Any]:
        """The public half as a JSON Web Key Set."""
        numbers = self._public.public_numbers()
        parts = {name: _number(value) for name, value in (("x", numbers.x), ("y", numbers.y))}
        key = {"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM, **parts}
        return {"keys": [key]}


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()


def legacy_claims(namespace: str, account: str, uid: str, secret: str) -> Claims:
    """What the token in a Secret says: it holds as long as the Secret and the account are there."""
    return {
        "iss": LEGACY_ISSUER,
        f"{LEGACY}namespace": namespace,
        f"{LEGACY}secret.name": secret,
        f"{LEGACY}service-account.name": account,
        f"{LEGACY}service-account.uid": uid,
        "sub": f"system:serviceaccount:{namespace}:{account}",
    }
