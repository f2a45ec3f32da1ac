#!/bin/sh
# A Slurm of two nodes on the loopback of this machine, for as long as a command runs:
#     sh tests/slurm/start.sh python -m pytest tests/experiments/test_executors.py
#     sh tests/slurm/start.sh bash        # a shell in which sbatch, squeue and executor=slurm work
# Debian: apt-get install slurm-wlm munge. Nothing outside a temporary folder is read or written, no service is touched.
# As root or as yourself; each node is a slurmd with one core (NODES=3, CORES=2 change that).
set -eu
test $# -gt 0 || { echo "usage: sh $0 COMMAND [ARGUMENT...]" >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin
for command in munged slurmctld slurmd sbatch python3; do
    command -v $command >/dev/null || { echo "$command is not installed (Debian: slurm-wlm, munge)." >&2; exit 2; }
done

folder=$(mktemp -d)
chmod 755 "$folder"
daemons=
stop() {
    trap - EXIT
    scancel --quiet --user "$(id -un)" 2>/dev/null || true
    for _ in $(seq 50); do
        test -n "$(squeue --noheader 2>/dev/null)" || break
        sleep 0.2
    done
    kill $daemons 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 143' TERM HUP
trap '' INT      # Ctrl-C is for the command

mkdir "$folder/state" "$folder/munge"
head -c 128 /dev/urandom >"$folder/munge/key"
chmod 700 "$folder/munge"; chmod 600 "$folder/munge/key"
ports=$(python3 -c '
import socket, sys
free = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]) + 1)]
print(*[s.getsockname()[1] for s in free])' "${NODES:-2}")
SLURM_CONF=$folder/slurm.conf
export SLURM_CONF
{
    cat <<END
ClusterName=loopback
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=${ports%% *}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
InactiveLimit=0
END
    i=0
    for port in ${ports#* }; do
        i=$((i + 1))
        echo "NodeName=node$i NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$port CPUs=${CORES:-1} RealMemory=16000"
    done
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
} >"$SLURM_CONF"

munged --foreground --force --socket="$folder/munge.socket" --key-file="$folder/munge/key" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" >/dev/null 2>&1 &
daemons="$daemons $!"
for _ in $(seq 50); do test -S "$folder/munge.socket" && break; sleep 0.1; done
slurmctld -D -c -L "$folder/slurmctld.log" >/dev/null 2>&1 &
daemons="$daemons $!"
for i in $(seq "${NODES:-2}"); do
    slurmd -D -c -N "node$i" -L "$folder/node$i.log" >/dev/null 2>&1 &
    daemons="$daemons $!"
done
for _ in $(seq 100); do
    test "$(sinfo --noheader --Node --states=idle 2>/dev/null | wc -l)" -eq "${NODES:-2}" && break
    sleep 0.2
done
if ! sinfo --noheader --states=idle 2>/dev/null | grep -q idle; then
    echo "Slurm did not start:" >&2
    tail -n 5 "$folder"/*.log "$folder/munge/log" >&2
    exit 1
fi
code=0
"$@" || code=$?
exit $code
