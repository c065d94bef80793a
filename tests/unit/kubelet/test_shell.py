"""The small shell."""

import asyncio

import pytest

from agents.kubelet.applets.command import Command
from agents.kubelet.images.web import WebServer
from tests.unit.kubelet.conftest import Bench
from tests.unit.kubelet.fakes import settle


@pytest.mark.parametrize(
    ("script", "output"),
    [
        ("echo a  b; echo c", "a b\nc\n"),
        ("echo 'a  $WHO' \"b  $WHO\"", "a  $WHO b  me\n"),
        ("true && echo yes || echo no", "yes\n"),
        ("false && echo yes || echo no", "no\n"),
        ("! false && echo turned", "turned\n"),
        ("echo ${WHO}x ${NOBODY:-nobody} $NOBODY.", "mex nobody .\n"),
        ("X='a b'; echo $X \"$X\" | wc -w", "4\n"),
        ("echo $(echo in; echo two) `echo back`", "in two back\n"),
        ("i=1; while [ $i -le 3 ]; do echo $i; i=$((i+1)); done", "1\n2\n3\n"),
        ("for x in a b $(seq 2); do echo -n $x; done", "ab12"),
        ("for x in 1 2 3; do if [ $x = 2 ]; then continue; fi; echo $x; done", "1\n3\n"),
        ("until test -f /tmp/x; do touch /tmp/x; echo made; done", "made\n"),
        ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n"),
        (
            "echo one > /tmp/f; echo two >> /tmp/f; cat /tmp/f; rm /tmp/f; cat /tmp/f 2>/dev/null || echo gone",
            "one\ntwo\ngone\n",
        ),
        ("nothing-here 2>&1 | cat", "sh: nothing-here: not found\n"),
        ("A=1 printenv A; echo ${A:-unset}", "1\nunset\n"),
        ("export B=2; sh -c 'echo $B $0 $1' name arg", "2 name arg\n"),
        ("(echo sub; X=1; exit 3) # comment\necho after $? $X", "sub\nafter 3\n"),
        ("printf '%s=%d\\n' a 1 b 2", "a=1\nb=2\n"),
        ('echo "say \\"hi\\" \\$5"', 'say "hi" $5\n'),
        ("cd /tmp; hostname; hostname -i", "p\n10.244.1.2\n"),
        ("echo a | grep -c a; echo a | grep -q b; echo $?", "1\n1\n"),
        ("echo $((7 / 2)) $((-7 % 3)) $((2 * (1 + 2)))", "3 -1 6\n"),
    ],
)
async def test_scripts(bench: Bench, script: str, output: str) -> None:
    """Each script prints what a shell prints."""
    assert (await bench.sh(script))[1] == output


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 7", 7),
        ("false", 1),
        ("nothing-here", 127),
        ("set -e; false; echo not reached", 1),
        ("true; false || true", 0),
        ("echo 'open", 2),
        ("if true; then echo", 2),
        ("sleep 1 &", 2),
        ("exec sh -c 'exit 4'; echo not reached", 4),
        ("sleep", 2),
        ("test a -eq b", 2),
        ("echo $((1/0))", 2),
    ],
)
async def test_exit_codes(bench: Bench, script: str, code: int) -> None:
    """The exit code is the shell's, and nothing is printed after the end."""
    assert (await bench.sh(script))[0] == code
    assert b"not reached" not in bench.out


async def test_endless_script_runs_on_the_clock(bench: Bench) -> None:
    """The counter of Kubernetes' own documentation logs once a second until it is stopped."""
    script = 'i=0; while true; do echo "$i: $(date +%S)"; i=$((i+1)); sleep 1; done'
    running = await Command(["/bin/sh", "-c", script], WebServer(name="none")).start(await bench.context())
    await bench.clock.advance(2.5)
    assert bench.lines == ["0: 00", "1: 01", "2: 02"]
    running.terminate()
    assert await running.exited == 143


@pytest.mark.parametrize("argv", [("sleep", "infinity"), ("tail", "-f", "/dev/null"), ("sleep", "1d")])
async def test_waiting_commands_keep_running(bench: Bench, argv: tuple[str, ...]) -> None:
    """The usual ways to keep a container alive do so, and a kill ends them with 137."""
    running = await Command(argv, WebServer(name="none")).start(await bench.context())
    await bench.clock.advance(3600)
    assert not running.exited.done()
    await running.kill()
    assert running.exited.result() == 137


async def test_unknown_program_starts_the_images_server(bench: Bench) -> None:
    """A script that ends in a program that can't be run serves the declared ports instead, and says so."""
    running = await Command(["sh", "-c", "echo hello; exec python app.py"], WebServer(name="none")).start(
        await bench.context(8000)
    )
    await settle()
    assert bench.lines[:2] == ["hello", "python is not run here: serving as the image does instead"]
    assert ("10.244.1.2", 8000) in bench.network.listening
    await running.kill()
    await settle()
    assert not bench.network.listening


async def test_shell_reads_commands_from_its_input(bench: Bench) -> None:
    """Without -c it runs the lines of its input, and `exit` ends it."""
    assert await bench.run("sh", stdin="X=1\necho $X\nexit 5\necho no\n") == (5, "1\n", "")


async def test_loop_without_sleep_leaves_room_for_others(bench: Bench) -> None:
    """`while true; do true; done` does not stop the agent."""
    task = asyncio.create_task(bench.sh("while true; do true; done"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
