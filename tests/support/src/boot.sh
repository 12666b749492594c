# Boots the root of a lab as a server: systemd as PID 1 of namespaces of its own, inside of the lab's.
#
#   bash -c "$(cat boot.sh)" boot NAME [inside]
#
# The lab's network stays. Control groups are those of the host, from the group NAME on down: the lab removes it.
set -euo pipefail

name=$1
cgroups=/sys/fs/cgroup

if [[ ${2-} != inside ]]; then
    # `/proc/self/mounts` tells which hierarchies the host has, and with which controllers.
    while read -r _ path kind _; do
        [[ $path == "$cgroups"* && ( $kind == cgroup || $kind == cgroup2 ) ]] || continue
        mkdir -p "$path/$name"
        for file in cpuset.cpus cpuset.mems; do
            if [[ $kind == cgroup && -e $path/$file ]]; then
                cat "$path/$file" >"$path/$name/$file"
            fi
        done
        echo $$ >"$path/$name/cgroup.procs"
    done </proc/self/mounts
    exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child bash -c "$BASH_EXECUTION_STRING" boot "$name" inside
fi

read -r pid _ </proc/self/stat # /proc is still the lab's
echo "$pid" >/run/lab/server.pid
mount --make-rprivate /

# Those of the roots beside this one are the same again.
mapfile -t hierarchies < <(awk -v top="$cgroups" \
    'index($2, top) == 1 && ($3 == "cgroup" || $3 == "cgroup2") { print $2, $3, $4 }' /proc/self/mounts)
umount --recursive "$cgroups"
# systemd from 258 on knows the unified hierarchy alone, which is there beside the old ones, with whatever controllers they have left.
version=$(/lib/systemd/systemd --version | awk 'NR == 1 { print $2 + 0 }')
if ((version >= 258)); then
    hierarchies=("$cgroups cgroup2 rw")
fi
[[ ${hierarchies[*]} == "$cgroups cgroup2 "* ]] || mount -t tmpfs -o mode=755 cgroup "$cgroups"
for hierarchy in "${hierarchies[@]}"; do
    read -r path kind options <<<"$hierarchy"
    mkdir -p "$path"
    # Mounted anew, it shows what is below the group and nothing above. Of its options, those of the mount itself are not asked for.
    case $kind in
        cgroup) mount -t cgroup -o "$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|relatime|nosuid|nodev|noexec|xattr|release_agent=.*' | paste -sd ,)" cgroup "$path" ;;
        cgroup2) mount -t cgroup2 cgroup2 "$path" ;;
    esac
done
mount -o remount,bind,ro /sys

mount -t proc proc /proc
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
# systemd from 256 on wants to be asked twice for the old control groups.
export container=ramgate-lab SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
exec /lib/systemd/systemd --log-target=console --show-status=no
