# shellcheck shell=sh
# Ends when the instance is prepared. deploy/ec2/instance.py puts the values of the variables below before this text.
# Paths are relative to /, where SSM starts the script.
#
# The user data writes `prepare`, runs it, and holds a lock meanwhile. A second call of `prepare` waits for the lock, and
# then does what is missing: nothing if the first boot finished, everything if it failed.
: "${payload_key:?}" "${stop_minutes:?}" "${boot_seconds:?}" "${message_seconds:?}"

[ -e opt/pawprint/python ] && exit 0
shutdown -h "+$stop_minutes" > /dev/null 2>&1
for i in $(seq "$boot_seconds"); do
  [ -e opt/pawprint/prepare ] && break
  [ $((i % message_seconds)) = 0 ] && echo "the first boot has not begun to prepare the instance ($i s)"
  sleep 1
done
if [ ! -e opt/pawprint/prepare ]; then
  echo "the instance never ran its user data" >&2
  exit 1
fi
exec bash opt/pawprint/prepare "$payload_key"
