#!/bin/sh
# Makes the namespace and its search attributes. Running it again changes nothing.
set -eu

# Where a container's name server answers slowly, gRPC's own resolver can wait for records that do not exist;
# "passthrough" leaves the name to the system.
export TEMPORAL_ADDRESS="passthrough:///$TEMPORAL_ADDRESS"

tries=0
until temporal operator cluster health; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || exit 1
    sleep 2
done

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION"
fi

# A new namespace takes some seconds to be known to every part of the server.
tries=0
until present=$(temporal operator search-attribute list --output json); do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || exit 1
    sleep 2
done
for name in DepotId JobKind Outcome; do
    case $present in
        *"\"$name\""*) ;;
        *) temporal operator search-attribute create --name "$name" --type Keyword ;;
    esac
done
