#!/bin/sh
# The command has to be there and to know its options; tests and packages have to be there. Nothing is built or run.
wrong() {
    echo "cargo: $1" >&2
    exit 1
}
case "$1" in
xtask)
    chore=$2
    help=$(@XTASK@ "$chore" --help) ||
        wrong "there is no xtask $chore"
    shift 2
    for word; do
        case "$word" in
        --) break ;;
        --*) printf '%s' "$help" | grep --quiet -e "$word" || wrong "xtask $chore has no $word" ;;
        esac
    done
    ;;
test | clippy | check | build | doc)
    while [ $# -gt 0 ]; do
        case "$1" in
        --) break ;;
        -p | --package)
            grep --quiet --recursive --include=Cargo.toml --exclude-dir=target "^name = \"$2\"" @WORKSPACE@ ||
                wrong "there is no package $2"
            shift
            ;;
        --test)
            [ -e "@WORKSPACE@/tests/tests/$2.rs" ] || [ -e "@WORKSPACE@/tests/filters/tests/$2.rs" ] ||
                wrong "there is no test $2"
            shift
            ;;
        esac
        shift
    done
    ;;
fmt) ;;
*) wrong "nothing stands in for \`cargo $1\`" ;;
esac
