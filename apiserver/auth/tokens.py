"""Bearer tokens from a file, in upstream's CSV form."""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from .identity import AUTHENTICATED, User


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """Known tokens. They are kept and compared as digests, so a look-up tells nothing by its time."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {_digest(token): user for token, user in users.items()}

    def find(self, token: str) -> User | None:
        """Whose token this is."""
        return self._users.get(_digest(token)) if self._users else None


def load(path: Path) -> Tokens:
    """Read `token,user,uid[,"group1,group2"]` lines. Raises ValueError naming a line that is none."""
    users: dict[str, User] = {}
    with path.open(newline="") as stream:
        for number, row in enumerate(csv.reader(stream, skipinitialspace=True), start=1):
            if not row:
                continue
            if len(row) < 3 or not row[0] or not row[1]:  # noqa: PLR2004  token, user and uid are upstream's columns
                raise ValueError(f"{path}:{number}: a token line is token,user,uid[,groups]")
            groups = frozenset(group.strip() for group in ",".join(row[3:]).split(",") if group.strip())
            users[row[0]] = User(row[1], groups | {AUTHENTICATED}, row[2])
    return Tokens(users)
