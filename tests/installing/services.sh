#!/bin/sh
# Starts a program anew, or stops it, as an init script would: services dockerd|ramgate start|stop
pid_file=/run/$1.service.pid
case $1 in
    dockerd) pid_file=/run/docker.pid && set -- "$2" dockerd ;;
    ramgate) set -- "$2" /usr/local/bin/ramgate serve ;;
esac
if [ -e "$pid_file" ]; then
    pid=$(cat "$pid_file")
    kill "$pid" 2>/dev/null
    while [ -e "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.05; done
    rm -f "$pid_file"
fi
action=$1
shift
if [ "$action" = start ]; then
    setsid "$@" >>/tmp/services.log 2>&1 </dev/null &
    [ "$pid_file" = /run/docker.pid ] || echo $! >"$pid_file"
fi
