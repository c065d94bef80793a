"""TLS of the ingress proxy: the certificate for the name that a client asks for, from Secrets as they are now."""

import asyncio
import base64
import binascii
import ssl
import tempfile
from asyncio import sslproto
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from miniplane import pki
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.dataplane.http_routes import Routes

DEFAULT_NAME = "ingress.local"
"""Whom the certificate of the proxy's own is for; clients that know no better get it, and should not trust it."""


class BadCertificate(ValueError):
    """A Secret that can't be served."""


class Certificates:
    """TLS contexts by port and server name. `secrets` is read at each handshake, so a new Secret counts at once."""

    def __init__(
        self,
        routes: Callable[[], Routes | None],
        secrets: Mapping[Key, Object],
        now: datetime,
        log: Callable[[str], None],
    ) -> None:
        self._routes, self._secrets, self._log = routes, secrets, log
        own = pki.new_identity(pki.new_authority(now), pki.Subject(DEFAULT_NAME, hosts=(DEFAULT_NAME,)), now)
        self._default = context(own)
        self._made: dict[Key, tuple[str, ssl.SSLContext | None]] = {}
        self._bases: dict[int, ssl.SSLContext] = {}
        self._own = own

    def base(self, port: int) -> ssl.SSLContext:
        """What a port's handshakes begin with."""
        if port not in self._bases:
            made = context(self._own)
            made.sni_callback = lambda session, name, _: self._choose(session, port, name)
            self._bases[port] = made
        return self._bases[port]

    def server(self, factory: Callable[[], asyncio.BaseProtocol], port: int) -> asyncio.BaseProtocol:
        """A protocol that speaks TLS to its transport and plain to what `factory` makes."""
        # asyncio's own TLS state machine, as for connections of pods: servers of the loop's take only real sockets.
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(
            lambda future: future.cancelled() or future.exception()
        )  # a failed handshake: the client's
        return sslproto.SSLProtocol(loop, factory(), self.base(port), done, server_side=True)

    def _choose(self, session: ssl.SSLObject | ssl.SSLSocket, port: int, name: str | None) -> None:
        session.context = self._of(port, name or "")

    def _of(self, port: int, name: str) -> ssl.SSLContext:
        routes = self._routes()
        key = None if routes is None else routes.certificate(port, name)
        if key is None:
            return self._default
        secret = self._secrets.get(key)
        revision = str(meta.metadata(secret).get("resourceVersion") or "") if secret is not None else "-"
        known = self._made.get(key)
        if known is None or known[0] != revision:
            known = self._made[key] = (revision, self._load(key, secret))
        return known[1] or self._default

    def _load(self, key: Key, secret: Object | None) -> ssl.SSLContext | None:
        try:
            return context(pair(secret))
        except BadCertificate as error:
            self._log(f"secret {key}: {error}: the proxy's own certificate is shown instead")
            return None


def pair(secret: Object | None) -> pki.Pair:
    """The certificate and key of a Secret. Raises BadCertificate."""
    if secret is None:
        raise BadCertificate("it is not there, or is not of type kubernetes.io/tls")
    data = secret.get("data") or {}
    try:
        found = [base64.b64decode(data.get(name) or "", validate=True) for name in ("tls.crt", "tls.key")]
    except (binascii.Error, ValueError) as error:
        raise BadCertificate("its data is not base64") from error
    if not all(found):
        raise BadCertificate("tls.crt or tls.key is empty")
    return pki.Pair(*found)


def context(identity: pki.Pair) -> ssl.SSLContext:
    """A server's context. Raises BadCertificate.

    The standard library takes a key only from a file, so one exists in a private directory for a moment.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pem")
        path.touch(0o600)
        path.write_bytes(identity.key + b"\n" + identity.cert)
        try:
            made.load_cert_chain(path)
        except (ssl.SSLError, ValueError) as error:
            raise BadCertificate(f"certificate and key are no pair ({error})") from error
    return made
