#!/usr/bin/env bash
# A Slurm for tests, of two nodes that say they have more cores than there are, on a machine that may have none.
#
#   tests/services/slurm.sh up      a controller and its nodes answer those who have SLURM_CONF
#   tests/services/slurm.sh down    what `up` started is gone, with its jobs and files
#   tests/services/slurm.sh conf    prints where its configuration lies: the SLURM_CONF
#   tests/services/slurm.sh stop | start    the controller alone, as when it is restarted
#
# It has nothing in common with a Slurm that runs already: its ports, key and folders are its own,
# and it listens on loopback. Starting it takes root on Debian or Ubuntu. Accounting is off, as on
# many clusters; the two GPUs of the partition `gpu` are files. The second node is in the partition
# `pair` alone, for jobs that take both.
set -euo pipefail

state=${HUBTRAIN_SLURM:-/var/tmp/hubtrain-slurm} # everything of it: configuration, key, ids, logs
export SLURM_CONF=$state/slurm.conf
host=$(hostname -s)
nodes="$host second"
port=${HUBTRAIN_SLURM_PORT:-16817}

up() {
    install_programs
    if [ -s "$SLURM_CONF" ] && sinfo >/dev/null 2>&1; then
        sinfo
        return
    fi
    mkdir -p "$state"/{key,controller}
    chmod 755 "$state"
    configure
    running munged || munge_up
    running slurmctld || start
    for node in $nodes; do running "slurmd-$node" || slurmd -N "$node"; done
    wait_for_nodes
    sinfo
}

install_programs() {
    missing=()
    command -v slurmctld >/dev/null || missing+=(slurmctld)
    command -v slurmd >/dev/null || missing+=(slurmd)
    command -v sbatch >/dev/null || missing+=(slurm-client)
    command -v munged >/dev/null || missing+=(munge)
    command -v sshd >/dev/null || missing+=(openssh-server)
    if [ ${#missing[@]} = 0 ]; then return; fi
    apt-get update -qq
    # At runlevel 1 Debian starts none of them as it installs them.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

configure() {
    cat >"$SLURM_CONF" <<END
ClusterName=hubtrain
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge.socket
CredType=cred/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node-%n
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd-%n.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
DefMemPerCPU=400
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=8000 Gres=gpu:t4:2 State=UNKNOWN
NodeName=second NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=16 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE PriorityTier=10 State=UP
PartitionName=gpu Nodes=$host MaxTime=1-00:00:00 PriorityTier=10 State=UP
PartitionName=low_prio Nodes=$host MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName=pair Nodes=ALL MaxTime=INFINITE PriorityTier=10 State=UP
END
    : >"$state/gpu0" && : >"$state/gpu1"
    echo "NodeName=$host Name=gpu Type=t4 File=$state/gpu[0-1]" >"$state/gres.conf"
}

munge_up() {
    [ -s "$state/key/munge.key" ] || head -c 1024 /dev/urandom >"$state/key/munge.key"
    chmod 400 "$state/key/munge.key" && chmod 700 "$state/key"
    munged --force --key-file="$state/key/munge.key" --socket="$state/munge.socket" \
        --pid-file="$state/munged.pid" --seed-file="$state/key/munge.seed" --log-file="$state/munged.log"
}

start() { slurmctld; }

stop() { end slurmctld; }

wait_for_nodes() {
    for _ in $(seq 100); do
        if ! sinfo -h -o %t 2>/dev/null | grep -qvE 'idle|mix|alloc'; then return; fi
        sleep 0.2
    done
    tail -n 20 "$state"/slurm*.log >&2
    echo "The nodes of Slurm did not come up within 20 s; the logs are in $state." >&2
    exit 1
}

id_of() { cat "$state/$1.pid" 2>/dev/null || true; }

running() { [ -n "$(id_of "$1")" ] && grep -qs "^${1%%-*}" "/proc/$(id_of "$1")/comm"; }

end() {
    if ! running "$1"; then return; fi
    number=$(id_of "$1")
    kill "$number"
    for _ in $(seq 100); do
        if [ ! -e "/proc/$number" ]; then return; fi
        sleep 0.1
    done
}

down() {
    if running slurmctld; then
        timeout 10 scancel --user="$(id -un)" 2>/dev/null || true
        for _ in $(seq 100); do
            if [ -z "$(timeout 10 squeue -h 2>/dev/null)" ]; then break; fi
            sleep 0.1
        done
    fi
    for one in $(printf 'slurmd-%s ' $nodes) slurmctld munged; do end "$one"; done
    rm -rf "$state"
}

case "${1:-}" in
up | down | start | stop) "$1" ;;
conf) echo "$SLURM_CONF" ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit 2 ;;
esac
