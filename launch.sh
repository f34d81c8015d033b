#!/usr/bin/env bash
# Sets up Glassbox Lab once and opens it. `./launch.sh help` lists what else it does.
# Runs on the bash 3.2 of macOS, so: no associative arrays, no empty arrays, no ${name,,}.
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
VENV=${GLASSBOX_VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
STAMP=$VENV/.glassbox-installed
LOCK=$VENV.lock
LOG=$VENV/install.log
SPACE_MB=2500

usage() {
    cat <<'END'
./launch.sh                 opens the lab in the browser, at http://127.0.0.1:7860
    --port N                another port
    --host ADDRESS          let other machines in: 0.0.0.0
    --allow-host NAME       another name or address by which browsers may call the lab
    --behind-proxy          a proxy on this machine stands in front: believe its headers
    --no-browser            do not open a browser window
    --models DIR            a folder of models that pages may load
    --mcp                   also offer the experiments as MCP tools
    --with-notebook         also open the notebook
    --notebook-port N       another port for it
./launch.sh test [...]      runs the tests; what follows goes to pytest
./launch.sh cli VERB ...    the command line: ./launch.sh cli list
./launch.sh notebook        opens the notebook, where every run stands beside every other, at http://127.0.0.1:8501
./launch.sh flower [...]    the round of the federated page over Flower, in an environment of its own, beside the same in one process
                            (with --processes N: a SuperLink and N SuperNodes as processes of their own, in place of a simulation)
./launch.sh audit           asks a public data base for known faults of the packages in use
./launch.sh help            shows this

The first start needs a network and a few minutes. Later ones need neither.
END
}

say() { printf '%s\n' "$*" >&2; }

# die SENTENCE HINT: what was wrong, and what to do.
die() {
    say "$1"
    say "$2"
    exit 1
}

# The first Python that is new enough and can make virtual environments.
find_python() {
    local name too_old="" no_venv=""
    for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
        command -v "$name" >/dev/null 2>&1 || continue
        if ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            too_old=${too_old:-$("$name" --version 2>&1 | head -n 1)}
        elif ! "$name" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            no_venv=${no_venv:-$name}
        else
            PYTHON=$name
            return
        fi
    done
    if [ -n "$no_venv" ]; then
        die "$no_venv cannot make virtual environments yet." "On Debian and Ubuntu: sudo apt install $no_venv-venv"
    elif [ -n "$too_old" ]; then
        die "The lab needs Python 3.11 or newer; here is $too_old." "$(how_to_get_python)"
    fi
    die "There is no Python on this machine." "$(how_to_get_python)"
}

how_to_get_python() {
    case $(uname -s) in
        Darwin) echo "Install it from python.org, or with: brew install python@3.12" ;;
        *) echo "On Debian and Ubuntu: sudo apt install python3 python3-venv" ;;
    esac
}

