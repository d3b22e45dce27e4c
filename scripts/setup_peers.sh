#!/bin/sh
# Makes the environments of the gateways that ours is measured beside, in .peers/, which git ignores.
#
# One that cannot be installed is left out: the message is in .peers/NAME.log, and the others are measured.
set -u
cd "$(dirname "$0")/.."
mkdir -p .peers

LITELLM='litellm[proxy]==1.108.7'
ANY_LLM='any-llm-sdk[gateway,openai]==1.14.0' # the last release with the gateway in it
PORTKEY=1.15.2
NODE_SERVER=1.12.0 # with newer ones, which npm would take, Portkey answers each chat with 500

say() {
    echo "peers: $*" >&2
}

is_made() { # is_made NAME WHAT: the environment holds exactly that
    [ "$(cat ".peers/$1/made" 2>/dev/null)" = "$2" ]
}

make_python() { # make_python NAME REQUIREMENT
    is_made "$1" "$2" && return
    say "installing $2"
    rm -rf ".peers/$1"
    .venv/bin/python -I -m uv venv --quiet --python .venv/bin/python ".peers/$1" &&
        .venv/bin/python -I -m uv pip install --quiet --python ".peers/$1/bin/python" "$2" &&
        echo "$2" >".peers/$1/made"
}

make_portkey() {
    is_made portkey "$PORTKEY $NODE_SERVER" && return
    say "installing @portkey-ai/gateway $PORTKEY"
    rm -rf .peers/portkey
    mkdir -p .peers/portkey
    printf '{"private":true,"dependencies":{"@portkey-ai/gateway":"%s"},"overrides":{"@hono/node-server":"%s"}}\n' \
        "$PORTKEY" "$NODE_SERVER" >.peers/portkey/package.json
    npm install --prefix .peers/portkey --silent --no-audit --no-fund && echo "$PORTKEY $NODE_SERVER" >.peers/portkey/made
}

attempt() { # attempt NAME COMMAND...
    name=$1
    shift
    "$@" >".peers/$name.log" 2>&1 || say "$name is left out, see .peers/$name.log: $(tail -n 1 ".peers/$name.log")"
}

attempt litellm make_python litellm "$LITELLM"
attempt any_llm make_python any_llm "$ANY_LLM"
attempt portkey make_portkey
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || say "nginx is left out; on Debian or Ubuntu: apt-get install nginx-light"
