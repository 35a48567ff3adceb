#!/usr/bin/env bash
# Builds the image and checks it as it runs in production: deploy/test-image.sh
#   ENGINE=docker|podman   the program that builds and runs it (default: the first one that is there)
#   IMAGE=<name>           the name of the image (default: fanfare-test)
#   BUILD=no               checks an image that exists
#   BUILD_ARGS, RUN_ARGS   further options of `build` and `run`, such as --network=host
#   PORT=<port>            the port of this machine (default: 3917)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BASE=node:24-bookworm-slim
# the limit of the layers that the Dockerfile adds to its base image, in bytes
readonly LIMIT=60000000
readonly IMAGE=${IMAGE:-fanfare-test} PORT=${PORT:-3917}
readonly NAME=fanfare-test-$$ VOLUME=fanfare-test-$$
readonly URL=http://127.0.0.1:$PORT
readonly SECRET=a-secret-of-this-test-only-0123456789abcdef
ENGINE=${ENGINE:-$(command -v docker || command -v podman || true)}
[ -n "$ENGINE" ] || { echo 'neither docker nor podman is there: set ENGINE'; exit 1; }
read -ra BUILD_ARGS <<<"${BUILD_ARGS:-}"
read -ra RUN_ARGS <<<"${RUN_ARGS:-}"

fail() {
  echo "FAIL: $*"
  "$ENGINE" logs "$NAME" 2>&1 | tail -n 20 || true
  exit 1
}

ok() { printf 'ok %4d s  %s\n' "$SECONDS" "$*"; }

clean_up() {
  "$ENGINE" rm -f "$NAME" >/dev/null 2>&1 || true
  "$ENGINE" volume rm -f "$VOLUME" >/dev/null 2>&1 || true
}
trap clean_up EXIT

# Starts a container without any privilege. Its arguments are further options.
start() {
  "$ENGINE" run -d --name "$NAME" --read-only --cap-drop=ALL --security-opt=no-new-privileges \
    -v "$VOLUME:/data" -p "127.0.0.1:$PORT:$PORT" -e PORT="$PORT" "${RUN_ARGS[@]}" "$@" "$IMAGE" >/dev/null
}

start_with_secret() { start -e FANFARE_JWT_SECRET="$SECRET"; }

inside() { "$ENGINE" exec "$NAME" "$@"; }

# Tries a command for 10 s.
eventually() {
  for _ in $(seq 100); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  return 1
}

answers() { curl -fsS "$URL/health/ready"; }

is_stopped() { [ "$("$ENGINE" inspect -f '{{.State.Running}}' "$NAME")" = false ]; }

# Stops the container with SIGTERM, and prints its exit code.
stop() {
  "$ENGINE" stop -t 20 "$NAME" >/dev/null
  "$ENGINE" inspect -f '{{.State.ExitCode}}' "$NAME"
}

remove() { "$ENGINE" rm -f "$NAME" >/dev/null; }

publish() {
  curl -fsS -o /dev/null -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    -d "{\"data\":\"$1\"}" "$URL/topics/test/events"
}

history() { curl -fsS -H "Authorization: Bearer $token" -H 'Accept: application/json' "$URL/topics/test/events"; }

size_of() { "$ENGINE" image inspect -f '{{.Size}}' "$1"; }

if [ "${BUILD:-yes}" != no ]; then
  "$ENGINE" image inspect "$BASE" >/dev/null 2>&1 || "$ENGINE" pull -q "$BASE" >/dev/null
  "$ENGINE" build -q -t "$IMAGE" "${BUILD_ARGS[@]}" . >/dev/null
  ok built
fi

own=$(($(size_of "$IMAGE") - $(size_of "$BASE")))
[ "$own" -lt "$LIMIT" ] || fail "the own layers have $own bytes, more than $LIMIT"
ok "own layers: $((own / 1000000)) MB"
for label in title description version licenses; do
  [ -n "$("$ENGINE" image inspect -f "{{index .Config.Labels \"org.opencontainers.image.$label\"}}" "$IMAGE")" ] ||
    fail "no label $label"
done
ok 'labels'

start
eventually is_stopped || fail 'it runs without a key'
[ "$("$ENGINE" inspect -f '{{.State.ExitCode}}' "$NAME")" = 1 ] || fail 'without a key it does not exit with 1'
"$ENGINE" logs "$NAME" 2>&1 | grep -q FANFARE_JWT_SECRET || fail 'it does not say which key to set'
remove
ok 'without a key it says so and exits with 1'

start_with_secret
eventually answers || fail "it does not answer on $URL"
ok 'answers, on a read-only file system and without capabilities'
[ "$(inside id -un)" = node ] || fail 'it does not run as node'
[ "$(inside stat -c %U /proc/1)" = node ] || fail 'process 1 is not of the user node'
inside grep -q '^CapEff:[[:space:]]*0*$' /proc/1/status || fail 'it has capabilities'
inside grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/1/status || fail 'it may get privileges'
! inside touch /app/file 2>/dev/null || fail 'the file system is not read-only'
ok "runs as node; process 1 is $(inside cat /proc/1/comm)"

# podman runs health checks with timers of systemd: without them, run it here
[[ $ENGINE != *podman ]] || "$ENGINE" healthcheck run "$NAME" >/dev/null || fail 'the health check fails'
is_healthy() { [ "$("$ENGINE" inspect -f '{{.State.Health.Status}}' "$NAME")" = healthy ]; }
eventually is_healthy || eventually is_healthy || fail 'it is not healthy'
ok 'healthy'

token=$(inside node dist/main.js token --sub test --publish '**' --subscribe '**')
publish before
stream=$(mktemp)
curl -fsSN -o "$stream" -H "Authorization: Bearer $token" -H 'Accept: text/event-stream' "$URL/topics/test/events" &
reader=$!
eventually grep -q fanfare.open "$stream" || fail 'no stream opens'
publish live
eventually grep -q 'data: "live"' "$stream" || fail 'the stream does not get the event'
code=$(stop)
[ "$code" = 0 ] || fail "after SIGTERM it exits with $code"
wait "$reader" || fail 'the stream was cut'
grep -q fanfare.close "$stream" || fail 'the stream was not told'
rm -f "$stream"
remove
ok 'SIGTERM ends the streams, and it exits with 0'

start_with_secret
eventually answers || fail 'it does not start on its volume again'
[[ $(history) == *before*live* ]] || fail 'the events are lost'
[ "$(stop)" = 0 ] || fail 'it does not exit with 0'
remove
ok 'another container continues with the volume'

# at any moment of the start: before Node has its handlers, and after
for delay in 0 0.02 0.05 0.1 0.2 0.4 0.8; do
  start_with_secret
  sleep "$delay"
  "$ENGINE" kill -s TERM "$NAME" >/dev/null
  eventually is_stopped || fail "SIGTERM ${delay} s after the start is lost"
  code=$("$ENGINE" inspect -f '{{.State.ExitCode}}' "$NAME")
  [ "$code" = 0 ] || fail "SIGTERM ${delay} s after the start: exit code $code"
  remove
done
ok 'SIGTERM at any moment of the start ends it with 0'

start -e NODE_ENV=
eventually answers || fail 'it does not start for development'
"$ENGINE" logs "$NAME" 2>&1 | grep -q token || fail 'it prints no token'
[ "$(stop)" = 0 ] || fail 'it does not exit with 0'
ok 'without NODE_ENV it draws a secret of its own (compose.yaml)'
echo PASS
