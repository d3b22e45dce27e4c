#!/bin/sh
# Makes .venv from a hash-locked requirements file, or does nothing where that is already installed.
#
#   scripts/setup_venv.sh LOCK [PART]
#
# PART is a lock whose packages LOCK holds too: installing LOCK installs it as well.
# PYTHON names the interpreter; without it the best one found is taken, or the .venv that is there.
#
# .venv holds what the lock names and nothing else: no pip and no setuptools, which would be outside
# the lock. The pip that comes with the interpreter installs from a folder of its own that is removed.
#
# .venv keeps a copy of each installed lock. The same text: nothing to do. No copy at all: an
# installation broke off, and .venv is made anew.
set -eu
cd "$(dirname "$0")/.."

lock=$1
part=${2:-$1}
venv_python=.venv/bin/python
installer=.venv/installer

# What a caller set for other projects; how to reach the package index (index, proxy, certificate) stays.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_VIRTUALENV PIP_PYTHON \
    PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_NO_DEPS PIP_NO_BINARY PIP_DRY_RUN PIP_IGNORE_INSTALLED

say() {
    echo "setup: $*" >&2
}

fail() {
    say "$@"
    exit 1
}

judge() { # judge PYTHON: good, newer, no-venv, old or missing
    "$1" -I -c '
import sys
version = sys.version_info[:2]
try:
    import ensurepip, venv
    has_venv = True
except ImportError:
    has_venv = False
print("old" if version < (3, 11) else "no-venv" if not has_venv else "good" if version < (3, 16) else "newer")
' 2>/dev/null || echo missing
}

choose_python() { # sets $python to the best candidate and $verdict to what is to be said of it
    verdict=missing
    python=
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
        verdict=$(judge "$PYTHON")
        return
    fi
    for wanted in good newer no-venv old; do
        for python in python3.15 python3.14 python3.13 python3.12 python3.11 python3; do
            verdict=$(judge "$python")
            [ "$verdict" != "$wanted" ] || return 0
        done
    done
    verdict=missing
    python=python3
}

describe() { # the interpreter behind a command, the same for a .venv and the Python that made it
    "$1" -I -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null
}

is_usable() { # .venv starts, and is of the wanted interpreter
    [ -n "$(ls .venv/installed-* 2>/dev/null)" ] &&
        "$venv_python" -I -c '' 2>/dev/null &&
        { [ -z "${PYTHON:-}" ] || [ "$(describe "$venv_python")" = "$(describe "$PYTHON")" ]; }
}

make_venv() {
    choose_python
    case $verdict in
    missing) fail "no Python 3 found as '$python': apt install python3 python3-venv, or name one with PYTHON=/path/to/python3.11" ;;
    old) fail "Python 3.11 or newer is needed, '$python' is $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'): name a newer one with PYTHON=/path/to/python3.11" ;;
    no-venv) fail "'$python' cannot make virtual environments: apt install python3-venv (or python3.X-venv for another 3.X than the system's)" ;;
    newer) say "'$python' is newer than the Pythons that the gateway is tested on, 3.11 to 3.15; trying nevertheless" ;;
    esac
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -I -m venv --without-pip .venv || fail "'$python' could not make .venv"
}

into_venv() { # the installer's pip at work on .venv
    "$installer/bin/python" -I -m pip --python "$venv_python" --disable-pip-version-check "$@"
}

names() { # the packages of a list of NAME==VERSION, with names as locks write them
    sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' | tr 'A-Z_.' 'a-z--' | sort -u
}

remove_others() { # what the lock does not name
    names <"$lock" >"$installer/locked"
    into_venv list --format=freeze | names | comm -23 - "$installer/locked" >"$installer/others"
    [ ! -s "$installer/others" ] || into_venv uninstall --quiet --yes -r "$installer/others" ||
        fail "could not remove what the lock does not name, see pip's message above"
}

install_lock() {
    rm -f .venv/installed-*
    "$venv_python" -I -m venv --clear "$installer" || fail "pip could not be made ready in $installer"
    say "installing $(grep -c '^[a-z].*==' "$lock") packages from $lock"
    # The lock is the whole tree: resolved again, pip would stumble over releases newer than it.
    into_venv install --quiet --no-user --only-binary :all: --no-deps --require-hashes -r "$lock" ||
        fail "$lock could not be installed, see pip's message above"
    remove_others
    rm -rf "$installer"
    cp "$part" ".venv/installed-$part"
    cp "$lock" ".venv/installed-$lock"
}

# Two makes at once take turns, where the system has flock.
if command -v flock >/dev/null; then
    exec 9<"$part"
    flock 9
fi
is_usable || make_venv
cmp -s "$lock" ".venv/installed-$lock" || install_lock
