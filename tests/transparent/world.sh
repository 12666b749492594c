# A network with a container's namespace in it, and a part of the Internet: run inside of a lab, next to where ramgate runs.
#
#   box (a container)            the host                          upstream
#   172.30.0.2, fd00:30::2 ── br-box 172.30.0.1   10.231.0.1 ── 10.231.0.10…13, which are 203.0.113.10…13 out there
#
# The way from the container to the Internet is open both ways: what goes past ramgate arrives, and is seen.
set -euo pipefail

echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip link add br-box type bridge
ip address add 172.30.0.1/24 dev br-box
ip address add fd00:30::1/64 dev br-box nodad
ip link set br-box up
ip netns add box
ip link add box0 type veth peer name eth0 netns box
ip link set box0 master br-box up
ip -netns box link set lo up
ip -netns box address add 172.30.0.2/24 dev eth0
ip -netns box address add fd00:30::2/64 dev eth0 nodad
ip -netns box link set eth0 up
ip -netns box route add default via 172.30.0.1
ip -netns box route add default via fd00:30::1

ip route add 203.0.113.0/24 via 10.231.0.10
ip -netns upstream route add default via 10.231.0.1
ip netns exec upstream nft -f - <<'RULES'
table ip internet {
    chain seen {
        type filter hook prerouting priority -200
        udp dport 443 counter
    }
    chain places {
        type nat hook prerouting priority -100
        ip daddr 203.0.113.10 dnat to 10.231.0.10
        ip daddr 203.0.113.11 dnat to 10.231.0.11
        ip daddr 203.0.113.12 dnat to 10.231.0.12
        ip daddr 203.0.113.13 dnat to 10.231.0.13
    }
}
RULES

# The container's clients are guests, and find names as the host does.
mount --bind /etc/hosts /guest/pullers/etc/hosts
