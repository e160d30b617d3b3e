# shellcheck shell=bash
# retry WHAT COMMAND...: run the command until it succeeds, with pauses that double. Each retry is printed. A locked
# package manager, a mirror or a registry often works a minute later. This is part of bootstrap.sh and of the first boot
# (terraform/modules/ec2_training), which needs it before it has the payload.
retry() {
  local what=$1 attempts=${RETRY_ATTEMPTS:-6} pause=${RETRY_SECONDS:-5} attempt=1 status
  shift
  while true; do
    status=0
    "$@" || status=$?
    if [ "$status" = 0 ]; then
      return 0
    fi
    if [ "$attempt" -ge "$attempts" ]; then
      echo "$what failed $attempt times, the last time with status $status: given up" >&2
      return "$status"
    fi
    echo "$what failed with status $status, attempt $attempt of $attempts: again in $pause s"
    sleep "$pause"
    attempt=$((attempt + 1))
    pause=$((pause * 2))
  done
}
