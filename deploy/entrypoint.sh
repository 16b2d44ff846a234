# Starts what the container is for, with the password that compose.yaml mounts as a secret. Postgres' own library reads
# it from PGPASSWORD; a run's container gets that from the daemon.
set -eu
secret=/run/secrets/postgres_password
if [ -e "$secret" ]; then
    PGPASSWORD=$(cat "$secret")
    export PGPASSWORD
fi
exec "$@"
