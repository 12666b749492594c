# PID 1 of a lab: mounts its root, moves into it, joins the two networks, and then only reaps and waits.
#
#   bash -c "$(cat init.sh)" init LAB ROOT ADDRESSES [SOURCE:TARGET]…
#
# What lies in /guest is the root of another engine, whose programs run there as guests of this one.
#
# Runs in fresh mount, pid, network, ipc and uts namespaces. Prints its pid as the host counts it once all is in place.
# Its standard input is the lab's life line: at end of file it leaves, and the kernel takes everything in the lab with it.
set -euo pipefail

lab=$1 root=$2
read -ra addresses <<<"$3" # of the network: the engine's first, then those of the stand-ins
shift 3
new=$lab/root
read -r host_pid _ </proc/self/stat # /proc is still the host's

mount -t overlay -o "lowerdir=$root,upperdir=$lab/upper,workdir=$lab/work,volatile" lab "$new"
# dockerd stacks overlays of its own: its data lies on the real file system, not on this one.
for path in var/lib/docker var/lib/containerd; do
    mkdir -p "$new/$path"
    mount --bind "$lab/data/${path##*/}" "$new/$path"
done
for bind in "$@"; do
    if [[ -d ${bind%%:*} ]]; then
        mkdir -p "$new${bind#*:}"
    else
        mkdir -p "$(dirname "$new${bind#*:}")"
        touch "$new${bind#*:}"
    fi
    mount --bind -o ro "${bind%%:*}" "$new${bind#*:}"
done

mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$new/run"
mount -t tmpfs -o mode=1777 tmp "$new/tmp"
mount -t tmpfs -o mode=755 dev "$new/dev"
for device in full null random tty urandom zero; do
    touch "$new/dev/$device"
    mount --bind "/dev/$device" "$new/dev/$device"
done
mkdir "$new/dev/pts" "$new/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$new/dev/pts"
mount -t tmpfs -o mode=1777 shm "$new/dev/shm"
ln -s pts/ptmx "$new/dev/ptmx"
ln -s /proc/self/fd "$new/dev/fd"
for guest in "$new"/guest/*; do
    for path in dev proc root run sys tmp; do
        mount --rbind "$new/$path" "$guest/$path"
    done
done

# A plain chroot is not enough: runc and the builders need `/` to be a mount point.
cd "$new"
pivot_root . mnt
cd /
umount --lazy /mnt

mkdir /run/lab
ip netns add upstream
ip link add engine0 type veth peer name upstream0 netns upstream
ip link set lo up
ip address add "${addresses[0]}/24" dev engine0
ip link set engine0 up
ip -netns upstream link set lo up
for address in "${addresses[@]:1}"; do
    ip -netns upstream address add "$address/24" dev upstream0
done
ip -netns upstream link set upstream0 up

echo "$host_pid"
exec >&2
exec docker-init -- cat
