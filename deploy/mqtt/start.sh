#!/bin/sh
# Starts the broker; without accounts, nobody gets in.
set -eu
accounts=/mosquitto/data/accounts
[ -e "$accounts" ] || touch "$accounts"
chmod 0600 "$accounts"
chown mosquitto: "$accounts"
exec /usr/sbin/mosquitto -c /mosquitto/config/mosquitto.conf
