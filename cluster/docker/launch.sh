#!/bin/sh
# Become dockerd, inside the checkout's network and a mount namespace of its own: launch.sh NAMESPACE RESOLV_CONF DOCKERD...
#
# Mounts that dockerd makes are seen by nobody else and vanish with its last process. RESOLV_CONF takes the place of the
# host's file where that names a resolver on the host's loopback, which cannot be reached from here; it may be "".
set -eu
if [ "${1#/}" != "$1" ]; then
  exec nsenter --net="$1" unshare --mount --propagation slave "$0" entered "$2" "$@"
fi
shift # "entered"
resolv_conf=$1
shift 3 # and the two arguments of the first call
# containerd's helpers leave their sockets here, whoever started them.
mkdir -p /run/containerd
mount -t tmpfs -o mode=0711 containerd /run/containerd
if [ -n "$resolv_conf" ]; then mount --bind "$resolv_conf" /etc/resolv.conf; fi
exec "$@"