# What is installed is known by the files that say what to install, and by the folder it points to.
key() { { cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" && printf '%s' "$ROOT"; } | cksum | tr ' ' '-'; }

# installed EXTRA: whether nothing is left to do.
installed() {
    works && [ -f "$STAMP" ] && grep -q "^$(key) ${1:+$1\$}" "$STAMP"
}

works() { [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

make_venv() {
    find_python
    if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ] && [ -n "$(ls -A "$VENV" 2>/dev/null)" ]; then
        die "$VENV exists and is not a virtual environment." "Move it away, or name another folder with GLASSBOX_VENV."
    fi
    local free_mb
    free_mb=$(df -Pm "$(dirname "$VENV")" 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ -n "$free_mb" ] && [ "$free_mb" -lt "$SPACE_MB" ]; then
        die "Only $free_mb MB are free here; the lab needs about $SPACE_MB." "Free some space, or name a folder on another disk with GLASSBOX_VENV."
    fi
    say "Setting up Glassbox Lab with $("$PYTHON" --version 2>&1). This happens once and takes a few minutes."
    rm -rf "$VENV"
    "$PYTHON" -m venv "$VENV" >&2 || die "The folder $VENV could not be made." "Check that you may write there and that the disk is not full."
}

# pip's chatter as one changing line on a terminal, and as the large downloads alone elsewhere.
progress() {
    local line
    while IFS= read -r line; do
        case $line in
            *Downloading*' MB'* | *Downloading*' GB'* | Installing*) ;;
            Collecting* | *Downloading* | *Building*) [ -t 2 ] || continue ;;
            *) continue ;;
        esac
        if [ -t 2 ]; then printf '\r\033[K  %.70s' "$line" >&2; else printf '  %.100s\n' "$line" >&2; fi
    done
    if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

# install EXTRA: the tested versions, and nothing that is not pinned.
install() {
    local what="$ROOT${1:+[$1]}"
    say "Installing the packages${1:+ for: $1} ..."
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --retries 2 --progress-bar off \
        --constraint "$ROOT/constraints.txt" --editable "$what" 2>&1 | tee "$LOG" | progress
    if [ "${PIPESTATUS[0]}" -ne 0 ]; then
        rm -rf "$LOCK"
        explain
    fi
    printf '%s %s\n' "$(key)" "$1" >>"$STAMP"
}

explain() {
    if grep -qi 'no space left' "$LOG"; then
        die "The disk is full." "Free about $SPACE_MB MB and start again; what is there already is kept."
    elif grep -qiE 'NewConnectionError|name resolution|not known|unreachable|Max retries|timed out|ProxyError|ConnectionError' "$LOG"; then
        die "The first start needs a network, and the Python packages could not be reached." "Check the connection and start again; what is there already is kept."
    elif grep -qi 'no matching distribution' "$LOG"; then
        say "$(grep -i 'no matching distribution' "$LOG" | head -n 1)"
        die "One package does not exist for $("$VENV/bin/python" --version 2>&1) on this machine." "Python 3.11 to 3.13 on 64-bit Linux or macOS are known to work."
    fi
    tail -n 5 "$LOG" >&2
    die "The packages could not be installed." "The whole story is in $LOG."
}

# Two windows that start at once must not install into one folder together.
lock() {
    local other told=""
    mkdir -p "$(dirname "$VENV")" 2>/dev/null
    until mkdir "$LOCK" 2>/dev/null; do
        [ -d "$LOCK" ] || die "Nothing can be written beside $VENV." "Name a folder of your own with GLASSBOX_VENV."
        other=$(cat "$LOCK/pid" 2>/dev/null)
        if [ -n "$other" ] && ! kill -0 "$other" 2>/dev/null; then
            rm -rf "$LOCK"
            continue
        fi
        [ -n "$told" ] || say "Another window is setting up the lab; waiting for it. (If there is none, delete $LOCK.)"
        told=yes
        sleep 1
    done
    echo $$ >"$LOCK/pid"
    trap 'rm -rf "$LOCK"' EXIT
    trap 'exit 130' INT TERM
}

# set_up EXTRA: makes sure that everything a verb needs is there.
set_up() {
    installed "$1" && return
    lock
    if ! installed "$1"; then
        works || make_venv
        install "$1"
        say "Ready."
    fi
    rm -rf "$LOCK"
    trap - EXIT INT TERM
}

# audit: a package that could not be looked up counts as a failure, or an unreachable data base would read like a clean one.
audit() {
    local place="$VENV-audit"
    find_python
    if [ ! -f "$place/.installed" ]; then
        "$PYTHON" -m venv "$place" && "$place/bin/python" -m pip install --quiet --disable-pip-version-check "pip-audit==2.10.1" &&
            touch "$place/.installed" || die "The tool that asks (pip-audit) could not be installed." "Check the network and start again."
    fi
    exec "$place/bin/python" -m pip_audit --requirement "$ROOT/constraints.txt" --no-deps --disable-pip --strict
}

# flower: wants older releases of what the site runs on, so it has an environment of its own with what the round needs.
flower() {
    local place="$VENV-flower" want
    want=$(cksum <"$ROOT/constraints-flower.txt" | tr ' ' '-')
    find_python
    if [ "$(cat "$place/.installed" 2>/dev/null)" != "$want" ]; then
        say "Setting up Flower in $place. This happens once and takes a few minutes."
        "$PYTHON" -m venv "$place" && "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --requirement "$ROOT/constraints-flower.txt" && printf '%s\n' "$want" >"$place/.installed" ||
            die "Flower could not be installed." "Check the network and start again."
    fi
    cd "$ROOT" && exec env PYTHONPATH="$ROOT" "$place/bin/python" -m core.federated.flower "$@"
}

extra_of_lab() {
    local word found=""
    for word in "$@"; do
        if [ "$word" = --mcp ]; then found=mcp; fi
    done
    for word in "$@"; do
        if [ "$word" = --with-notebook ]; then found=${found:+$found,}notebook; fi
    done
    echo "$found"
}

case ${1:-} in
    help | -h | --help)
        usage
        ;;
    "" | -*)
        set_up "$(extra_of_lab "$@")"
        exec "$VENV/bin/python" -P -m apps.lab "$@"
        ;;
    test)
        shift
        set_up test
        cd "$ROOT" || exit 1
        # neighbours stay with one process, since they share a lab and a browser, until another has nothing left to do
        exec "$VENV/bin/python" -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal "$@"
        ;;
    cli)
        shift
        set_up ""
        exec "$VENV/bin/python" -P -m apps.cli "$@"
        ;;
    notebook)
        shift
        set_up notebook
        exec "$VENV/bin/python" -P -m apps.notebook "$@"
        ;;
    flower)
        shift
        flower "$@"
        ;;
    audit)
        audit
        ;;
    *)
        say "There is no './launch.sh $1'."
        usage >&2
        exit 2
        ;;
esac
