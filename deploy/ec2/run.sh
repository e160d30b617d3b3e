# shellcheck shell=sh
# Trains one run on the instance, over SSM. deploy/ec2/runs.py puts the values of the variables below before this text,
# and sets the arguments of train_ec2.py as positional parameters. Paths are relative to /, where SSM starts the script.
#
# The script holds a lock as long as it or the trainer lives: the instance trains one model at a time. Meanwhile, it
# postpones the planned shutdown of the instance again and again. It does not cancel the plan: SSM ends a command with
# SIGKILL, and after that nothing could restore the plan.
set -eu
: "${run:?}" "${region:?}" "${bucket:?}" "${key:?}" "${idle_minutes:?}" "${max_minutes:?}" "${keeper_seconds:?}"
: "${busy:?}" "${price_per_hour=}"

export AWS_DEFAULT_REGION="$region"
if [ -n "$price_per_hour" ]; then
  export PRICE_PER_HOUR="$price_per_hour"
fi
python="$(cat opt/pawprint/python)"

exec 9>> opt/pawprint/lock
if ! "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2> /dev/null; then
  echo "the instance already trains $(cat opt/pawprint/training), and does one run at a time" >&2
  exit "$busy"
fi
echo "$run" > opt/pawprint/training

keep() {
  exec 9>&-
  for _ in $(seq $((max_minutes * 60 / keeper_seconds))); do
    kill -0 $$ || break
    shutdown -h "+$idle_minutes"
    sleep "$keeper_seconds"
  done
}
keep > /dev/null 2>&1 &
keeper=$!
trap 'kill "$keeper" 2> /dev/null || true; shutdown -h "+$idle_minutes" 9>&-' EXIT

# Temporary files, such as the features of all images, go to the disk. Amazon Linux 2023 keeps /tmp in memory and limits
# it to half of the memory (its user guide, "/tmp (small temporary files)").
folder="opt/pawprint/runs/$run"
mkdir -p "$folder/tmp"
export TMPDIR="${PWD%/}/$folder/tmp"

echo "fetching the training program"
"$python" -c '
import sys
import tarfile

import boto3

region, bucket, key, archive, folder = sys.argv[1:]
boto3.client("s3", region_name=region).download_file(bucket, key, archive)
tarfile.open(archive).extractall(folder, filter="data")
' "$region" "$bucket" "$key" "$folder/payload.tar.gz" "$folder"
PYTHON="$python" bash "$folder/bootstrap.sh"
"$(cat opt/pawprint/python)" -u "$folder/train_ec2.py" "$@"
