#!/bin/sh
# Installs R and the R packages that Debian has, as root on Debian 12; elsewhere says what to do (exit status 2).
set -eu
packages="DESeq2 edgeR limma sva"

installed() {
    command -v R >/dev/null &&
        R --vanilla --no-echo -e "q(status = !all(nzchar(vapply(strsplit('$packages', ' ')[[1]], function(p) system.file(package = p), ''))))"
}

if installed; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
    cat >&2 <<'TEXT'
R with DESeq2, edgeR, limma and sva is not installed; this script installs them as root on Debian 12 only.
Elsewhere: conda env create -f r_env/environment.yml, or see r_env/README.md. What needs R is skipped until then.
TEXT
    exit 2
fi
echo "Installing R with $packages from Debian's packages (0.9 GB)."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! {
    apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            r-base-core r-bioc-deseq2 r-bioc-edger r-bioc-limma r-bioc-sva
} >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "R could not be installed (above: the end of what apt-get said); make test R=no goes on without it." >&2
    exit 1
fi
installed || { echo "apt-get reported no error, but not all of $packages are there: see r_env/README.md." >&2; exit 1; }
