#!/usr/bin/env bash
# A real Slurm on one Debian machine: munge, slurmctld, slurmdbd with MariaDB, and several slurmd, on loopback, as root, without
# systemd, cgroups or containers.
#
#   cluster.sh start             install what is missing, start, wait until every node is idle
#   cluster.sh stop              cancel all jobs and end every process that start made
#   cluster.sh status            nodes and jobs
#   cluster.sh crash NODE        end a node's slurmd and all its jobs at once, as when a machine dies
#   cluster.sh node NODE         start a node again
#
# Nodes n1 to n3 (partition cpu), g1 and g2 with two pretended GPUs each (partition gpu; its jobs give way to those of the partition
# urgent, on the same nodes). Everything lies in $PCFT_SLURM, and /etc/slurm/slurm.conf is a link to there while the cluster runs.
set -euo pipefail

ROOT=${PCFT_SLURM:-/tmp/pcft-slurm}
CONF=$ROOT/slurm.conf
ETC=/etc/slurm/slurm.conf # Snakemake's job steps drop SLURM_CONF, so the usual place must do
PORT=${PCFT_SLURM_PORT:-16810}
CPU_NODES=(n1 n2 n3) GPU_NODES=(g1 g2)
NODES=("${CPU_NODES[@]}" "${GPU_NODES[@]}")
NAME=pcft-test
export SLURM_CONF=$CONF PATH=$PATH:/usr/sbin:/sbin

say() { echo "cluster.sh: $*" >&2; }
die() { say "$*"; exit 1; }

wait_for() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

alive() { # PID; where nobody reaps, zombies remain
  local state
  state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [[ -n $state && $state != Z ]]
}
gone() { ! alive "$1"; }
end() { # PID SECONDS
  kill "$1" 2>/dev/null || return 0
  wait_for "$2" gone "$1" || kill -9 "$1" 2>/dev/null || true
}
pid_of() { # DAEMON; a file may be stale, and its number another process's
  local pid
  pid=$(cat "$ROOT/$1.pid" 2>/dev/null) && [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "${1%%-*}" ]] && echo "$pid"
}
end_daemon() { local pid; if pid=$(pid_of "$1"); then end "$pid" "${2:-5}"; fi; rm -f "$ROOT/$1.pid"; }

