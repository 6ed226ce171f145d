#!/bin/sh
# Starts the broker with the gateways' accounts, which the worker keeps, and has it read them again when they change.
# Accounts and rules that are made by hand stay beside them. Without any, nobody gets in.
set -eu
kept=${MQTT_ACCOUNTS:-/run/mqtt-accounts}
delivered=${MQTT_CONFIG:-/mosquitto/config}
data=${MQTT_DATA:-/mosquitto/data}
# The worker, in its container, is this user.
worker=${MQTT_WORKER:-10001}

state() {
    for file in "$kept/accounts" "$kept/rules" "$data/accounts"; do
        stat -c '%i %y' "$file" 2>/dev/null || echo none
    done
}

# An account that stands in both is the worker's.
merge() {
    umask 077
    touch "$data/accounts"
    for part in accounts rules; do
        if [ -e "$kept/$part" ]; then cat "$kept/$part"; fi >"$data/kept.$part"
    done
    awk -F: 'FILENAME == ARGV[1] { known[$1] = 1; print; next } !($1 in known)' \
        "$data/kept.accounts" "$data/accounts" >"$data/all.accounts"
    cat "$delivered/rules" "$data/kept.rules" >"$data/all.rules"
    chown mosquitto: "$data/accounts" "$data/all.accounts" "$data/all.rules"
}

chown "$worker" "$kept"
seen=$(state)
merge
/usr/sbin/mosquitto -c "$delivered/mosquitto.conf" &
broker=$!
again=
trap 'kill -TERM "$broker"' TERM INT
trap 'again=yes' HUP
while kill -0 "$broker" 2>/dev/null; do
    sleep 1 &
    wait $! || true
    now=$(state)
    if [ "$now" != "$seen" ] || [ -n "$again" ]; then
        seen=$now again=
        merge
        kill -HUP "$broker" 2>/dev/null || true
    fi
done
wait "$broker"
