#!/bin/sh
# Run once by PostgreSQL's image, when its volume is new: the owner of the schema, which migrates, and the role of the
# service, which owns nothing. Neither is a superuser. `videoconf audit protect` then narrows the role for the trail.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=owner_password="$(cat /run/secrets/database_owner_password)" \
    --set=application_password="$(cat /run/secrets/database_application_password)" <<'SQL'
CREATE ROLE videoconf_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE videoconf LOGIN PASSWORD :'application_password';
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO videoconf_owner;
GRANT USAGE ON SCHEMA public TO videoconf;
ALTER DEFAULT PRIVILEGES FOR ROLE videoconf_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO videoconf;
ALTER DEFAULT PRIVILEGES FOR ROLE videoconf_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO videoconf;
SQL
