"""TLS ends at the proxy, with the certificate of the Secret that names the host, as it is now."""

import base64
from datetime import UTC, datetime

import aiohttp
import pytest
from cryptography import x509

from agents.kubelet import streams
from miniplane import pki
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from tests.unit.ingress.bench import ONE, PROXY, Bench, backend, echo, route, routing

NOW = datetime.now(UTC)
AUTHORITY = pki.new_authority(NOW)
A, B = Key("default", "a"), Key("default", "b")


def secret(revision: str, *hosts: str) -> Object:
    """A Secret with a certificate for hosts."""
    made = pki.new_identity(AUTHORITY, pki.Subject("x", hosts=hosts), NOW)
    data = {"tls.crt": base64.b64encode(made.cert).decode(), "tls.key": base64.b64encode(made.key).decode()}
    return {"metadata": {"namespace": "default", "name": "a", "resourceVersion": revision}, "data": data}


async def get(bench: Bench, name: str, host: str = "") -> tuple[list[str], bytes]:
    """The names in the certificate shown to who asks for `name`, and the answer to a request."""
    link = bench.network._links["client"]
    async with streams.connect(link, PROXY, 443, tls=streams.insecure_tls(), server_name=name) as stream:
        session = stream.writer.get_extra_info("ssl_object")
        found = x509.load_der_x509_certificate(session.getpeercert(binary_form=True))
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        stream.writer.write(f"GET /x HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n".encode())
        return names.get_values_for_type(x509.DNSName), await stream.reader.read()


async def test_certificates_by_name(bench: Bench) -> None:
    """Each name gets its Secret's certificate, a wildcard's that of its domain, others the proxy's own."""
    await bench.serve(ONE, echo)
    bench.secrets |= {A: secret("1", "a.example"), B: secret("1", "*.b.example")}
    bench.routes = routing(
        route("a.example", backend("api", (ONE, 80))), certificates={(443, "a.example"): A, (443, "*.b.example"): B}
    )
    names, answer = await get(bench, "a.example")
    assert names == ["a.example"]
    assert b"200 OK" in answer
    assert b'"X-Forwarded-Proto": "https"' in answer
    assert b'"X-Forwarded-Port": "443"' in answer
    assert (await get(bench, "x.b.example"))[0] == ["*.b.example"]
    names, answer = await get(bench, "c.example")
    assert names == ["ingress.local"]
    assert b"404 Not Found" in answer


async def test_a_new_secret_counts_at_once(bench: Bench) -> None:
    """A changed Secret is shown in the next handshake; a broken or missing one is told and the own one shown."""
    bench.routes = routing(certificates={(443, "a.example"): A})
    assert (await get(bench, "a.example"))[0] == ["ingress.local"]
    assert "secret default/a: it is not there" in bench.log[0]
    for revision, host in (("1", "one.example"), ("2", "two.example")):
        bench.secrets[A] = secret(revision, host)
        assert (await get(bench, "a.example"))[0] == [host]
    bench.secrets[A]["data"]["tls.key"] = secret("3", "x")["data"]["tls.key"]
    bench.secrets[A]["metadata"]["resourceVersion"] = "3"
    assert (await get(bench, "a.example"))[0] == ["ingress.local"]
    assert any("certificate and key are no pair" in line for line in bench.log)


async def test_no_tls_where_it_is_wanted(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Who speaks plain HTTP to the TLS port is cut off, and the proxy goes on."""
    with pytest.raises(aiohttp.ClientError):
        await client.get(f"http://{PROXY}:443/")
    assert (await get(bench, "a.example"))[0] == ["ingress.local"]


async def test_http2_is_refused_by_name(bench: Bench) -> None:
    """TLS agrees on http/1.1 only; a client that begins with HTTP/2 gets its error for that."""
    context = streams.insecure_tls()
    context.set_alpn_protocols(["h2", "http/1.1"])
    link = bench.network._links["client"]
    async with streams.connect(link, PROXY, 443, tls=context) as stream:
        assert stream.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    async with streams.connect(link, PROXY, 80) as stream:
        stream.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        answer = await stream.reader.read()
    assert answer[9 + 3] == 7
    assert answer[9 + 9 + 7] == 13
    assert b"HTTP/1.1 only" in answer
