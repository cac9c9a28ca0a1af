"""Who takes part, what of it is called, and where it is installed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".venvs"
CONSTRAINTS = HERE.parent / "constraints.txt"


@dataclass(frozen=True)
class Contender:
    """`environment` is a folder of `peers` with a `requirements.txt`; None: that of this project."""

    label: str
    module: str
    environment: str | None
    tasks: frozenset[str]
    p_values: bool = True


def _peer(label: str, folder: str, *tasks: str, module: str = "compare", p_values: bool = True) -> Contender:
    return Contender(label, f"benchmarks.peers.{folder}.{module}", folder, frozenset(("univariate", *tasks)), p_values)


OURS = Contender("driftloop", "benchmarks.peers.monitor.compare", None, frozenset(("univariate", "mmd", "classifier")))
LIMIT = Contender(
    "np.sort + hashing", "benchmarks.peers.limit.compare", None, frozenset(("univariate",)), p_values=False
)
PEERS = (
    _peer("scipy loop", "scipy"),
    _peer("frouros", "frouros", "mmd"),
    _peer("alibi-detect", "alibi_detect", "mmd", "classifier"),
    _peer("evidently, bare tests", "evidently"),
    _peer("nannyml", "nannyml", p_values=False),
    _peer("deepchecks", "deepchecks", p_values=False),
    _peer("whylogs", "whylogs"),
    _peer("evidently, preset", "evidently", module="preset"),
)
CONTENDERS = {c.label: c for c in (LIMIT, OURS, *PEERS)}


def python_of(contender: Contender) -> Path:
    """The interpreter to run it with, its environment made on first use. Raises RuntimeError when that fails."""
    if contender.environment is None:
        return Path(sys.executable)
    folder = ENVIRONMENTS / contender.environment
    python, ready = folder / "bin" / "python", folder / ".ready"
    wanted = HERE / "peers" / contender.environment / "requirements.txt"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        print(f"installing {contender.environment} into {folder}", file=sys.stderr)
        _run(sys.executable, "-m", "venv", str(folder))
        # torch first, from where the project takes it: left to itself pip resolves it to gigabytes of CUDA wheels
        pinned = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch==")]
        if any(line.startswith("torch") for line in wanted.read_text().splitlines()):
            _run(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *pinned)
        _run(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted))
        ready.write_text(wanted.read_text())
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
