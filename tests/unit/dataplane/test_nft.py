"""The printed rules: as agreed, and as nft itself takes them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from miniplane.api.kind import Object
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.diff import diff
from miniplane.dataplane.parse_nft import ParseError, parse
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.ruleset import Ruleset
from tests.unit.dataplane.builders import (
    DUAL,
    NETWORK,
    dual_seed,
    endpoint,
    endpoint_slice,
    make,
    policy,
    seed,
    seed_policy,
    service,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "seed-node-1.nft"


def _rules(*, changed: bool = False) -> Ruleset:
    objects = [*seed(), seed_policy()]
    if changed:
        sticky = service("sticky", "10.96.0.21", sessionAffinity="ClientIP", type="NodePort")
        objects = [item for item in objects if item["kind"] != "NetworkPolicy"]
        objects += [sticky, endpoint_slice("sticky", *(endpoint(f"10.244.1.{last}") for last in (2, 3, 4)))]
    return Cluster.from_objects(objects, NETWORK).machine("node-1").program.ruleset


def _why_not() -> str:
    if shutil.which("nft") is None:
        return "nft is not installed"
    probe = subprocess.run(["unshare", "-rn", "nft", "list", "ruleset"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "no right to make a network namespace"


def test_the_seeds_rules_are_as_agreed() -> None:
    """node-1's rules for the seed's cluster; MINIPLANE_GOLDEN=1 rewrites the file."""
    text = render(_rules())
    if os.environ.get("MINIPLANE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_the_golden_rules_can_be_read() -> None:
    """The file reads back as what is compiled."""
    assert parse(GOLDEN.read_text()) == _rules()


@pytest.mark.parametrize("text", ["nonsense", "table ip x {", "table ip x {\nchain y {\nlog\n}\n}\n"])
def test_what_is_not_of_the_subset_is_refused(text: str) -> None:
    """Foreign text is an error, never half a ruleset."""
    with pytest.raises(ParseError):
        parse(text)


@pytest.mark.nft
def test_nft_takes_the_rules_and_each_transaction(tmp_path: Path) -> None:
    """The kernel loads the rules and both transactions between two states, and ends where it began."""
    if reason := _why_not():
        pytest.skip(reason)
    old, new = _rules(), _rules(changed=True)
    _load(tmp_path, render(old), diff(old, new).render(), diff(new, old).render())


def _load(tmp_path: Path, *steps: str) -> None:
    """Rules, then two transactions that lead back to them; nft must take all and list the same at the end."""
    files = [tmp_path / f"{number}.nft" for number in range(len(steps))]
    for file, step in zip(files, steps, strict=True):
        file.write_text(step)
    script = f"nft -f {files[0]} && nft list ruleset | sort && nft -f {files[1]} && nft -f {files[2]} && echo ===="
    script += " && nft list ruleset | sort"
    done = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.split("====\n")
    assert _words(before) == _words(after)


@pytest.mark.nft
def test_nft_takes_both_families_and_each_transaction(tmp_path: Path) -> None:
    """An IPv6 table beside the IPv4 one, with blocks and node ports in both.

    Without affinity: nft 1.0.6 aborts at an update of a map whose key is a concatenation with an IPv6 address.
    """
    if reason := _why_not():
        pytest.skip(reason)
    blocks = [{"ipBlock": {"cidr": "::/0", "except": ["fd00:244:1::/65"]}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    rule = {"from": blocks, "ports": [{"port": 80}, {"port": 8000, "endPort": 8010}]}
    extra = [
        policy("p", podSelector={}, ingress=[rule], egress=[{"to": [{"podSelector": {}}]}], policyTypes=["Egress"]),
        policy("q", podSelector={}, ingress=[rule]),
        service("more", "10.96.0.21", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]),
        _tiers(),
        endpoint_slice("more", endpoint("10.244.1.2"), endpoint("10.244.1.3"), endpoint("10.244.2.2")),
    ]
    old, new = (Cluster.from_objects(dual_seed(*more), DUAL).machine("node-1").program.ruleset for more in ((), extra))
    _load(tmp_path, render(old), diff(old, new).render(), diff(new, old).render())


def _tiers() -> Object:
    """A cluster-wide policy whose rules of labels and addresses cut each other."""
    pods: list[Object] = [{"namespaces": {}}]
    wanted = [{"tcp": {"destinationPort": {"range": {"start": 80, "end": 90}}}}, {"udp": {}}]
    networks = [{"networks": ["10.244.1.0/25", "fd00:244:1::/65"]}]
    ingress = [{"action": "Accept", "from": pods, "protocols": wanted}, {"action": "Deny", "from": pods}]
    egress = [{"action": "Pass", "to": networks, "protocols": wanted}, {"action": "Deny", "to": pods}]
    spec = {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "ingress": ingress, "egress": egress}
    return make("ClusterNetworkPolicy", "tiers", "", spec=spec)


def _words(listing: str) -> list[str]:
    return sorted(listing.replace(",", " ").replace("elements = {", " ").replace("}", " ").split())
