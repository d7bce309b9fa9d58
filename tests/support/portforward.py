"""Port forwarding with kubectl into the cluster: to a pod, or to one of the pods of a Service."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dev.harness.kubectl import Kubectl


@contextmanager
def port_forward(kubectl: Kubectl, target: str, port: int | str) -> Iterator[str]:
    """Yield an address of this host, as host:port, that is forwarded to a port of `pod/NAME` or `service/NAME`."""
    process = kubectl.start("port-forward", "--address=127.0.0.1", target, f":{port}")
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.match(r"Forwarding from (\S+) ->", line)
        assert found is not None, f"kubectl port-forward {target} has ended: {line}"
        yield found[1]
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()
