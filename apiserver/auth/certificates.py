"""Client certificates: the common name is the user, the organisations are the groups."""

import functools
from collections.abc import Mapping
from typing import Any

from .identity import AUTHENTICATED, User


@functools.lru_cache(maxsize=4096)
def _user(subject: tuple[tuple[tuple[str, str], ...], ...]) -> User | None:
    pairs = [pair for part in subject for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    groups = frozenset(value for key, value in pairs if key == "organizationName")
    return User(names[0], groups | {AUTHENTICATED}) if names else None


def user_of(certificate: Mapping[str, Any]) -> User | None:
    """The user of a verified certificate, in the form of `SSLSocket.getpeercert`; None without a common name."""
    return _user(certificate.get("subject", ()))
