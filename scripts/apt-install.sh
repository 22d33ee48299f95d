#!/bin/sh
# Installs Debian packages, as root, without letting their services run: neither now nor after the next boot.
# Usage: apt-install.sh POLICY PACKAGE…   (POLICY is /usr/sbin/policy-rc.d, which Debian asks before it starts a service)
set -u
policy=$1
shift
export DEBIAN_FRONTEND=noninteractive
mark='made by the set-up of swarmbus, which removes it'

# One at a time on this machine. The lock is on the folder, so no file is left.
exec 9<"$(dirname "$policy")"
flock 9 || exit 1

# One of ours that is there now was left by a run that was killed.
if grep -qs "$mark" "$policy"; then rm -f "$policy"; fi
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' HUP INT
  trap 'exit 143' TERM
  printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy" || exit 1
  chmod 755 "$policy" || exit 1
fi

install() {
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1" 9<&-
}

is_active() {
  command -v systemctl >/dev/null && systemctl --quiet is-active "$1.service" 9<&-
}

updated=no
code=0
for package in "$@"; do
  ran_before=no
  if is_active "$package"; then ran_before=yes; fi
  if ! install "$package"; then
    # The lists of packages are missing or stale: fetched once, whatever comes of it.
    if [ $updated = yes ]; then code=1; continue; fi
    updated=yes
    if ! apt-get -o DPkg::Lock::Timeout=300 update 9<&- || ! install "$package"; then code=1; continue; fi
  fi
  # A service that ran before is somebody's: it is left as it is.
  if [ $ran_before = no ] && command -v systemctl >/dev/null; then
    systemctl --quiet disable --now "$package.service" 9<&- || true
  fi
done
exit $code
