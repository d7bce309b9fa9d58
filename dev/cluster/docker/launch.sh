#!/bin/sh
# Start dockerd in the checkout's network and its own mount namespace: launch.sh NAMESPACE RESOLV_CONF DOCKERD...
#
# Mounts of dockerd are invisible to other processes and disappear with its last process. RESOLV_CONF replaces the host's
# file if that names a resolver on the host's loopback interface, which cannot be reached from here; it may be "".
set -eu
if [ "${1#/}" != "$1" ]; then
  exec nsenter --net="$1" unshare --mount --propagation slave "$0" entered "$2" "$@"
fi
shift # "entered"
resolv_conf=$1
shift 3 # and the two arguments of the first call
# The helpers of every containerd put their sockets here.
mkdir -p /run/containerd
mount -t tmpfs -o mode=0711 containerd /run/containerd
if [ -n "$resolv_conf" ]; then mount --bind "$resolv_conf" /etc/resolv.conf; fi
exec "$@"
