#!/usr/bin/env bash
# A Docker engine for tests, on a machine that may have none.
#
#   tests/services/docker.sh up      `docker` works and has the image python:3.11-slim
#   tests/services/docker.sh down    what `up` started is gone, with all its containers and images
#
# An engine that runs already is used as it is, and `down` leaves it alone. Starting one takes root
# on Debian or Ubuntu. If no registry can be reached, python:3.11-slim is made from Debian's own
# packages, as far as `space_template/Dockerfile` needs it: Python 3.11 with pip as `python`. It then
# carries this machine's certificates, and torch's build for CPUs if pip finds that on this disk.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
state=${HUBTRAIN_DOCKER:-/var/tmp/hubtrain-docker} # everything of the engine: its images, pid, log
base=python:3.11-slim
export DOCKER_BUILDKIT=0 # the plain builder needs no plugin

up() {
    install_programs
    docker info >/dev/null 2>&1 || start_engine
    docker image inspect $base >/dev/null 2>&1 || get_base
    docker image ls
}

install_programs() {
    if docker info >/dev/null 2>&1 || command -v dockerd >/dev/null; then return; fi
    from_debian docker.io iptables
}

from_debian() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

start_engine() {
    mkdir -p "$state/data" "$state/exec"
    # Containers must not send larger packets than this machine's own way out carries.
    way_out=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
    mtu=$(cat "/sys/class/net/$way_out/mtu" 2>/dev/null || echo 1400)
    setsid dockerd --mtu "$mtu" --pidfile "$state/pid" \
        --data-root "$state/data" --exec-root "$state/exec" >"$state/log" 2>&1 </dev/null &
    for _ in $(seq 120); do
        if docker info >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    tail -20 "$state/log" >&2
    echo "The Docker engine did not start within a minute; its log is $state/log." >&2
    exit 1
}

get_base() {
    if timeout 60 docker pull -q $base 2>/dev/null; then return; fi
    echo "No registry answers: $base is made from Debian's packages."
    command -v mmdebstrap >/dev/null || from_debian mmdebstrap
    files=$(mktemp -d)
    trap 'rm -rf "$files"' EXIT
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-pip \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$files/system.tar"
    cp /etc/ssl/certs/ca-certificates.crt "$files/certificates.crt"
    mkdir "$files/wheels"
    torch=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' "$root/space_template/torch-cpu.txt")
    python3 -m pip download -q --no-index --no-deps -d "$files/wheels" "$torch" 2>/dev/null ||
        echo "pip finds no $torch on this disk: images will take it from PyTorch's index."
    cat >"$files/Dockerfile" <<'END'
FROM scratch
ADD system.tar /
COPY certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY wheels /usr/local/share/wheels
RUN ln -s python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_FIND_LINKS=/usr/local/share/wheels
CMD ["python3"]
END
    docker build -q -t $base "$files"
}

down() {
    engine=$(cat "$state/pid" 2>/dev/null || true)
    if [ -n "$engine" ] && grep -qs dockerd "/proc/$engine/comm"; then
        kill "$engine" # it ends its containers first
        for _ in $(seq 120); do
            if [ ! -e "/proc/$engine" ]; then break; fi
            sleep 0.5
        done
    fi
    # A killed engine, and some that end well, leave folders of it mounted: of containers, of networks.
    awk -v below="$state/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mounted; do umount --lazy "$mounted"; done
    rm -rf "$state"
}

case "${1:-}" in
up | down) "$1" ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit 2 ;;
esac
