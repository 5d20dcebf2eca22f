#!/bin/sh
# Write Janus's configuration into a folder, by the settings of the service: configure.sh FOLDER.
#
# Reads VIDEOCONF_JANUS_… and VIDEOCONF_PUBLIC_URL from the environment, or from the file that …_FILE names. Values may
# have letters, digits and . _ ~ : / -. Rooms that Janus has stored in the folder stay. Optional variables:
#   JANUS_LISTEN          address for the Admin API and the WebSocket: 127.0.0.1
#   JANUS_RTP_PORTS       UDP ports for media: 20000-40000
#   JANUS_PUBLIC_ADDRESS  the public address, where Janus is behind 1:1 NAT
set -eu
folder=$1
here=$(dirname "$0")

setting() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    [ -z "$file" ] || value=$(cat "$file")
    value=${value%%,*} # of several event passwords, Janus sends the first
    case $value in
        "") echo "configure.sh: $1 is not set" >&2 && exit 3 ;;
        *[!A-Za-z0-9._~:/-]*) echo "configure.sh: $1 has characters that Janus's configuration cannot hold" >&2 && exit 3 ;;
    esac
    printf %s "$value"
}

public_url=$(setting VIDEOCONF_PUBLIC_URL)
admin_key=$(setting VIDEOCONF_JANUS_ADMIN_KEY)
script=$(mktemp)
trap 'rm -f "$script"' EXIT
{
    for name in SERVER_NAME ADMIN_SECRET TOKEN_SECRET; do
        value=$(setting "VIDEOCONF_JANUS_$name")
        echo "s|@$name@|$value|"
    done
    value=$(setting VIDEOCONF_JANUS_EVENT_PASSWORDS)
    echo "s|@EVENT_PASSWORD@|$value|"
    echo "s|@EVENT_URL@|${public_url%/}/webhooks/janus/session|"
    echo "s|@ADMIN_KEY@|$admin_key|"
    echo "s|_ip = \"127.0.0.1\"|_ip = \"${JANUS_LISTEN:-127.0.0.1}\"|"
    echo "s|\"20000-40000\"|\"${JANUS_RTP_PORTS:-20000-40000}\"|"
    if [ -n "${JANUS_PUBLIC_ADDRESS:-}" ]; then
        echo "s|# nat_1_1_mapping = \"[0-9.]*\"|nat_1_1_mapping = \"$JANUS_PUBLIC_ADDRESS\"|"
        echo "s|ice_lite = true |ice_lite = false|"
    fi
} >"$script"

umask 077
mkdir -p "$folder"
for template in "$here"/*.jcfg; do
    file=$folder/$(basename "$template")
    case $file in
        */janus.plugin.videoroom.jcfg)
            if [ -e "$file" ]; then
                sed -i "s|admin_key = \"[^\"]*\"|admin_key = \"$admin_key\"|" "$file"
                continue
            fi
            ;;
    esac
    sed -f "$script" "$template" >"$file"
done
