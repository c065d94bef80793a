"""Whose bearer token is this: a line of the token file, or a service account's."""

from collections.abc import Sequence

from miniplane.tokens import InvalidToken

from .accounts import Accounts, Identified
from .identity import User
from .tokens import Tokens


class Authenticator:
    """Asks both."""

    def __init__(self, known: Tokens, accounts: Accounts) -> None:
        self._known = known
        self.accounts = accounts

    def find(self, token: str) -> User | None:
        """The user who may use the API with this token."""
        found = self.review(token, ())
        return None if isinstance(found, str) else found.user

    def review(self, token: str, audiences: Sequence[str]) -> Identified | str:
        """Whose token it is for one of the audiences (the API's own without any); a text says why it is nobody's."""
        if not token.isascii():
            return "invalid bearer token"
        if user := self._known.find(token):
            met = [audience for audience in audiences if audience in self.accounts.audiences]
            return Identified(user, tuple(met)) if met or not audiences else "token is not for these audiences"
        try:
            return self.accounts.identify(token, audiences)
        except InvalidToken as error:
            return f"[invalid bearer token, {error}]"