of_jobs() { # [NODE]: every process that a job of this cluster started
  local process
  for process in /proc/[0-9]*; do
    tr '\0' '\n' 2>/dev/null <"$process/environ" | awk -v name="SLURM_CLUSTER_NAME=$NAME" -v node="SLURMD_NODENAME=${1:-}" \
      '$0 == name { ours = 1 } $0 == node { here = 1 } END { exit !(ours && (here || node == "SLURMD_NODENAME=")) }' &&
      echo "${process#/proc/}"
  done || true
}
steps() { # [NODE]: slurmstepd of a node, known by the log that it writes
  local pid file
  for pid in $(pgrep -x slurmstepd || true); do
    for file in /proc/"$pid"/fd/*; do
      [[ $(readlink "$file" 2>/dev/null) == "$ROOT"/log/slurmd-${1:-*}.log ]] && echo "$pid" && break
    done || true
  done
}

install() {
  local missing=() policy=/usr/sbin/policy-rc.d made=
  command -v slurmctld >/dev/null || missing+=(slurmctld)
  command -v slurmd >/dev/null || missing+=(slurmd)
  command -v sbatch >/dev/null || missing+=(slurm-client)
  command -v slurmdbd >/dev/null || missing+=(slurmdbd)
  command -v munged >/dev/null || missing+=(munge)
  command -v mariadbd >/dev/null || missing+=(mariadb-server)
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  if [[ ! -e $policy ]]; then # so that packages do not start their daemons
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    made=1
  fi
  local log
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive bash -c 'apt-get update -qq && apt-get install -y -q --no-install-recommends "$@"' apt "${missing[@]}" \
    >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get failed"; }
  [[ -z $made ]] || rm -f $policy
  rm -f "$log"
}

configure() {
  local node number=0 socket=$ROOT/munge/socket
  cat >"$CONF" <<EOF
ClusterName=$NAME
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# How long a job that is put back into the queue waits, too.
AuthInfo=socket=$socket,cred_expire=15
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$ROOT/slurmctld.pid
SlurmdPidFile=$ROOT/slurmd-%n.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd-%n.log
# By process group: without cgroups the alternative loses processes whose parents ended first.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
PropagateResourceLimits=NONE
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 1))
AccountingStoragePass=$socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
# Nodes declare more than the machine has.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=5,bf_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# A node that crashed is back when it registers; one that was set down stays so.
ReturnToService=1
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=10
KillWait=10
OverTimeLimit=0
CompleteWait=0
UnkillableStepTimeout=20
JobRequeue=1
MinJobAge=300
EOF
  : >"$ROOT/gres.conf"
  for node in "${NODES[@]}"; do
    number=$((number + 1))
    local gpus=
    if [[ $node == g* ]]; then
      gpus="Gres=gpu:2"
      echo "NodeName=$node Name=gpu File=/dev/null,/dev/zero" >>"$ROOT/gres.conf" # counted only if there is a file
    fi
    echo "NodeName=$node NodeAddr=127.0.0.1 Port=$((PORT + 10 + number)) CPUs=4 RealMemory=16000 $gpus State=UNKNOWN" >>"$CONF"
  done
  cat >>"$CONF" <<EOF
PartitionName=cpu Nodes=n[1-3] Default=YES LLN=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=g[1-2] LLN=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=g[1-2] LLN=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
EOF
  mkdir -p "${ETC%/*}"
  [[ ! -e $ETC || $(readlink $ETC) == "$CONF" ]] || die "$ETC is there and not ours"
  ln -sfn "$CONF" $ETC
}

start_munge() {
  mkdir -p "$ROOT/munge"
  chmod 711 "$ROOT/munge"
  head -c 128 /dev/urandom >"$ROOT/munge/key"
  chmod 400 "$ROOT/munge/key"
  munged --key-file="$ROOT/munge/key" --socket="$ROOT/munge/socket" --pid-file="$ROOT/munged.pid" \
    --log-file="$ROOT/log/munged.log" --seed-file="$ROOT/munge/seed" </dev/null >"$ROOT/log/munged.out" 2>&1
  wait_for 10 munge -n -S "$ROOT/munge/socket" || die "munge does not answer: $ROOT/log/munged.log"
}

start_accounting() {
  local socket=$ROOT/database/socket
  mariadb-install-db --no-defaults --user=root --datadir="$ROOT/database" --auth-root-authentication-method=socket \
    --skip-test-db --innodb-log-file-size=16M >"$ROOT/log/database.log" 2>&1 || die "mariadb-install-db: $ROOT/log/database.log"
  setsid mariadbd --no-defaults --user=root --datadir="$ROOT/database" --socket="$socket" --pid-file="$ROOT/mariadbd.pid" \
    --skip-networking --skip-log-bin --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=2 --performance-schema=OFF </dev/null >>"$ROOT/log/database.log" 2>&1 &
  wait_for 60 mariadb --no-defaults -uroot --socket="$socket" -e 'select 1' || die "mariadbd: $ROOT/log/database.log"
  mariadb --no-defaults -uroot --socket="$socket" -e 'create database slurm_acct_db'
  (
    umask 077
    cat >"$ROOT/slurmdbd.conf" <<EOF
AuthType=auth/munge
AuthInfo=socket=$ROOT/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT + 1))
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
EOF
  )
  MYSQL_UNIX_PORT=$socket slurmdbd </dev/null >"$ROOT/log/slurmdbd.out" 2>&1 || die "slurmdbd: $ROOT/log/slurmdbd.out"
  wait_for 60 sacctmgr -n list cluster || die "slurmdbd: $ROOT/log/slurmdbd.log"
  sacctmgr -i add cluster $NAME >/dev/null
  sacctmgr -i add account default >/dev/null
  sacctmgr -i add user "$(id -un)" account=default >/dev/null
}

start_controller() {
  slurmctld -f "$CONF" </dev/null >>"$ROOT/log/slurmctld.out" 2>&1 || die "slurmctld: $ROOT/log/slurmctld.out"
  wait_for 30 sinfo -h || die "slurmctld: $ROOT/log/slurmctld.log"
}
start_node() {
  mkdir -p "$ROOT/spool/$1"
  slurmd -N "$1" -f "$CONF" </dev/null >>"$ROOT/log/slurmd-$1.out" 2>&1 || die "slurmd $1: $ROOT/log/slurmd-$1.out"
}
all_idle() { local states; states=$(sinfo -h -N -o %t) && [[ -n $states ]] && ! grep -qvx idle <<<"$states"; }

start() {
  ((EUID == 0)) || die "must be root"
  ! pid_of slurmctld >/dev/null || die "already running"
  install
  rm -rf "$ROOT"
  mkdir -p "$ROOT"/{state,spool,log,database}
  configure
  start_munge
  start_accounting
  start_controller
  local node
  for node in "${NODES[@]}"; do start_node "$node"; done
  wait_for 60 all_idle || { sinfo -N -l >&2; die "not every node became idle: $ROOT/log"; }
  say "${#NODES[@]} nodes are idle after $SECONDS s"
}

stop() {
  if pid_of slurmctld >/dev/null; then
    timeout 20 scancel --user="$(id -un)" 2>/dev/null || true
    wait_for 20 sh -c '[ -z "$(timeout 5 squeue -h)" ]' || true
  fi
  local node pid
  for node in "${NODES[@]}"; do end_daemon "slurmd-$node"; done
  for pid in $(steps) $(of_jobs); do [[ $pid == $$ || $pid == "$PPID" ]] || end "$pid" 2; done
  end_daemon slurmctld 10
  end_daemon slurmdbd 10
  end_daemon mariadbd 20
  end_daemon munged
  [[ $(readlink $ETC 2>/dev/null) != "$CONF" ]] || rm -f $ETC
  say "stopped; logs are in $ROOT/log"
}

crash() {
  local pid
  if pid=$(pid_of "slurmd-$1"); then kill -9 "$pid"; fi
  rm -f "$ROOT/slurmd-$1.pid"
  for pid in $(steps "$1") $(of_jobs "$1"); do kill -9 "$pid" 2>/dev/null || true; done
}

case ${1:-} in
start | stop) "$1" ;;
status) sinfo -N -o '%6N %8P %10t %5c %7m %10G %E' && squeue -o '%8i %8P %10T %6N %4r %k' ;;
crash) crash "${2:?node}" ;;
node) start_node "${2:?node}" ;;
*) sed -n '2,/^set/{/^set/d;p}' "$0"; exit 2 ;;
esac
