"""`tar` in a container: what `kubectl cp` runs."""

import pytest

from tests.unit.kubelet.conftest import Bench


async def test_what_is_packed_is_unpacked(bench: Bench) -> None:
    """A folder goes into an archive and comes out elsewhere, by its first letters with or without a dash."""
    made = "echo -n one > /srv/a; echo -n two > /srv/b/c"
    script = "tar cf - srv | tar -xmf - -C /copy; cat /copy/srv/a /copy/srv/b/c"
    assert (await bench.run("sh", "-c", f"{made}; {script}"))[:2] == (0, "onetwo")
    script = "tar -czf /x.tgz -C /srv b; tar tf /x.tgz; tar xvf /x.tgz -C /z; cat /z/b/c"
    assert (await bench.run("sh", "-c", f"echo -n two > /srv/b/c; {script}"))[:2] == (0, "b/c\nb/c\ntwo")


async def test_absolute_names_go_below_the_folder(bench: Bench) -> None:
    """A member is never written outside of the folder that is asked for."""
    script = "echo x > /a; tar cf - /a | tar xf - -C /in; cat /in/a"
    assert (await bench.run("sh", "-c", script))[1] == "x\n"


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [
        ("tar cf - /nothing", 1, "tar: /nothing: No such file or directory"),
        ("echo no archive | tar xf -", 1, "tar: "),
        ("tar -f -", 2, "must specify one of -c, -x, -t"),
    ],
)
async def test_mistakes(bench: Bench, script: str, code: int, text: str) -> None:
    """What is not there, no archive, nothing to do: a complaint and an exit code."""
    done = await bench.run("sh", "-c", script)
    assert done[0] == code
    assert text in done[2]
