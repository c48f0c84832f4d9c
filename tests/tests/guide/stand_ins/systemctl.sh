#!/bin/sh
# What systemd does for blocker's unit. Other units are left alone.
for unit; do
    case "$unit" in *blocker*) ours=yes ;; esac
done
[ "${ours-}" = yes ] || exit 0
case "$1" in
start | restart) exec blocker run ;;
enable) case " $* " in *" --now "*) exec blocker run ;; esac ;;
stop) exec blocker stop ;;
reload) exec blocker reload ;;
disable) case " $* " in *" --now "*) exec blocker stop ;; esac ;;
status | is-active | cat | daemon-reload | edit | show) exec true ;;
*)
    echo "systemctl $1: nothing stands in for it" >&2
    exit 1
    ;;
esac
