"""The tutorial's commands, run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-cluster.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kubectl,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH"),
]

REFUSED = {"kubectl exec shell -- curl -s -m 2 http://web/hostname", "miniplane trace shell svc/web"}
"""The commands that are to fail: what the policy drops, and the explanation of it."""


def test_the_tutorial_holds(tmp_path: Path) -> None:
    """Every command works, but for the two that the policy is to refuse, and the output shows what the text says."""
    blocks = re.findall(r"^```\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    wait = "kubectl wait pod --all --for=condition=Ready --timeout=30s || true\n"  # a reader takes his time
    script = "trap 'echo \"failed: $BASH_COMMAND\"' ERR\n" + wait.join(blocks)
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MINIPLANE_DATA_DIR": str(tmp_path / "state"),
        "HOME": str(tmp_path),
    }
    try:
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    finally:
        command = [sys.executable, "-P", "-m", "miniplane", "down"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    failed = set(re.findall(r"^failed: (.*)$", done.stdout, re.MULTILINE))
    assert failed == REFUSED, done.stdout + done.stderr
    assert "Service default/web" in done.stdout
    assert "It takes the rule {from: [{podSelector: {matchLabels: {run: shell}}}]" in done.stdout
    assert "forgotten:" in done.stdout
