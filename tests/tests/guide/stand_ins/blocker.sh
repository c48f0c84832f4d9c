#!/bin/sh
# The program itself. Only an agent, which goes on, is left behind once it is ready, and one that runs makes room for it; and
# a live view gets a terminal, on which somebody types q.
program=@PROGRAM@
log=/var/log/blocker.log
is_json() { case " $* " in *" --json "*) return 0 ;; *) return 1 ;; esac }
case "${1-}" in
run)
    "$program" stop >/dev/null
    # The host that the log speaks of goes on; for what an earlier agent has banned it for, nobody is banned again.
    line=$(tail -n 1 /var/log/mail.log | sed "s/^[^ ]*/$(date --utc +%Y-%m-%dT%H:%M:%S.%6NZ)/")
    printf '%s\n' "$line" "$line" >>/var/log/mail.log
    "$program" "$@" >/dev/null 2>"$log" </dev/null &
    tries=0
    until grep --quiet ' ready ' "$log"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 $! 2>/dev/null; then
            cat "$log" >&2
            exit 1
        fi
        sleep 0.05
    done
    ;;
top)
    if is_json "$@"; then exec "$program" "$@"; fi
    printf q | exec script --quiet --return --command "$program $*" /dev/null
    ;;
*) exec "$program" "$@" ;;
esac
