#!/bin/sh
# What systemd does for blocker's unit. Other units are left alone.
for unit; do
    case "$unit" in *blocker*) ours=yes ;; esac
done
[ "${ours-}" = yes ] || exit 0
# A unit that is not running is stopped already.
stop() { if blocker status >/dev/null 2>&1; then blocker stop; fi; }
case "$1" in
start | restart) exec blocker run ;;
enable) case " $* " in *" --now "*) exec blocker run ;; esac ;;
stop) stop ;;
reload) exec blocker reload ;;
disable) case " $* " in *" --now "*) stop ;; esac ;;
status | is-active | cat | daemon-reload | edit | show) exec true ;;
*)
    echo "systemctl $1: nothing stands in for it" >&2
    exit 1
    ;;
esac
