#!/bin/sh
# The first process of an instance: runs the scripts of every boot, then the user data at "$1" if there is one, and lives
# until the instance stops. It sleeps in the background, because the shell handles a signal only during `wait`.
trap 'exit 0' TERM
for each in var/lib/cloud/scripts/per-boot/*; do
  [ -f "$each" ] && [ -x "$each" ] && "$each"
done
if [ -n "$1" ]; then
  echo "user data begins"
  "$1"
  echo "user data ended with status $?"
fi
while :; do
  sleep 3600 &
  wait "$!"
done
