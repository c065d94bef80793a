"""The programs of the network: curl, wget, nc, nslookup, dig."""

import asyncio

import pytest

from agents.kubelet.images.echo import Echo
from agents.kubelet.images.web import HttpEcho, WebServer
from tests.unit.kubelet.conftest import Bench


@pytest.fixture
async def web(bench: Bench) -> Bench:
    """A pod that serves HTTP on port 80 and is called web.default.svc.cluster.local."""
    await WebServer(name="nginx", ports=[80]).start(await bench.context())
    await bench.serve_names({"web.default.svc.cluster.local": "10.244.1.2"})
    return bench


async def test_curl_by_short_name(web: Bench) -> None:
    """A short name resolves along the search list, and the page comes out."""
    code, out, err = await web.run("curl", "-s", "http://web/hostname")
    assert (code, out, err) == (0, "p", "")


async def test_curl_writes_out_what_it_is_asked_for(web: Bench) -> None:
    """-o /dev/null -w '%{http_code}' prints the status only, escapes expanded."""
    code, out, _ = await web.run("curl", "-so", "/dev/null", "-w", "%{http_code} %{remote_ip}\\n", "web:80/x")
    assert (code, out) == (0, "200 10.244.1.2\n")


async def test_curl_sends_headers_method_and_data(web: Bench) -> None:
    """-H, -X, -d and the Host header arrive."""
    _, out, _ = await web.run("curl", "-sX", "PUT", "-H", "Host: api.example.com", "-H", "A: b", "-d", "x=1", "web")
    assert "request: PUT /" in out
    assert "header Host: api.example.com" in out
    assert "header A: b" in out
    assert "header Content-Length: 3" in out


async def test_curl_head_prints_the_headers(web: Bench) -> None:
    """-I asks with HEAD and prints status line and headers, no body."""
    code, out, _ = await web.run("curl", "-sI", "web")
    assert code == 0
    assert out.startswith("HTTP/1.1 200 OK\r\n")
    assert out.endswith("\r\n\r\n")


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["http://nobody/"], 6, "Could not resolve host: nobody"),
        (["http://web:81/"], 7, "Failed to connect to web port 81"),
        (["-m", "0.05", "http://10.9.9.9/"], 28, "timed out after 50 milliseconds"),
        (["--connect-timeout", "0.05", "http://10.9.9.9/"], 28, "timed out"),
        (["ftp://web/"], 1, "not supported"),
        (["--nonsense"], 2, "unknown"),
        ([], 2, "no URL"),
        (["http://web:99999/"], 3, "Port number"),
    ],
)
async def test_curl_failures(web: Bench, args: list[str], code: int, text: str) -> None:
    """Each failure has curl's exit code and says why on standard error; -s keeps quiet."""
    web.network.dropped.add("10.9.9.9")
    got, out, err = await web.run("curl", *args)
    assert (got, out) == (code, "")
    assert text in err


async def test_curl_fail_turns_http_errors_into_exit_22(bench: Bench) -> None:
    """-f exits with 22 for a status of 400 and above and prints no body."""
    await HttpEcho().start(await bench.context(args=["-text=x", "-listen=:80", "-status-code=404"]))
    code, out, err = await bench.run("curl", "-sSf", "http://10.244.1.2/")
    assert (code, out, err) == (22, "", "curl: (22) The requested URL returned error: 404\n")
    assert (await bench.run("curl", "-s", "10.244.1.2"))[:2] == (0, "x\n")


async def test_wget(web: Bench) -> None:
    """-qO- prints the page; a name that is not there is a bad address; a refused one says so."""
    assert await web.run("wget", "-qO-", "-T", "2", "http://web/hostname") == (0, "p", "")
    assert await web.run("wget", "-qO-", "http://nobody/") == (1, "", "wget: bad address 'nobody'\n")
    code, _, err = await web.run("wget", "-qO-", "http://web:81/")
    assert (code, err) == (1, "wget: can't connect to remote host (10.244.1.2): Connection refused\n")
    web.network.dropped.add("10.9.9.9")
    assert (await web.run("wget", "-qT0.05", "http://10.9.9.9/"))[2] == "wget: download timed out\n"


