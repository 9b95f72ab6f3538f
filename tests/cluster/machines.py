"""A Ray cluster of several machines in this one, in a process of its own, which takes orders on its standard input.

Run as a script it is that process; ``machines`` starts it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A machine that refuses to answer three times in three seconds is dead; Ray's own rule takes a quarter of a minute. One
# that is only slow has as long as Ray gives it.
SOON_DEAD = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}


@dataclass
class Machines:
    """The cluster.

    Attributes:
        address: ``HOST:PORT`` of the head.
        notes: a folder that every worker finds in the variable ``TESTED``.
        names: the machines that were added and not removed.
    """

    address: str
    notes: Path
    process: subprocess.Popen[str]
    names: set[str] = field(default_factory=set)

    def add(self, **has: float) -> str:
        """Add a machine, and give its name; ``has`` is as ``num_cpus=1``."""
        name = str(self._order("add", has))
        self.names.add(name)
        return name

    def remove(self, name: str) -> None:
        """Have a machine die, and wait until the head knows."""
        self._order("remove", name)
        self.names.remove(name)

    def _order(self, what: str, value: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([what, value]), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@contextlib.contextmanager
def machines(notes: Path, *, cores: int = 0, dashboard: bool = False) -> Iterator[Machines]:
    """A cluster without any machine but the head, started as docs/cluster.md says.

    Without ``cores`` nothing is performed there.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HARNESS_", "RAY_", "PYTHON"))}
    head: dict[str, Any] = {"num_cpus": cores, "include_dashboard": dashboard, "include_log_monitor": False}
    head |= {"_system_config": SOON_DEAD}
    head |= {"dashboard_port": None, "dashboard_agent_listen_port": None}  # free ones: tests side by side have clusters
    command = [sys.executable, __file__, json.dumps(head)]
    with (
        (notes / "cluster.txt").open("w") as log,
        tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder,  # a short path
    ):
        environment = kept | {"OMP_NUM_THREADS": "1", "TESTED": str(notes), "RAY_TMPDIR": folder}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
        process = subprocess.Popen(command, env=environment, cwd=notes, text=True, **pipes)
        try:
            assert process.stdout is not None
            yield Machines(json.loads(process.stdout.readline()), notes, process)
        finally:
            process.communicate(timeout=60)  # closes its input, which ends it


def _serve(head: dict[str, Any]) -> None:
    from ray.cluster_utils import Cluster

    answers, sys.stdout = sys.stdout, sys.stderr
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    nodes: dict[str, Any] = {}
    print(json.dumps(cluster.address), file=answers, flush=True)
    for line in sys.stdin:
        what, value = json.loads(line)
        answer = None
        if what == "add":
            node = cluster.add_node(**value)
            nodes[node.node_id] = node
            answer = node.node_id
        else:
            cluster.remove_node(nodes.pop(value), allow_graceful=False)
            cluster.wait_for_nodes()  # until the head has noticed
        print(json.dumps(answer), file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
