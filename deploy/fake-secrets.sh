#!/bin/sh
# Run once by the profile `fake` of compose.yaml: makes each secret that is missing, in the volume that its services share.
set -eu
umask 077
folder=${1:-/var/lib/videoconf}
owner=${2:-10001:10001}
mkdir -p "$folder/secrets"
make() { # NAME EXPRESSION: a line of Python that gives the secret
    [ -s "$folder/secrets/$1" ] || python -c "import base64, secrets; print($2)" > "$folder/secrets/$1"
}
make database_password 'secrets.token_urlsafe(32)'
make jwt_secrets 'secrets.token_urlsafe(48)'
make encryption_keys 'base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()'
make fake_token_secret 'secrets.token_urlsafe(48)'
make fake_webhook_secrets '"whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()'
[ -s "$folder/secrets/database_url" ] || printf 'postgresql://postgres:%s@fake-database/videoconf\n' \
    "$(cat "$folder/secrets/database_password")" > "$folder/secrets/database_url"
chown -R "$owner" "$folder"
