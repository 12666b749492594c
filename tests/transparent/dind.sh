# An engine as in a container: its own root, which is the guest's, on a network that is not the host's. Run in a mount namespace of its own.
set -euo pipefail

root=/guest/forky
mount --rbind "$root" "$root"
mount --bind /etc/hosts "$root/etc/hosts"
cd "$root"
pivot_root . mnt
cd /
umount --lazy /mnt
mkdir -p /run/dind /tmp/dind
echo "{}" >/run/dind/none.json
exec dockerd --host unix:///run/dind/docker.sock --pidfile /run/dind/docker.pid \
    --exec-root /run/dind/exec --data-root /tmp/dind --config-file /run/dind/none.json \
    --storage-driver vfs --bridge none --iptables=false --ip6tables=false
