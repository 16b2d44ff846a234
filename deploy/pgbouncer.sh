# Starts PgBouncer with the one role that it knows, whose password compose.yaml mounts as a secret.
set -eu
umask 077
printf '"fixtures" "%s"\n' "$(cat /run/secrets/postgres_password)" >/etc/pgbouncer/userlist.txt
exec pgbouncer /etc/pgbouncer/pgbouncer.ini
