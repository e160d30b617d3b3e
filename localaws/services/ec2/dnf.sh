# shellcheck shell=sh
# The `dnf` of an instance: accepts the packages that the instance already has, and refuses others in dnf's words.
# machine.py writes the program: a line that assigns these packages to `packages`, then this text.
: "${packages:?}"

if [ "$1" != install ]; then
  echo "this dnf only installs" >&2
  exit 1
fi
shift
for each; do
  case " $packages " in
    *" $each "*) continue ;;
  esac
  case "$each" in
    -*) ;;
    *)
      echo "Error: Unable to find a match: $each" >&2
      exit 1
      ;;
  esac
done
