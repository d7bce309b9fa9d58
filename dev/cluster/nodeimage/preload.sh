#!/bin/sh
# Run inside the unfinished root of a node image: put the archive of images ($1) into its containerd's store, so that a
# node starts with them and pulls nothing. They are not unpacked: /var is copied for each node, so it is kept small.
set -eu
work=/run/preload
mkdir -p $work
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >$work/config.toml
containerd --config $work/config.toml --root /var/lib/containerd --state $work/state --address $work/socket &
ctr() { command ctr --address $work/socket --namespace k8s.io "$@"; }
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || { echo "containerd did not start" >&2; exit 1; }
  sleep 0.1
done
ctr images import --no-unpack "$1"
ctr images ls --quiet
kill $!
wait $! || true
rm -rf $work
