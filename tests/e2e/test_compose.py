"""The programs as containers: compose.yaml says only what the programs understand, and the story holds there."""

import argparse
import functools
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from miniplane import components, config, pki
from miniplane.cli.demo import story
from miniplane.cli.main import main
from miniplane.cli.programs import FOLDERS

ROOT = Path(__file__).parents[2]
PORTS = ("MINIPLANE_PORT", "MINIPLANE_NODE_PORT", "MINIPLANE_HTTP_1", "MINIPLANE_HTTP_2", "MINIPLANE_HTTP_3")
NODES = ("node-1", "node-2", "node-3")


@functools.cache
def compose() -> dict[str, Any]:
    """The file as compose reads it, merges done."""
    return cast(dict[str, Any], yaml.safe_load((ROOT / "deploy/compose.yaml").read_text()))


def settings(service: str) -> Any:
    """The settings that a service's program makes of its command and environment."""
    given = compose()["services"][service]
    program, *flags = given["command"]
    environ = {name: str(value) for name, value in given.get("environment", {}).items()}
    return config.load(components.load(FOLDERS[program]).Settings, flags, program=program, environ=environ)


@pytest.mark.parametrize("service", ["apiserver", "controllers", *NODES])
def test_programs_take_their_flags(service: str) -> None:
    """Every flag and variable is a setting, and what a program reads lies in the volume that it is given."""
    made = settings(service)
    reads = made.kubeconfig.parent if service == "controllers" else made.data_dir
    assert f"{service}:{reads}" in compose()["services"][service]["volumes"]


def test_nodes_are_told_apart_and_found() -> None:
    """A node is named after its service, tells others that name, and has an address and fixed ports of its own."""
    made = {name: settings(name) for name in NODES}
    for name, node in made.items():
        assert (node.name, node.address) == (name, name)
        assert node.host == node.host_ports_bind == "0.0.0.0"
        assert 0 < node.port != node.tunnel_port > 0
    assert len({node.node_ip for node in made.values()}) == len(NODES)


def test_certificates_are_for_the_names_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The init service's command gives each program its own files, made for the names that the others use."""
    (command,) = compose()["services"]["certs"]["command"]
    words = shlex.split(command.partition("&&")[0])
    assert words[0] == "miniplane"
    moved = [re.sub(r"(^|=)/", rf"\1{tmp_path}/", word) for word in words[1:]]
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert main(moved) == 0
    for name in ("controllers", *NODES):
        document = yaml.safe_load((tmp_path / f"for/{name}/{name}.kubeconfig").read_text())
        assert document["clusters"][0]["cluster"]["server"] == settings("apiserver").server_url
    for name in ("apiserver", *NODES):
        pki.server_context(pki.files(tmp_path / "for" / name, name), client="required")
    assert (tmp_path / "for/admin/kubeconfig").exists()
    assert list(tmp_path.rglob("ca.key")) == [tmp_path / "ca/pki/ca.key"]


def test_what_is_published_is_served() -> None:
    """Ports go to loopback only and lead to ports that a program has or that the seed's Services take."""
    services = compose()["services"]
    port = settings("apiserver").port
    assert services["apiserver"]["ports"] == [f"127.0.0.1:${{MINIPLANE_PORT-{port}}}:{port}"]
    seed = yaml.safe_load((ROOT / "deploy/demo/seed/03-service-nodeport.yaml").read_text())
    inside = {80, seed["spec"]["ports"][0]["nodePort"]}
    found = [text for name in NODES for text in services[name]["ports"]]
    assert {int(text.rpartition(":")[2]) for text in found} == inside
    assert all(text.startswith("127.0.0.1:") for text in found)
    used = {name for text in [*services["apiserver"]["ports"], *found] for name in re.findall(r"\$\{(\w+)", text)}
    assert used == set(PORTS)


def test_the_demo_waits_for_every_node() -> None:
    """The story's flags are its own, and it begins once all nodes are there."""
    program, *flags = compose()["services"]["demo"]["command"]
    parser = argparse.ArgumentParser()
    story.arguments(parser)
    given = parser.parse_args(flags)
    assert (program, given.nodes) == ("demo", len(NODES))
    assert f"admin:{given.kubeconfig.parent}:ro" in compose()["services"]["demo"]["volumes"]


def test_references_hold() -> None:
    """Services that are waited for and volumes that are mounted are declared."""
    services, volumes = compose()["services"], compose()["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert {text.partition(":")[0] for text in service.get("volumes", ())} <= set(volumes)


def _why_not() -> str:
    """Why containers can't be had; empty if they can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    if _fails("docker", "info"):
        return "no Docker engine answers"
    if _fails("docker", "compose", "version") and _fails("docker-compose", "version"):
        return "there is no docker compose"
    return "there is no image miniplane (make image)" if _fails("docker", "image", "inspect", "miniplane") else ""


def _fails(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0
    except (OSError, subprocess.TimeoutExpired):
        return True


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_story_in_containers() -> None:
    """Every claim of the seed's story holds with each program in a container, and nothing is left of it."""
    if reason := _why_not():
        pytest.skip(reason)
    project = f"miniplane-test-{os.getpid()}"
    environment = {**os.environ, **dict.fromkeys(PORTS, ""), "MINIPLANE_PROJECT": project}
    command = [str(ROOT / "deploy/demo.sh"), "--exit"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, (
        f"with the image that make image built last:\n{done.stdout[-8000:]}{done.stderr[-2000:]}"
    )
    assert "claims checked by doing them" in done.stdout
    left = ["docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={project}"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""