async def test_nc_looks_at_ports(web: Bench) -> None:
    """-z exits with 0 for an open port and 1 for a closed or silent one; -v says which."""
    web.network.dropped.add("10.9.9.9")
    assert await web.run("nc", "-zv", "web", "80") == (0, "", "web (10.244.1.2:80) open\n")
    assert await web.run("nc", "-z", "web", "81") == (1, "", "")
    code, _, err = await web.run("nc", "-zvw", "0.05", "10.9.9.9", "80")
    assert (code, err) == (1, "nc: 10.9.9.9 (10.9.9.9:80): Connection timed out\n")


async def test_nc_sends_its_input_and_prints_the_answer(bench: Bench) -> None:
    """What goes in on TCP or UDP comes back from an echo server."""
    await Echo(ports=(7,)).start(await bench.context())
    assert (await bench.run("nc", "-w", "0.2", "10.244.1.2", "7", stdin="hi"))[1] == "hi"
    assert (await bench.run("nc", "-u", "10.244.1.2", "7", stdin="hi"))[1] == "hi"


async def test_nslookup_follows_the_search_list(web: Bench) -> None:
    """The answer shows the full name, the nameserver and the address; an unknown name is NXDOMAIN with exit 1."""
    code, out, _ = await web.run("nslookup", "web")
    assert code == 0
    assert "Server:\t\t10.96.0.10" in out
    assert "Name:\tweb.default.svc.cluster.local\nAddress: 10.244.1.2" in out
    code, out, _ = await web.run("nslookup", "nobody")
    assert code == 1
    assert "** server can't find nobody: NXDOMAIN" in out


async def test_dig_short(web: Bench) -> None:
    """+short prints the addresses; names are absolute unless +search is given."""
    assert (await web.run("dig", "+short", "web.default.svc.cluster.local"))[1] == "10.244.1.2\n"
    assert (await web.run("dig", "+short", "web"))[1] == ""
    assert (await web.run("dig", "+search", "+short", "web"))[1] == "10.244.1.2\n"


async def test_search_list_order_and_ndots(bench: Bench) -> None:
    """A name with few dots goes through the search list first; one with five, or a final dot, is asked for as it is."""
    asked = await bench.serve_names({})
    context = await bench.context()
    for name in ("a.b", "a.b."):
        with pytest.raises(LookupError):
            await context.names.addresses(name)
    assert asked == [
        "a.b.default.svc.cluster.local.",
        "a.b.svc.cluster.local.",
        "a.b.cluster.local.",
        "a.b.",
        "a.b.",
    ]
    assert context.names.conf.candidates("a.b.c.d.e.f")[0] == "a.b.c.d.e.f."


async def test_hosts_come_before_the_nameserver(bench: Bench) -> None:
    """The hosts file's names need no nameserver, an address no look-up at all."""
    names = (await bench.context()).names
    assert await names.addresses("localhost") == ["127.0.0.1"]
    assert await names.addresses("P") == ["10.244.1.2"]
    assert await names.addresses("10.1.2.3") == ["10.1.2.3"]


async def test_silent_nameserver_is_a_timeout(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no nameserver answers, nslookup says so and exits with 1."""
    monkeypatch.setattr("agents.kubelet.resolver.TIMEOUT_S", 0.01)
    code, out, _ = await bench.run("nslookup", "web")
    assert (code, out) == (1, ";; connection timed out; no servers could be reached\n")


async def test_ping_and_ip(bench: Bench) -> None:
    """A ping is refused and says what to use; ip shows the pod's address."""
    code, _, err = await bench.run("ping", "10.0.0.1")
    assert code == 1
    assert "no ICMP" in err
    assert "inet 10.244.1.2/32" in (await bench.run("ip", "addr"))[1]


async def test_database_probes(bench: Bench) -> None:
    """pg_isready fails without a server on localhost and is content with one."""
    assert (await bench.run("pg_isready", "-U", "postgres"))[0] == 2
    await WebServer(name="db", ports=[5432]).start(await bench.context())
    assert (await bench.run("pg_isready", "-U", "postgres"))[0] == 0
    await asyncio.sleep(0)
