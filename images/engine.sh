#!/usr/bin/env bash
# A container engine for building and running the images, whatever the machine has.
#
#   eval "$(images/engine.sh up)"     # DOCKER_HOST, CONTAINERS_CONF, BASE_IMAGE, as far as they are needed
#   images/engine.sh down             # stops what `up` started; images and layers stay
#
# Where a Docker daemon answers, `up` has nothing to do: the images are built on the base that the Dockerfile pins.
# Else, as root on Debian or Ubuntu, it installs podman, starts its Docker-compatible socket, and makes a stand-in for
# the base out of the distribution's own packages, so that no image registry is needed. Images on the stand-in are for
# tests on this machine: never push them. Where neither is possible it says "skipped: why" and exits with 3.
#
# The machine's package index, proxy and certificates reach builds through one configuration file, never through the
# Dockerfile, so no image contains them.
set -euo pipefail

state=${XDG_CACHE_HOME:-$HOME/.cache}/thygan-containers
socket=$state/podman.sock
conf=$state/containers.conf
bundle=/etc/ssl/certs/ca-certificates.crt
packages=(podman runc netavark aardvark-dns iptables mmdebstrap)
python=python3,python3-pip,ca-certificates,libstdc++6,tzdata

say() { printf 'engine: %s (%s s)\n' "$1" "$SECONDS" >&2; }
skip() { printf 'skipped: no container engine: %s\n' "$1" >&2; exit 3; }

install_podman() {
  command -v podman mmdebstrap runc >/dev/null && dpkg -s "${packages[@]}" >/dev/null 2>&1 && return
  apt-get update -qq >"$state/apt.log" 2>&1 || skip "apt-get update failed, see $state/apt.log"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >>"$state/apt.log" 2>&1 ||
    skip "podman cannot be installed, see $state/apt.log"
  say "podman installed"
}

# The machine's package index, where it has one of its own: as pip.conf for builds.
write_index() {
  local url
  url=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
  : >"$state/pip.conf"
  case $url in http*) printf '[global]\nindex-url = %s\n' "$url" >"$state/pip.conf" ;; esac
}

# ulimits above the caller's own need a capability that containers' hosts often lack; there may be no systemd, and crun
# fails where cgroups v1 and v2 are mixed.
configure() {
  local files
  files=$(ulimit -Hn)
  if [ "$files" = unlimited ] || [ "$files" -gt 16384 ]; then files=16384; fi
  cat >"$conf.new" <<CONF
[containers]
netns = "host"
volumes = [
  "$(readlink -f "${SSL_CERT_FILE:-$bundle}"):$bundle:ro",
  "$state/pip.conf:/etc/pip.conf:ro",
]
default_ulimits = ["nofile=$files:$files", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
  if cmp -s "$conf.new" "$conf"; then rm "$conf.new"; return; fi
  stop
  mv "$conf.new" "$conf"
}

make_base() {
  local suite sources=() file
  suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  base=localhost/thygan-base:$suite-4
  podman image exists "$base" && return
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
    if [ -s "$file" ] && grep -qE "^[^#]*\b$suite\b" "$file"; then sources+=("$file"); fi
  done
  # In memory, because dpkg waits for the disk at each file. The last file is where pip.conf is mounted.
  # shellcheck disable=SC2016
  TMPDIR=$([ -w /dev/shm ] && echo /dev/shm || echo /tmp) mmdebstrap --quiet --variant=apt --include="$python" --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='touch "$1/etc/pip.conf"' \
    "$suite" - "${sources[@]}" 2>"$state/base.log" |
    podman import -q -c 'ENV LANG=C.UTF-8' -c 'CMD ["python3"]' - "$base" >/dev/null ||
    skip "the stand-in base cannot be made, see $state/base.log"
  say "stand-in base $base made"
}

running() { podman --url "unix://$socket" version >/dev/null 2>&1; }

stop() {
  if [ -s "$state/pid" ]; then
    kill "$(cat "$state/pid")" 2>/dev/null || true
    rm -f "$state/pid" "$socket"
  fi
}

start() {
  running && return
  stop
  setsid podman system service --time=0 "unix://$socket" >"$state/service.log" 2>&1 </dev/null &
  echo $! >"$state/pid"
  for _ in $(seq 100); do
    running && return
    sleep 0.1
  done
  skip "podman's socket does not answer, see $state/service.log"
}

up() {
  local base
  if docker info --format '{{.ServerVersion}}' 2>/dev/null | grep -q .; then
    say "the Docker daemon is used"
    return
  fi
  [ "$(id -u)" = 0 ] || skip "no Docker daemon answers, and only root can install podman"
  command -v apt-get >/dev/null || skip "no Docker daemon answers, and this is not Debian, on which podman could be installed"
  mkdir -p "$state"
  install_podman
  write_index
  configure
  export CONTAINERS_CONF=$conf
  make_base
  start
  say "podman $(podman version --format '{{.Client.Version}}') is ready"
  echo "export CONTAINERS_CONF=$conf DOCKER_HOST=unix://$socket BASE_IMAGE=$base"
}

case ${1:-} in
  up) up ;;
  down) stop ;;
  *) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
