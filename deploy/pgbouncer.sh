# Starts PgBouncer with the one role that it knows, whose password compose.yaml mounts as a secret. PgBouncer gets what
# Postgres keeps of it: from the password itself it would work that out for each connection, which takes longer than to
# open one to Postgres.
set -eu
umask 077
PGPASSWORD="$(cat /run/secrets/postgres_password)" psql -h postgres -U fixtures -d fixtures -qAt \
    -c "SELECT format('\"fixtures\" \"%s\"', rolpassword) FROM pg_authid WHERE rolname = 'fixtures'" \
    >/etc/pgbouncer/userlist.txt
grep -q SCRAM-SHA-256 /etc/pgbouncer/userlist.txt || { echo "Postgres keeps no SCRAM secret of the role fixtures."; exit 1; }
exec pgbouncer /etc/pgbouncer/pgbouncer.ini
